"""A Redis that is away, frozen, slow, emptied, full or a replica: requests are answered, and what was accepted is sent later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import select, update

from lmigrate import clock
from lmigrate.breaker import Breaker
from lmigrate.config import settings
from lmigrate.db.clock import ago
from lmigrate.db.models import Instance, Migration, MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.deadline import Patience
from lmigrate.migration.reconcile import reconcile
from lmigrate.states import Phase
from tasks import broker as health
from tasks import dispatcher
from tasks.app import app as celery_app
from tasks.dispatcher import CeleryDispatcher
from tests.factories.records import host_row, instance_row
from tests.servers import frozen, redis_server
from tests.slow_server import SlowWire, slow_wire
from tests.unit.api.conftest import Call

Save = Callable[..., None]
OLD = {"host": "node6", "block_migration": False, "disk_over_commit": False}
NEW = {"host": "node6", "block_migration": "auto"}
QUEUE = "lm:conductor"


class Broker:
    """A Redis of the test's own."""

    def __init__(self) -> None:
        self._servers = ExitStack()
        self.url = self._servers.enter_context(redis_server())

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.url.removeprefix("redis+socket://"))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with frozen(self.client.info()["process_id"]):
            yield

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self.client.slaveof("127.0.0.1", 1)  # nobody listens there
        yield
        self.client.slaveof()

    @contextmanager
    def full(self) -> Iterator[None]:
        self.client.config_set("maxmemory", "1")
        yield
        self.client.config_set("maxmemory", "0")

    def queued(self) -> int:
        return int(self.client.llen(QUEUE))

    def close(self) -> None:
        self._servers.close()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """In the place of the one in memory that the other tests of the API have."""
    made = Broker()
    use(monkeypatch, made.url)
    yield made
    made.close()


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for option in ("broker_url", "broker_write_url"):
        monkeypatch.setitem(celery_app.conf, option, url)
    monkeypatch.setattr(celery_app, "_pool", None)
    monkeypatch.setattr(celery_app.amqp, "_producer_pool", None)
    monkeypatch.setattr(dispatcher, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(health, "_TIMEOUT_S", 0.3)
    monkeypatch.setattr(dispatcher, "_BREAKER", Breaker("broker", pause_s=0))
    for module in (dispatcher, health):
        monkeypatch.setattr(module, "_PATIENCE", Patience("a call"))  # what another test left behind is none of this one's


def wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is over: from now on nothing is late, however busy the machine is."""
    monkeypatch.setattr(dispatcher, "TIMEOUT_S", 30)
    monkeypatch.setattr(dispatcher, "DEADLINE_S", 60)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Broker, SlowWire]]:
    """A Redis that gives every answer in time, and late: a new connection and a message take fourteen of them, a look at it seven."""
    made = Broker()
    with slow_wire(made.url.removeprefix("redis+socket://"), 0.3) as wire:
        use(monkeypatch, f"redis://127.0.0.1:{wire.port}/0")
        monkeypatch.setattr(dispatcher, "TIMEOUT_S", 30)
        monkeypatch.setattr(dispatcher, "DEADLINE_S", 0.5)
        monkeypatch.setattr(health, "_TIMEOUT_S", 30)
        monkeypatch.setattr(health, "_DEADLINE_S", 0.5)
        yield made, wire
    made.close()


@pytest.fixture
def guest(save: Save) -> Instance:
    row = instance_row("node5")
    save(host_row("node5"), host_row("node6"), row)
    return row


def ask(nova: Call, guest: Instance, version: str = "2.34") -> tuple[int, str]:
    answer = nova("POST", f"/servers/{guest.uuid}/action", version, json={"os-migrateLive": NEW if version == "2.34" else OLD})
    return answer.status_code, answer.text


def eventually(is_so: Callable[[], bool]) -> None:
    deadline_s = clock.monotonic_s() + 60
    while not is_so():
        assert clock.monotonic_s() < deadline_s
        clock.sleep_s(0.05)


def later() -> list[str]:
    """The reconciler's look when the pause before another message is over."""
    with writing() as session:
        session.execute(update(Migration).values(dispatched_at=ago(3600)))
        session.execute(update(MigrationStep).values(ready_at=ago(3600)))
    return reconcile(settings(), CeleryDispatcher())


@pytest.mark.parametrize("fault", [Broker.frozen, Broker.read_only, Broker.full])
def test_what_cannot_be_sent_is_accepted_and_sent_later(
    client: FlaskClient, nova: Call, broker: Broker, guest: Instance, fault: Callable[[Broker], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault(broker):  # type: ignore[attr-defined]  # each is a context manager
        assert ask(nova, guest)[0] == 202
        assert nova("GET", "/servers/detail", "2.96").status_code == 200
        assert ask(nova, guest)[0] == 409
        if fault is Broker.frozen:
            assert "broker" in client.get("/readyz").text
            assert client.get("/readyz").status_code == 503
    wait_long(monkeypatch)
    broker.client.delete(QUEUE)  # what a frozen one had been sent all the same
    assert len(later()) == 1
    assert broker.queued() == 1


def test_an_emptied_redis_is_filled_again(nova: Call, broker: Broker, guest: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_long(monkeypatch)
    assert ask(nova, guest)[0] == 202
    assert broker.queued() == 1
    broker.client.flushall()
    assert len(later()) == 1
    assert broker.queued() == 1


def test_a_redis_that_comes_back_without_its_data(nova: Call, broker: Broker, guest: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.close()
    assert ask(nova, guest)[0] == 202
    with redis_server() as url:
        use(monkeypatch, url)
        wait_long(monkeypatch)
        assert len(later()) == 1
        assert redis.Redis(unix_socket_path=url.removeprefix("redis+socket://")).llen(QUEUE) == 1


def test_a_connection_that_was_cut_is_not_noticed(
    nova: Call, broker: Broker, guest: Instance, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_long(monkeypatch)
    other = instance_row("node5")
    save(other)
    assert ask(nova, guest)[0] == 202
    broker.client.client_kill_filter(_type="normal", skipme=True)
    assert ask(nova, other)[0] == 202
    assert broker.queued() == 2


def test_an_old_client_is_told_that_the_checks_have_not_ended_and_that_it_was_accepted(
    nova: Call, broker: Broker, guest: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMIGRATE_MIGRATION__SYNC_PRECHECK_TIMEOUT_S", "0.2")
    settings.cache_clear()
    with broker.frozen():
        status, told = ask(nova, guest, "2.1")
    assert status == 500
    assert "goes on" in told
    with reading() as session:
        assert session.scalars(select(Migration)).one().phase is Phase.FORWARD


def test_a_frozen_redis_costs_a_few_messages_their_time_and_the_others_none(
    broker: Broker, nova: Call, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = [instance_row("node5") for _ in range(5)]
    save(host_row("node5"), host_row("node6"), *guests)
    breaker = Breaker("broker", pause_s=3600)
    monkeypatch.setattr(dispatcher, "_BREAKER", breaker)
    with broker.frozen():
        assert [ask(nova, guest)[0] for guest in guests] == [202] * 5
    assert breaker.circuit.silences == 3  # the others were not tried


def test_a_slow_redis_delays_nobody_and_loses_nothing(
    client: FlaskClient, nova: Call, slow: tuple[Broker, SlowWire], guest: Instance
) -> None:
    broker, _ = slow
    assert ask(nova, guest)[0] == 202
    assert dispatcher._BREAKER.circuit.silences == 1  # it was not waited for
    assert nova("GET", "/servers/detail", "2.96").status_code == 200
    told = client.get("/readyz")
    assert told.status_code == 503
    assert "the broker is slow" in told.text
    eventually(lambda: broker.queued() == 1)  # the message goes on by itself


def test_a_message_that_a_slow_redis_has_not_taken_in_time_is_sent_again(
    nova: Call, slow: tuple[Broker, SlowWire], guest: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, wire = slow
    wire.delay_s = 30
    assert ask(nova, guest)[0] == 202
    wire.close()  # with all that was under way
    use(monkeypatch, broker.url)
    wait_long(monkeypatch)
    assert broker.queued() == 0
    assert len(later()) == 1
    assert broker.queued() == 1


def test_a_redis_that_is_a_little_slow_is_ready(
    client: FlaskClient, nova: Call, slow: tuple[Broker, SlowWire], guest: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, wire = slow
    wire.delay_s = 0.03
    monkeypatch.setattr(dispatcher, "DEADLINE_S", 60)
    monkeypatch.setattr(health, "_DEADLINE_S", 60)
    assert ask(nova, guest)[0] == 202
    assert broker.queued() == 1
    assert client.get("/readyz").status_code == 200


def test_a_slow_redis_keeps_few_requests_waiting(
    nova: Call, slow: tuple[Broker, SlowWire], save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = [instance_row("node5") for _ in range(5)]
    save(host_row("node5"), host_row("node6"), *guests)
    monkeypatch.setattr(dispatcher, "_BREAKER", breaker := Breaker("broker", pause_s=3600))
    monkeypatch.setattr(dispatcher, "DEADLINE_S", 0.1)
    slow[1].delay_s = 30
    assert [ask(nova, guest)[0] for guest in guests] == [202] * 5
    assert breaker.circuit.silences == 3  # the others were not tried
    with reading() as session:
        assert {one.phase for one in session.scalars(select(Migration))} == {Phase.FORWARD}
