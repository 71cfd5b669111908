"""The self-healing connection, against libvirt's own test driver."""

from __future__ import annotations

import threading

import libvirt
import pytest

from lmigrate.errors import DomainNotFound, HypervisorError, HypervisorTimeout, HypervisorUnavailable
from lmigrate.ids import new_uuid
from lmigrate.virt import connection as connection_module
from lmigrate.virt.connection import Connection
from lmigrate.virt.libvirt_hypervisor import LibvirtHypervisor, is_no_answer

URI = "test:///default"


@pytest.fixture
def connection() -> Connection:
    return Connection(URI, "node5", 10)


def lost(_connection: libvirt.virConnect) -> str:
    """What a call raises when libvirtd has gone."""
    error = libvirt.libvirtError("End of file while reading data")
    error.err = (libvirt.VIR_ERR_RPC, 7, "End of file while reading data", 2, None, None, None, 0, 0)
    raise error


class Dying:
    """A connection whose first call finds libvirtd gone."""

    def __init__(self, connection: Connection, times: int) -> None:
        self.connection, self.times, self.calls = connection, times, 0

    def __call__(self, opened: libvirt.virConnect) -> str:
        self.calls += 1
        if self.calls <= self.times:
            self.connection._connection = None  # as after close: nobody says that it is alive
            lost(opened)
        return opened.getType()


def test_a_call(connection: Connection) -> None:
    assert connection.call("getType", lambda opened: opened.getType()) == "TEST"


def test_one_connection_for_many_calls(connection: Connection) -> None:
    first, second = (connection.call("self", lambda opened: opened) for _ in range(2))
    assert first is second
    connection.close()
    assert connection.call("self", lambda opened: opened) is not first


def test_a_lost_connection_is_opened_again(connection: Connection) -> None:
    dying = Dying(connection, 1)
    assert connection.call("getType", dying) == "TEST"
    assert dying.calls == 2


def test_a_libvirtd_that_stays_away(connection: Connection) -> None:
    dying = Dying(connection, 99)
    with pytest.raises(HypervisorUnavailable, match="node5"):
        connection.call("getType", dying)
    assert dying.calls == 2


def test_nobody_listens() -> None:
    with pytest.raises(HypervisorUnavailable, match="node5"):
        Connection("qemu+unix:///system?socket=/nowhere/libvirt-sock", "node5", 10).call("getType", lambda opened: opened.getType())


def test_an_error_of_libvirt_is_not_a_lost_connection(connection: Connection) -> None:
    calls: list[int] = []

    def look(opened: libvirt.virConnect) -> str:
        calls.append(1)
        return opened.lookupByUUIDString(new_uuid()).name()

    with pytest.raises(libvirt.libvirtError):
        connection.call("lookup", look)
    assert len(calls) == 1


def test_what_is_registered_is_registered_again(connection: Connection) -> None:
    registered: list[libvirt.virConnect] = []
    connection.when_open(registered.append)
    assert len(registered) == 1
    connection.close()
    connection.call("getType", lambda opened: opened.getType())
    assert len(registered) == 2


def test_alone_is_another_connection_and_never_twice(connection: Connection) -> None:
    shared = connection.call("self", lambda opened: opened)
    assert connection.call_alone(lambda opened: opened is not shared)
    dying = Dying(connection, 1)
    with pytest.raises(libvirt.libvirtError):
        connection.call_alone(dying)
    assert dying.calls == 1


def test_a_call_that_hangs(connection: Connection) -> None:
    gate = threading.Event()
    with pytest.raises(HypervisorTimeout):
        connection.call("getType", lambda _opened: gate.wait(30), deadline_s=0.05)
    gate.set()
    assert connection.call("getType", lambda opened: opened.getType()) == "TEST"


def test_nobody_waits_in_close_for_a_libvirtd_that_hangs(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no deadline: the heartbeat would hang in it, and say nothing of a host that is down."""
    gate, new = threading.Event(), connection._new

    def slow() -> libvirt.virConnect:
        gate.wait(30)
        return new()

    monkeypatch.setattr(connection, "_new", slow)
    with pytest.raises(HypervisorTimeout):
        connection.call("getType", lambda opened: opened.getType(), deadline_s=0.05)
    closing = threading.Thread(target=connection.close, daemon=True)
    closing.start()
    closing.join(5)
    is_stuck = closing.is_alive()
    gate.set()
    assert not is_stuck
    assert connection.call("getType", lambda opened: opened.getType()) == "TEST"


def test_the_last_reference_ends_in_another_thread(connection: Connection) -> None:
    """virConnectClose asks libvirtd, and waits."""
    ended, threads = threading.Event(), list[str]()

    class Held:
        def __del__(self) -> None:
            threads.append(threading.current_thread().name)
            ended.set()

    connection._connection = Held()  # type: ignore[assignment]
    connection.close()
    assert ended.wait(5)
    assert threads == ["libvirt-close"]


def test_the_test_drivers_guest() -> None:
    hypervisor = LibvirtHypervisor(URI, "node5", 10)
    hypervisor.ping()
    (guest,) = hypervisor.domains()
    assert (guest.name, guest.is_active, guest.migration_mark) == ("test", True, None)
    assert hypervisor.domain(guest.uuid) == guest
    hypervisor.pause(guest.uuid)
    hypervisor.resume(guest.uuid)
    with pytest.raises(DomainNotFound):
        hypervisor.domain_xml(new_uuid())


def test_libvirts_error_is_translated_with_its_numbers() -> None:
    hypervisor = LibvirtHypervisor(URI, "node5", 10)
    with pytest.raises(HypervisorError, match=r"node5 refused: .*libvirt error \d+\.\d+") as error:
        hypervisor.define("<nonsense/>")
    assert not is_no_answer(error.value)
    assert is_no_answer(HypervisorTimeout(host="node5", call="x", deadline_s="1"))


def test_keepalive_is_short_enough_for_a_call_to_end() -> None:
    assert connection_module.KEEPALIVE_INTERVAL_S * connection_module.KEEPALIVE_COUNT <= 15
