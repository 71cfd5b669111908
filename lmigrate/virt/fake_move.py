"""A move of the fake: migrateToURI3 in libvirt's phases, stopped at moments that a test chooses.

As libvirt does, it raises from the call on failure and on abort; the guest then runs on the
source, and nothing of it is on the destination.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lmigrate.errors import DomainNotFound, HypervisorError
from lmigrate.states import PowerState
from lmigrate.virt.fake_domain import NO_JOB, FakeDomain
from lmigrate.virt.types import JobStats, JobType, MigrateSpec
from lmigrate.virt.xml.document import parse
from lmigrate.virt.xml.domain import disks

if TYPE_CHECKING:
    from lmigrate.virt.fake_world import FakeHost, FakeWorld


@dataclass
class Move:
    """One running migrateToURI3."""

    world: FakeWorld
    source: FakeHost
    spec: MigrateSpec
    is_post_copy_ordered: bool = False
    is_connection_broken: bool = False  # somebody gave up the connection that a post-copy had
    leaves_destination: bool = False  # a failing move forgets its paused domain there, as after a cut link
    is_forgotten: bool = False  # both libvirtds were killed when all was sent: a failing move leaves the guest stopped
    hangs: bool = False  # when it has failed the call does not return, and the guest stands still, until it is freed
    freed: threading.Event = field(default_factory=threading.Event)
    is_aborted: bool = False
    wake: threading.Event = field(default_factory=threading.Event)  # it was aborted, or the guest has ended

    def wait_for_abort(self, timeout_s: float = 10.0) -> None:
        """For hooks: the copy does not end before it is aborted, or the guest ends."""
        self.wake.wait(timeout_s)

    def abort(self) -> None:
        """It fails when it next looks."""
        self.is_aborted = True
        self.wake.set()

    def switch(self) -> None:
        """The guest is to run on the destination when the copy next looks."""
        self.is_post_copy_ordered = True
        self.wake.set()

    @property
    def uuid(self) -> str:
        """The guest's."""
        return self.spec.uuid

    @property
    def destination(self) -> FakeHost:
        """
        Raises:
            HypervisorError: no libvirtd answers at that address.
        """
        host = self.world.hosts.get(urlsplit(self.spec.dest_uri).hostname or "")
        if host is None or host.is_unreachable or host.is_hung or self.world.is_parted:
            raise self.error(f"unable to connect to server at '{self.spec.dest_uri}'")
        return host

    def error(self, reason: str) -> HypervisorError:
        """As libvirt's translated error."""
        return HypervisorError(host=self.source.name, reason=reason)

    def run(self) -> None:
        """
        Raises:
            HypervisorError: it failed or was aborted; or, from a hook at "finished", although it succeeded.
        """
        if self.spec.is_resume:
            guest, was_paused = self._take_up(), False
        else:
            guest = self._begin()
            was_paused = guest.power_state is PowerState.PAUSED
            self._move_before_switch(guest)
        if guest.reason == "postcopy":
            self._follow(guest)
        self._finish(guest, was_paused=was_paused)
        self.world.reach("finished", self)

    def _move_before_switch(self, guest: FakeDomain) -> None:
        """All that can be taken back."""
        try:
            self.world.reach("begin", self)
            self._prepare(guest)
            self._copy(guest)
            self._check(guest)
            if self.is_post_copy_ordered:
                self._switch(guest)
                return
            self._stop_source(guest)
            self.world.reach("switchover", self)
            self._check(guest)
        except BaseException:
            if self.hangs:
                self._hang(guest)
            self._cancel(guest)
            raise

    def _hang(self, guest: FakeDomain) -> None:
        """As QEMU 7.2 after a cancel in the moment of the switchover: see `stuck_move`."""
        with self.world.changing(self.source.name, self.uuid):
            guest.set_state(PowerState.PAUSED, "migration")
            guest.job = JobStats(JobType.FAILED, "migration-out")
        self.freed.wait(30)

    def free(self) -> list[str]:
        """Let it end."""
        is_stuck = self.hangs and not self.freed.is_set()
        self.freed.set()
        return ["QEMU waited for ever: freed"] if is_stuck else []

    def _switch(self, guest: FakeDomain) -> None:
        """The destination runs the guest, the source keeps the pages that it has not sent."""
        destination = self.destination
        with self.world.changing(self.source.name, self.uuid):
            guest.set_state(PowerState.PAUSED, "postcopy")
        with self.world.changing(destination.name, self.uuid):
            destination.domains[self.uuid].set_state(PowerState.RUNNING, "postcopy")

    def _take_up(self) -> FakeDomain:
        """What a resume begins with."""
        guest = self.source.domains.get(self.uuid)
        if guest is None or not guest.job.is_active:
            raise self.error(f"Requested operation is not valid: domain '{self.uuid}' is not being migrated")
        if guest.reason != "postcopy-failed":
            raise self.error("Requested operation is not valid: QEMU reports migration is still running")
        there = self.destination.domains.get(self.uuid)
        if there is None or not there.is_active:
            raise self.error("operation failed: no such domain on the destination")
        guest.move = self
        self._mark(guest, "postcopy")
        return guest

    def _follow(self, guest: FakeDomain) -> None:
        """The rest of the memory; if anything goes wrong, both halves stay and can be resumed."""
        try:
            for part in range(self.world.iterations):
                guest.progress(part, self.world.iterations)
                self.world.reach("post-copy", self)
                self._check_halves()
        except BaseException:
            self._mark(guest, "postcopy-failed")
            raise

    def _check_halves(self) -> None:
        there = self.world.hosts[urlsplit(self.spec.dest_uri).hostname or ""].domains.get(self.uuid)
        if self.is_connection_broken or self.world.is_parted or there is None or not there.is_active:
            raise self.error("internal error: client socket is closed")

    def _mark(self, guest: FakeDomain, reason: str) -> None:
        """Both halves show what has become of the post-copy; the vCPUs stay where they are."""
        host = self.world.hosts[urlsplit(self.spec.dest_uri).hostname or ""]
        for name, half in ((self.source.name, guest), (host.name, host.domains.get(self.uuid))):
            if half is not None and half.is_active:
                with self.world.changing(name, self.uuid):
                    half.set_state(half.power_state, reason)

    def _begin(self) -> FakeDomain:
        with self.world.lock:
            guest = self.source.domains.get(self.uuid)
            if guest is None:
                raise DomainNotFound(uuid=self.uuid, host=self.source.name)
            if not guest.is_active:
                raise self.error("Requested operation is not valid: domain is not running")
            if guest.job.is_active:
                raise self.error("Timed out during operation: cannot acquire state change lock")
            guest.progress(0, self.world.iterations)
            guest.move, guest.has_sent_memory = self, False
            return guest

    def _prepare(self, guest: FakeDomain) -> None:
        destination = self.destination
        there = destination.domains.get(self.uuid)
        if there is not None and there.is_active:
            raise self.error(f"operation failed: domain '{self.uuid}' is already active")
        for disk in disks(parse(self.spec.destination_xml)):
            if disk.is_local_file and disk.source_type == "file" and not Path(disk.path or "").exists():
                raise self.error(f"Cannot access storage file '{disk.path}': No such file or directory")
        inactive = None if there is None else there.inactive_xml
        with self.world.changing(destination.name, self.uuid):
            incoming = FakeDomain(self.uuid, self.spec.destination_xml, inactive, PowerState.PAUSED, "migration", memory=guest.memory)
            destination.domains[self.uuid] = incoming

    def _copy(self, guest: FakeDomain) -> None:
        self._copy_disks(guest)
        for iteration in range(1, self.world.iterations + 1):
            guest.progress(iteration, self.world.iterations)
            self.world.reach("copying", self)
            self._check(guest)
            if self.is_post_copy_ordered:
                return

    def _copy_disks(self, guest: FakeDomain) -> None:
        here = {disk.device_name: disk.path for disk in disks(parse(guest.xml))}
        there = {disk.device_name: disk.path for disk in disks(parse(self.spec.destination_xml))}
        for name in self.spec.migrate_disks:
            self.world.copy_disk(Path(here[name] or ""), Path(there[name] or ""))

    def _check(self, guest: FakeDomain) -> None:
        if self.is_aborted:
            raise self.error("operation aborted: migration out job: canceled by client")
        if not guest.is_active:
            raise self.error("operation failed: domain is not running")
        if self.destination.domains.get(self.uuid) is None:
            raise self.error("operation failed: migration out job: unexpectedly failed")

    def _stop_source(self, guest: FakeDomain) -> None:
        """QEMU before 10.0 does not survive giving up disks that it has never taken."""
        with self.world.changing(self.source.name, self.uuid):
            if guest.is_running:
                guest.set_state(PowerState.PAUSED, "migration")
            elif guest.has_inactive_images and disks(parse(guest.xml)):
                guest.stop("crashed")

    def _cancel(self, guest: FakeDomain) -> None:
        if not self.leaves_destination:
            self._forget_incoming()
        with self.world.changing(self.source.name, self.uuid):
            guest.job, guest.move = NO_JOB, None
            if guest.is_active and guest.reason == "migration" and not self.is_forgotten:
                guest.set_state(PowerState.RUNNING, "migration-canceled")

    def _forget_incoming(self) -> None:
        host = self.world.hosts.get(urlsplit(self.spec.dest_uri).hostname or "")
        there = None if host is None else host.domains.get(self.uuid)
        if host is None or there is None or there.reason != "migration":
            return
        with self.world.changing(host.name, self.uuid):
            if not there.stop("failed"):
                del host.domains[self.uuid]

    def _finish(self, guest: FakeDomain, *, was_paused: bool) -> None:
        destination = self.destination
        guest.has_sent_memory = True
        completed = JobStats(JobType.COMPLETED, "migration-out", downtime_ms=self.world.downtime_ms)
        with self.world.changing(destination.name, self.uuid):
            there = destination.domains[self.uuid]
            there.set_state(*((PowerState.PAUSED, "user") if was_paused else (PowerState.RUNNING, "migrated")))
            there.has_inactive_images = was_paused
            there.inactive_xml = self.spec.persistent_xml or there.inactive_xml
            there.completed = completed
        with self.world.changing(self.source.name, self.uuid):
            guest.move, guest.completed = None, completed
            if not guest.stop("migrated"):
                del self.source.domains[self.uuid]
