"""`lmigrate host run`: registration, heartbeat and inventory in threads; the two Celery workers as children.

The workers are processes of their own, so that a crash of libvirt's library in one takes
neither the heartbeat nor the other down.  They die with this process: an epoch has one set
of workers.  What they were moving goes on without them (peer-to-peer), and the next
daemon's worker adopts it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType

import structlog

from lmigrate import clock, log
from lmigrate.config import Settings, settings
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.errors import DirectoryUnavailable, HypervisorError
from lmigrate.host.disk_watch import DiskWatch, ensure_directory
from lmigrate.host.heartbeat import Heartbeat
from lmigrate.host.inventory import Inventory
from lmigrate.host.inventory_thread import InventoryThread
from lmigrate.host.registration import Registration
from lmigrate.ids import new_uuid
from lmigrate.storage import directories
from lmigrate.virt.connect import local_hypervisor
from lmigrate.virt.protocol import Hypervisor

logger = structlog.get_logger(__name__)

#: how long workers may finish what they are at; short steps do, a long copy need not
STOP_DEADLINE_S = 8.0
#: after so long it is over, whatever still waits for libvirtd or the database
LAST_RESORT_S = 9.5
#: what a shell says of a process that was ended by SIGTERM
ENDED_BY_FORCE = 128 + signal.SIGTERM
POLL_S = 0.5
FIRST_BACK_OFF_S, LAST_BACK_OFF_S = 1.0, 30.0
#: a worker that lived this long had started well
LONG_LIFE_S = 60.0
REGISTRATION_RETRY_S = 5.0


def run_host_daemon() -> int:
    """Run until SIGTERM or SIGINT; the exit code.

    Raises:
        HostNameTaken, HostUuidTaken: this host cannot register under its name.
    """
    options = settings()
    log.configure(options.log)
    epoch = new_uuid()
    with log.bound(host=options.host.name, epoch=epoch):
        return HostDaemon(options, local_hypervisor(), epoch).run()


def worker_argv(options: Settings, kind: str) -> list[str]:
    """How the worker is started: ``ctl`` for the short steps, ``mig`` for the copies."""
    name = options.host.name
    queue, concurrency = {
        "ctl": (f"host.{name}", options.host.concurrent_steps),
        "mig": (f"host.{name}.migrate", options.host.concurrent_migrations),
    }[kind]
    celery = [sys.executable, "-m", "celery", "--app", "tasks.app", "worker", "--pool", "threads"]
    celery += ["--concurrency", str(concurrency), "--queues", queue, "--hostname", f"{kind}@{name}"]
    celery += ["--without-gossip", "--without-mingle", "--heartbeat-interval", "15", "--loglevel", options.log.level]
    setpriv = shutil.which("setpriv")  # of util-linux: the kernel then kills the worker when this process dies
    return [setpriv, "--pdeathsig", "KILL", *celery] if setpriv else celery


class Worker:
    """One child, started again whenever it ends."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._argv = argv
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = 0.0
        self._start_at_s = 0.0
        self._back_off_s = FIRST_BACK_OFF_S

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def keep_running(self) -> None:
        """Notice a death, and start it (again) when its back-off is over.

        Called from the main thread only: the kernel's parent-death signal follows the *thread* that started the child.
        """
        now_s = clock.monotonic_s()
        if self._process is not None and self._process.poll() is not None:
            self._mourn(self._process.returncode, now_s)
        if self._process is None and now_s >= self._start_at_s:
            self._process = subprocess.Popen(self._argv, env=self._environment, start_new_session=True)
            self._started_at_s = now_s
            logger.info("started a worker", worker=self.name, pid=self._process.pid)

    def terminate(self) -> None:
        """Ask it to finish: Celery's warm shutdown."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, deadline_s: float) -> None:
        """Wait for it until the (monotonic) deadline, then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline_s - clock.monotonic_s()))
        except subprocess.TimeoutExpired:
            logger.warning("a worker was still busy and is killed; what it moves goes on and will be adopted", worker=self.name)
            self._process.kill()
            self._process.wait()

    def _mourn(self, code: int, now_s: float) -> None:
        if now_s - self._started_at_s >= LONG_LIFE_S:
            self._back_off_s = FIRST_BACK_OFF_S
        self._process = None
        self._start_at_s = now_s + self._back_off_s
        logger.error("a worker has ended; starting it again", worker=self.name, exit_code=code, in_s=self._back_off_s)
        self._back_off_s = min(2 * self._back_off_s, LAST_BACK_OFF_S)


