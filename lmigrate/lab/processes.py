"""Processes of the machine: found by what they are, never by a name pattern, and signalled without a race.

A node's first process is recognised by its exact arguments (module and configuration file), which
holds after a crash of whoever started it: there is no pid file to be stale or missing.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from lmigrate import clock
from lmigrate.lab.errors import LabError

INIT_MODULE = "lmigrate.lab.init"
_PROC = Path("/proc")


def all_pids() -> Iterator[int]:
    """Every process id that this process can see."""
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def argv_of(pid: int) -> list[str]:
    """The arguments of a process; empty for kernel threads, zombies and the vanished."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def nested_pids(pid: int) -> list[int]:
    """The ids of a process from our pid namespace down to its own; empty when it has vanished."""
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return []
    return next(([int(word) for word in line.split()[1:]] for line in status.splitlines() if line.startswith("NSpid:")), [])


def namespace_of(pid: int, kind: str) -> str:
    """The identity of one of a process' namespaces; empty when it has vanished."""
    try:
        return str((_PROC / str(pid) / "ns" / kind).readlink())
    except OSError:
        return ""


def of_node(config: Path) -> list[int]:
    """The first process of the node that ``config`` configures, and its starter, as far as they live."""
    return [pid for pid in all_pids() if _is_of_node(pid, config)]


def first_of_node(config: Path) -> int | None:
    """The node's PID 1, as numbered here; None when the node is down."""
    return next((pid for pid in of_node(config) if _is_first(pid)), None)


def of_labs(root: Path) -> dict[int, Path]:
    """The processes of all nodes of all labs under ``root``, with the configuration of each."""
    found = {}
    for pid in all_pids():
        argv = argv_of(pid)
        if INIT_MODULE in argv and Path(argv[-1]).is_relative_to(root):
            found[pid] = Path(argv[-1])
    return found


def in_namespace_of(first: int) -> list[int]:
    """All processes in the pid namespace of ``first``, as numbered here."""
    wanted = namespace_of(first, "pid")
    return [pid for pid in all_pids() if wanted and namespace_of(pid, "pid") == wanted]


def with_descendants(pid: int) -> list[int]:
    """A process and all that it started, and what those started, as far as their parents live."""
    children: dict[int, list[int]] = {}
    for each in all_pids():
        children.setdefault(_parent_of(each), []).append(each)
    found = [pid]
    for each in found:  # grows while it is walked
        found += children.get(each, [])
    return found


def _parent_of(pid: int) -> int:
    """0 when the process has vanished."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])  # the name may have blanks and brackets


def outer_pid(first: int, inner: int) -> int | None:
    """What the process that the node of ``first`` calls ``inner`` is called here."""
    return next((pid for pid in in_namespace_of(first) if nested_pids(pid)[-1:] == [inner]), None)


def kill_all_of_node(config: Path, *, deadline_s: float = 20.0) -> None:
    """SIGKILL the node's first process and its starter, and wait until the kernel has ended everything inside.

    Raises:
        LabError: something still lives after ``deadline_s`` seconds.
    """
    with ExitStack() as handles:
        # held before the first is killed: one that is ending has no arguments any more to be known by
        held = [handle for pid in of_node(config) if (handle := _hold(pid, config, handles)) is not None]
        for handle in held:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        until = clock.monotonic_s() + deadline_s
        for handle in held:
            # the first process of a namespace has ended when all others in it have
            if not select.select([handle], [], [], max(0.0, until - clock.monotonic_s()))[0]:
                raise LabError(f"a process of {config} does not end")


def _hold(pid: int, config: Path, handles: ExitStack) -> int | None:
    """A pidfd of a node's process; None when the number is no longer its."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    handles.callback(os.close, handle)
    return handle if _is_of_node(pid, config) else None


def _is_of_node(pid: int, config: Path) -> bool:
    argv = argv_of(pid)
    return argv[-1:] == [str(config)] and INIT_MODULE in argv


def _is_first(pid: int) -> bool:
    inside = nested_pids(pid)
    return len(inside) > 1 and inside[-1] == 1
