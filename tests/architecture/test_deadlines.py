"""No call that leaves the process, and no wait within it, is without a deadline."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

#: calls that wait for ever when they are not told how long, by the name that they are called by
WAITS = {"wait", "join", "acquire", "result", "communicate", "get_connection"}
#: what is made once and asked many times takes its deadline with it
CLIENTS = {"Client", "Session", "urlopen", "create_connection"}
TIMEOUTS = {"timeout", "timeout_s", "wait_s", "connect_timeout"}
#: the module, the call, and why it may
ALLOWED = {
    ("lmigrate/host/daemon.py", "self._process.wait()"): "after SIGKILL; the last resort ends the daemon if the kernel holds it",
    ("lmigrate/migration/guest_lock.py", "fcntl.flock(descriptor, fcntl.LOCK_EX)"): "its holder watches a move; the dead lose it",
    ("lmigrate/cli/daemon_cmd.py", "signal.pause()"): "a process without work, which waits for its end",
    ("lmigrate/virt/connection.py", "libvirt.open(self._uri)"): "within Deadlines, as everything on a connection",
}


def test_nothing_waits_for_ever(tracked: list[Path], repository: Path) -> None:
    assert set(_found(tracked, repository, _waits_for_ever)) - set(ALLOWED) == set()


def test_clients_have_a_timeout(tracked: list[Path], repository: Path) -> None:
    assert set(_found(tracked, repository, _is_client_without_timeout)) == set()


def test_commands_and_engines_are_made_in_one_place_each(tracked: list[Path], repository: Path) -> None:
    made = {name for name, _ in _found(tracked, repository, _is_command_or_engine)}
    assert made == {"lmigrate/shell.py", "lmigrate/host/daemon.py", "lmigrate/db/session.py"}


def test_what_may_wait_is_still_there(tracked: list[Path], repository: Path) -> None:
    assert set(ALLOWED) <= set(_found(tracked, repository, _waits_for_ever))


def _found(tracked: list[Path], repository: Path, is_it: Callable[[ast.Call], bool]) -> Iterator[tuple[str, str]]:
    for path in tracked:
        name = str(path.relative_to(repository))
        if path.suffix == ".py" and name.startswith(("lmigrate/", "api/", "tasks/")) and "/lab/" not in name:
            calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            yield from ((name, ast.unparse(call)) for call in calls if is_it(call))


def _waits_for_ever(call: ast.Call) -> bool:
    name, said = _name(call), {keyword.arg for keyword in call.keywords}
    if name in {"open", "openReadOnly"} and _is_of(call, {"libvirt"}):
        return True
    if name == "flock":
        return "LOCK_EX" in ast.unparse(call) and "LOCK_NB" not in ast.unparse(call)
    if name == "pause" and _is_of(call, {"signal"}):
        return True
    is_bare = name in WAITS and isinstance(call.func, ast.Attribute) and not call.args
    return is_bare and not said & TIMEOUTS


def _is_client_without_timeout(call: ast.Call) -> bool:
    if _name(call) not in CLIENTS or not (_is_of(call, {"httpx", "requests", "session", "urllib", "socket"})):
        return False
    return not {keyword.arg for keyword in call.keywords} & TIMEOUTS


def _is_command_or_engine(call: ast.Call) -> bool:
    return _name(call) == "create_engine" or _is_of(call, {"subprocess"})


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_of(call: ast.Call, modules: set[str | None]) -> bool:
    """Whether it is called on one of ``modules``; None: by its bare name."""
    if not isinstance(call.func, ast.Attribute):
        return None in modules
    return isinstance(call.func.value, ast.Name) and call.func.value.id in modules
