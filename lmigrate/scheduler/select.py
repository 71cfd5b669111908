"""From hosts and a request to candidates, best first, and a reason for every host that is none.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmigrate.errors import NoValidHost, UnknownHost
from lmigrate.scheduler.filters import FILTERS, FORCED_FILTERS
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec
from lmigrate.scheduler.weighers import WEIGHERS, Weigher


@dataclass(frozen=True)
class Verdict:
    """What became of every host that was considered."""

    candidates: tuple[HostState, ...]  # best first
    refused: Mapping[str, str]  # host -> reason

    @property
    def names(self) -> list[str]:
        """The candidates' names, best first."""
        return [host.name for host in self.candidates]


@dataclass(frozen=True)
class Outlook:
    """A host, and everything that speaks against it."""

    host: str
    reasons: tuple[str, ...]  # none: it can take the guest


def considered(hosts: Sequence[HostState], spec: RequestSpec) -> list[HostState]:
    """All hosts, or the requested one alone.

    Raises:
        UnknownHost: the requested one has never registered.
    """
    if spec.requested_destination is None:
        return list(hosts)
    named = [host for host in hosts if host.name == spec.requested_destination]
    if not named:
        raise UnknownHost(host=spec.requested_destination)
    return named


def evaluate(hosts: Sequence[HostState], spec: RequestSpec) -> Verdict:
    """Ask the filters about every host, and the weighers about those that pass."""
    reasons = {host.name: why_not(host, spec) for host in hosts}
    passed = [host for host in hosts if reasons[host.name] is None]
    return Verdict(candidates=ranked(passed), refused={name: reason for name, reason in reasons.items() if reason is not None})


def why_not(host: HostState, spec: RequestSpec) -> str | None:
    """The first reason against ``host``, or None."""
    return next(reasons_against(host, spec), None)


def reasons_against(host: HostState, spec: RequestSpec) -> Iterator[str]:
    """What each filter has against ``host``, in their order."""
    filters = FORCED_FILTERS if spec.is_forced else FILTERS
    return (reason for each in filters if (reason := each(host, spec)) is not None)


def outlooks(hosts: Sequence[HostState], spec: RequestSpec) -> list[Outlook]:
    """Every host with all reasons: those that can, best first, then the others by name."""
    found = {host.name: Outlook(host.name, tuple(reasons_against(host, spec))) for host in hosts}
    fit = [found[host.name] for host in ranked([host for host in hosts if not found[host.name].reasons])]
    return [*fit, *(found[name] for name in sorted(found) if found[name].reasons)]


def ranked(hosts: Sequence[HostState]) -> tuple[HostState, ...]:
    """Best first; equals in the order of their names, so that the choice can be foretold."""
    scores = [0.0] * len(hosts)
    for weigher, multiplier in WEIGHERS.items():
        for position, weight in enumerate(_stretched(hosts, weigher)):
            scores[position] += multiplier * weight
    order = sorted(range(len(hosts)), key=lambda position: (-scores[position], hosts[position].name))
    return tuple(hosts[position] for position in order)


def no_valid_host(refused: Mapping[str, str], spec: RequestSpec, *, introduction: str = "") -> NoValidHost:
    """The error that names every host with its reason; the source only where nothing else is to be told."""
    others = {name: reason for name, reason in refused.items() if name != spec.source_host}
    told = "; ".join(f"{name}: {reason}" for name, reason in sorted((others or refused).items()))
    return NoValidHost(reason=f"{introduction}{told or 'No host has registered.'}")


def _stretched(hosts: Sequence[HostState], weigher: Weigher) -> list[float]:
    """Weights as 0 (worst) to 1 (best) among ``hosts``; all 0 when they are equal."""
    weights = [weigher(host) for host in hosts]
    if not weights or max(weights) == min(weights):
        return [0.0] * len(weights)
    return [(weight - min(weights)) / (max(weights) - min(weights)) for weight in weights]
