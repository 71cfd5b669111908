"""Messages as Celery signatures.  Arguments are ids, attempts and rounds; nothing else ever travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Signature, chain
from kombu import pools
from kombu.exceptions import LimitExceeded, OperationalError

from lmigrate.breaker import Breaker
from lmigrate.deadline import Overdue, Patience
from lmigrate.errors import BrokerUnavailable
from lmigrate.migration.dispatch import Address, ObserveMessage, StepMessage, UndoMessage
from tasks.app import app, queue

CONDUCTOR = Address(place=None)
#: for one answer of Redis
TIMEOUT_S = 1.5
#: for a message: on a new connection it takes some fourteen answers, each of which a slow Redis may give just in time
DEADLINE_S = 6.0
#: on a new connection: that a Redis was restarted is found out by the first message
_ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
#: a frozen Redis costs each of a few messages their timeout, and the others nothing
_BREAKER = Breaker("broker", pause_s=5.0)
_PATIENCE = Patience("sending a message")


class CeleryDispatcher:
    """`Dispatcher` over Celery chains."""

    def send_steps(self, messages: list[StepMessage]) -> None:
        """A chain, with one errback: bound, immutable, routed to the conductor, attached last."""
        first = messages[0]
        links = [_step_signature(message) for message in messages]
        _send(links, link_error=_signature("rollback", (first.migration_id, first.attempt), CONDUCTOR))

    def send_rollback(self, migration_id: int, attempt: int) -> None:
        """The errback's own message."""
        _send([_signature("rollback", (migration_id, attempt), CONDUCTOR)])

    def send_undo(self, messages: list[UndoMessage], migration_id: int, attempt: int) -> None:
        """Undos in order, then the conductor."""
        links = [_step_signature(message, prefix="undo.") for message in messages]
        _send([*links, _signature("rolled_back", (migration_id, attempt), CONDUCTOR)])

    def send_observe(self, messages: list[ObserveMessage], migration_id: int, round_number: int) -> None:
        """Looks, then the conductor."""
        links = [_signature("observe", (message.side.value, message.migration_id, round_number), message.address) for message in messages]
        _send([*links, _signature("decide", (migration_id, round_number), CONDUCTOR)])

    def send_sweep(self, host: str) -> None:
        """Ask a host's daemon to look for leaks."""
        _send([_signature("sweep_host", (), Address(host))])

    def send_sweep_all(self) -> None:
        """Ask a conductor to look for leaks, and to ask every host."""
        _send([_signature("sweep_records", (), CONDUCTOR)])

    def send_verify_volume(self, backend: str, volume_uuid: str) -> None:
        """Ask the backend's storage daemon whether it has a volume."""
        _send([_signature("verify_volume", (volume_uuid,), Address(backend, is_storage=True))])


def _step_signature(message: StepMessage | UndoMessage, prefix: str = "") -> Signature:
    """The task is the step's; a row of the journal that is one of several of its step is named as well."""
    task, _, place = message.step.partition(".")
    args = (message.migration_id, message.attempt, *([message.step] if place else []))
    return _signature(prefix + task, args, message.address)


def _signature(task: str, args: tuple[Any, ...], address: Address) -> Signature:
    name = f"lmigrate.{task}"
    return app.signature(name, args=args, immutable=True).set(queue=queue(address.queue).name)


def _send(links: Sequence[Signature], link_error: Signature | None = None) -> None:
    if (refusal := _BREAKER.why_refused()) is not None:
        raise BrokerUnavailable(reason=refusal)
    options: dict[str, Any] = {} if link_error is None else {"link_error": [link_error]}
    try:
        _PATIENCE.in_time(lambda: _publish(links, options), DEADLINE_S)
    except (OperationalError, OSError, LimitExceeded, Overdue) as error:
        # It may have been delivered all the same, or be later; a second delivery is refused by the journal.
        _BREAKER.silent("The last message could not be sent.")
        raise BrokerUnavailable(reason=str(error)) from error
    _BREAKER.answered()


def _publish(links: Sequence[Signature], options: dict[str, Any]) -> None:
    with _connections().acquire(block=True, timeout=TIMEOUT_S) as connection:
        chain(*links, app=app).apply_async(connection=connection, retry=True, retry_policy=_ONCE_MORE, **options)


def _connections() -> Any:
    """Connections that give up sooner than a worker's: the row is written, the reconciler sends, and somebody waits for an answer."""
    options = {**app.conf.broker_transport_options, "socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    return pools.connections[app.connection_for_write(transport_options=options)]
