"""How work is sent on its way.  What is sent is a hint: the journal in SQL decides what is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lmigrate.migration.steps.base import Side, Step


@dataclass(frozen=True)
class Address:
    """A queue: the conductor's, a host's, a host's for long steps, or a storage backend's."""

    place: str | None  # a host or a backend; None: the conductor
    is_long: bool = False
    is_storage: bool = False

    @property
    def queue(self) -> str:
        """The queue's name."""
        if self.place is None:
            return "conductor"
        if self.is_storage:
            return f"storage.{self.place}"
        return f"host.{self.place}.migrate" if self.is_long else f"host.{self.place}"


@dataclass(frozen=True)
class StepMessage:
    """Do one step of one attempt."""

    step: str
    migration_id: int
    attempt: int
    address: Address


@dataclass(frozen=True)
class UndoMessage:
    """Undo one step of one attempt."""

    step: str
    migration_id: int
    attempt: int
    address: Address


@dataclass(frozen=True)
class ObserveMessage:
    """Look at the guest on one side."""

    side: Side
    migration_id: int
    round: int
    address: Address


class Dispatcher(Protocol):
    """Sends messages to queues.  Every method raises BrokerUnavailable when it cannot."""

    def send_steps(self, messages: list[StepMessage]) -> None:
        """A chain, with the rollback as its errback."""

    def send_rollback(self, migration_id: int, attempt: int) -> None:
        """Tell the conductor that an attempt failed."""

    def send_undo(self, messages: list[UndoMessage], migration_id: int, attempt: int) -> None:
        """A chain of undos that ends with the conductor's `rolled_back`."""

    def send_observe(self, messages: list[ObserveMessage], migration_id: int, round_number: int) -> None:
        """A chain of looks that ends with the conductor's `decide`."""


def address_of(step: Step, place: str | None) -> Address:
    """Where a step is done and undone."""
    return Address(None if step.side is Side.CONDUCTOR else place, is_long=step.is_long, is_storage=step.side is Side.STORAGE)