class HostDaemon:
    """Puts the parts together; one instance is one epoch."""

    def __init__(self, options: Settings, hypervisor: Hypervisor, epoch: str) -> None:
        host = options.host
        self._options = options
        self._epoch = epoch
        self._hypervisor = hypervisor
        self._stop = threading.Event()
        self._exit_code = 0
        self._disk = DiskWatch(host.instances_path, host.heartbeat_interval_s)
        self._registration = Registration(options, hypervisor, self._disk, epoch)
        self._heartbeat = Heartbeat(options, hypervisor, self._disk, epoch)
        inventory = Inventory(host.name, hypervisor, options.scheduler.service_down_time_s)
        self._inventory = InventoryThread(inventory, self._registration.refresh, host.inventory_interval_s)
        self._heartbeat.on_recovery = self._inventory.ask_full
        self._heartbeat.on_forgotten = self._inventory.ask_full
        self._heartbeat.on_superseded = self._be_superseded
        self._inventory.on_no_answer = self._heartbeat.hurry
        environment = {**os.environ, "LMIGRATE_HOST_EPOCH": epoch}
        self._workers = [Worker(kind, worker_argv(options, kind), environment) for kind in ("ctl", "mig")]

    def _ensure_directory(self) -> None:
        try:
            directories.require_answer(self._options.host, ensure_directory)
        except DirectoryUnavailable as error:  # what needs no file goes on, such as the watch of a copy
            logger.warning("the instances path does not answer", reason=str(error))

    def run(self) -> int:
        """Everything, until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._ensure_directory()
        self._disk.start()
        if self._register():
            self._heartbeat.start()
            self._listen()
            self._inventory.start(host=self._options.host.name, epoch=self._epoch)
            self._supervise()
        self._end()
        return self._exit_code

    def _register(self) -> bool:
        """Try until it works.  False: told to stop meanwhile."""
        while not self._stop.is_set():
            try:
                self._registration.begin()
            except HypervisorError as error:
                logger.warning("cannot register before libvirtd answers; trying again", reason=str(error))
            except UNAVAILABLE as error:
                logger.warning("cannot register without the database; trying again", reason=type(error).__name__)
            else:
                return True
            self._stop.wait(REGISTRATION_RETRY_S)
        return False

    def _listen(self) -> None:
        try:
            self._hypervisor.listen(self._inventory.notice)
        except HypervisorError as error:  # the connection registers for events by itself once it can be opened
            logger.warning("no events from libvirt yet", reason=str(error))

    def _supervise(self) -> None:
        while not self._stop.is_set():
            for worker in self._workers:
                worker.keep_running()
            self._stop.wait(POLL_S)

    def _end(self) -> None:
        for worker in self._workers:
            worker.terminate()
        deadline_s = clock.monotonic_s() + STOP_DEADLINE_S
        self._inventory.stop()
        self._disk.stop()
        goodbye = threading.Thread(target=self._say_goodbye, name="goodbye", daemon=True)
        goodbye.start()  # beside the workers' end: the database may have hung
        for worker in self._workers:
            worker.end(deadline_s)
        goodbye.join(max(0.0, deadline_s - clock.monotonic_s()))
        logger.info("stopped")

    def _say_goodbye(self) -> None:
        try:
            self._heartbeat.say_goodbye()
        except UNAVAILABLE as error:
            logger.warning("could not sign off; the host will be down by its silence", reason=type(error).__name__)

    def _be_superseded(self) -> None:
        self._exit_code = 3
        self._stop.set()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        logger.info("stopping", signal=signal.Signals(number).name)
        if not self._stop.is_set():
            last_resort = threading.Timer(LAST_RESORT_S, os._exit, [ENDED_BY_FORCE])  # the kernel ends the workers with us
            last_resort.daemon = True
            last_resort.start()
        self._stop.set()
