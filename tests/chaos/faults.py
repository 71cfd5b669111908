"""What breaks: how it is broken, and how it is whole again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lmigrate.lab.node import Node
from lmigrate.lab.wait import wait_for
from tests.chaos.scene import Scene

#: longer than the leases of the lab and than a host may be silent: what is stopped is taken over, and then wakes up
STOPPED_S, DEAD_S, CUT_S = 12.0, 1.5, 12.0
#: longer than libvirt's keepalive and QEMU's patience
LONG_CUT_S = 45.0
_CENTRE = ("conductor", "beat", "storage", "redis", "tgtd", "postgresql")

Act = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """A part of the lab that breaks for ``lasts_s`` seconds; ``needs`` is a database without which it means nothing."""

    name: str
    inject: Act
    heal: Act
    lasts_s: float
    needs: str | None = None


def _node(scene: Scene, where: str) -> Node:
    """The node of ``source``, ``destination``, or of the centre (``ctl`` or ``front``)."""
    host = {"source": scene.source, "destination": scene.destination}.get(where)
    return scene.lab.nodes[host or where]


def _host(scene: Scene, where: str) -> str | None:
    return {"source": scene.source, "destination": scene.destination}.get(where)


def _kill(where: str, daemon: str, scene: Scene) -> None:
    _node(scene, where).kill_tree(daemon)


def _start(where: str, daemon: str, scene: Scene) -> None:
    scene.lab.start_daemon(daemon, _host(scene, where))


def _signal(where: str, daemon: str, number: signal.Signals, scene: Scene) -> None:
    _node(scene, where).kill_tree(daemon, number)


def _start_empty_redis(scene: Scene) -> None:
    """One that keeps nothing comes back empty."""
    shutil.rmtree(scene.lab.paths.redis / "appendonlydir", ignore_errors=True)
    scene.lab.start_daemon("redis")


def _start_postgresql(scene: Scene) -> None:
    """It does not start while a process of the one before lives."""
    ctl = scene.lab.ctl
    wait_for(
        "the end of all of PostgreSQL",
        lambda: not any("postgres" in " ".join(argv[:1]) for argv in ctl.processes().values()),
        deadline_s=20,
    )
    scene.lab.start_daemon("postgresql")


def _signal_qemu(where: str, number: signal.Signals, scene: Scene) -> None:
    """To the QEMU of each guest under way; one that has none on that side is no target."""
    for run in scene.runs:
        host = _host(scene, where) or scene.source
        pid = scene.qemu(host, run.subject.uuid)
        if pid is None:
            run.is_target = run.is_target and number is signal.SIGCONT
            continue
        os.kill(pid, number)
        run.is_hit = run.is_hit or number is signal.SIGKILL
        run.is_stopped = number is signal.SIGSTOP and where == "destination"


def _no_act(scene: Scene) -> None:
    """What is dead stays dead."""


def _daemon(where: str, daemon: str, *, name: str = "", needs: str | None = None, start: Act | None = None) -> list[Fault]:
    """A daemon is killed and started again; and one is stopped and goes on."""
    shown = name or daemon
    return [
        Fault(f"{shown} killed", partial(_kill, where, daemon), start or partial(_start, where, daemon), DEAD_S, needs),
        Fault(
            f"{shown} stopped",
            partial(_signal, where, daemon, signal.SIGSTOP),
            partial(_signal, where, daemon, signal.SIGCONT),
            STOPPED_S,
            needs,
        ),
    ]


def _qemu(where: str) -> list[Fault]:
    stop, go_on = (partial(_signal_qemu, where, number) for number in (signal.SIGSTOP, signal.SIGCONT))
    return [
        Fault(f"{where} QEMU killed", partial(_signal_qemu, where, signal.SIGKILL), _no_act, DEAD_S),
        Fault(f"{where} QEMU stopped", stop, go_on, STOPPED_S),
    ]


def _cut(where: str, service: str, needs: str | None = None) -> Fault:
    """One host does not reach one service of the centre."""
    return Fault(
        f"{where} cut off from {service}",
        lambda scene: scene.lab.block(_host(scene, where) or "", service),
        lambda scene: scene.lab.unblock(_host(scene, where) or "", service),
        CUT_S,
        needs,
    )


def _all() -> list[Fault]:
    hosts = [
        fault
        for where in ("source", "destination")
        for daemon, name in (("host", f"{where} daemon"), ("libvirtd", f"{where} libvirtd"))
        for fault in _daemon(where, daemon, name=name)
    ]
    centre = [fault for daemon in ("conductor", "beat", "storage", "redis") for fault in _daemon("ctl", daemon)]
    return [
        *hosts,
        *centre,
        Fault("redis killed, without AOF", partial(_kill, "ctl", "redis"), _start_empty_redis, DEAD_S),
        *_daemon("front", "api"),
        *_daemon("ctl", "postgresql", needs="postgresql", start=_start_postgresql),
        *_qemu("source"),
        *_qemu("destination"),
        Fault("link between hosts cut", lambda scene: scene.lab.part(), lambda scene: scene.lab.join(), CUT_S),
        Fault("link between hosts cut for long", lambda scene: scene.lab.part(), lambda scene: scene.lab.join(), LONG_CUT_S),
        *(_cut(where, "redis") for where in ("source", "destination")),
        *(_cut(where, "postgresql", "postgresql") for where in ("source", "destination")),
        *(_cut(where, "tgtd") for where in ("source", "destination")),
    ]


FAULTS = {fault.name: fault for fault in _all()}
