"""Celery's part played in one thread: chains, errbacks, and every kind of bad luck with messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from lmigrate.migration.dispatch import ObserveMessage, StepMessage, UndoMessage


@dataclass(frozen=True)
class ConductorMessage:
    """One of the conductor's own tasks."""

    task: str  # rollback | decide | rolled_back
    args: tuple[int, int]


Message = StepMessage | UndoMessage | ObserveMessage | ConductorMessage


class WorkerDied(BaseException):
    """The process is gone: nothing more is written, and nothing is sent."""


def name_of(message: Message) -> str:
    """The task's name, as in Flower."""
    match message:
        case StepMessage():
            return message.step
        case UndoMessage():
            return f"undo.{message.step}"
        case ObserveMessage():
            return f"observe.{message.side.value}"
        case ConductorMessage():
            return message.task


@dataclass
class Chain:
    """Links that are sent one after the other's success, and what is sent when one fails."""

    links: list[Message]
    errback: Message | None = None


@dataclass
class Mail:
    """`Dispatcher` into a queue.

    Attributes:
        copies: how often a message is delivered: 0 loses it, and the rest of its chain with it; 2 doubles it.
        said: what each delivery ended with.
    """

    waiting: deque[Chain] = field(default_factory=deque)
    copies: Callable[[Message], int] = lambda _message: 1
    said: list[tuple[str, str]] = field(default_factory=list)

    def send_steps(self, messages: list[StepMessage]) -> None:
        first = messages[0]
        self._send(Chain([*messages], ConductorMessage("rollback", (first.migration_id, first.attempt))))

    def send_rollback(self, migration_id: int, attempt: int) -> None:
        self._send(Chain([ConductorMessage("rollback", (migration_id, attempt))]))

    def send_undo(self, messages: list[UndoMessage], migration_id: int, attempt: int) -> None:
        self._send(Chain([*messages, ConductorMessage("rolled_back", (migration_id, attempt))]))

    def send_observe(self, messages: list[ObserveMessage], migration_id: int, round_number: int) -> None:
        self._send(Chain([*messages, ConductorMessage("decide", (migration_id, round_number))]))

    def deliver_all(self, work: Callable[[Message], str], limit: int = 500) -> None:
        """Deliver until nothing is waiting."""
        for _ in range(limit):
            if not self.waiting:
                return
            self.deliver_one(work)
        raise AssertionError(f"the messages do not end: {[name for name, _ in self.said[-10:]]}")

    def deliver_one(self, work: Callable[[Message], str]) -> None:
        """Deliver the oldest message; what follows it in its chain waits at the end."""
        chain = self.waiting.popleft()
        message, *rest = chain.links
        try:
            sentence = work(message)
        except WorkerDied:
            self.said.append((name_of(message), "the worker died"))
            return
        except Exception as error:  # noqa: BLE001 - as a Celery worker does
            self.said.append((name_of(message), f"{type(error).__name__}: {error}"))
            if chain.errback is not None:
                self._send(Chain([chain.errback]))
            return
        self.said.append((name_of(message), sentence))
        if rest:
            self._send(Chain(rest, chain.errback))

    def _send(self, chain: Chain) -> None:
        for _ in range(self.copies(chain.links[0])):
            self.waiting.append(Chain(list(chain.links), chain.errback))
