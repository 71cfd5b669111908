"""How often one may ask: per caller, per address, and per address with wrong credentials.

Counted by fixed windows of the library `limits`, in this process or in Redis.  When that Redis is
away, slow or hangs this process counts alone for a while: who may ask, and how long that takes, must not depend on the broker.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from api.refusals import OverLimit
from lmigrate import clock
from lmigrate.config import ApiSettings, TlsSettings
from lmigrate.deadline import Overdue, Patience

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: refusals of strangers that are kept in the audit; the rest is in the log
_STRANGERS = parse("600/hour")
#: entries of the log about 429 for one address or caller
_TOLD = parse("1/minute")
#: how long a request waits for the shared counters, in seconds
PATIENCE_S = 0.5
#: how long they are then left alone, in seconds: not every request shall wait for them
ALONE_S = 10.0


class Limits:
    """The counters of one API process."""

    def __init__(self, options: ApiSettings, tls: TlsSettings) -> None:
        url = options.rate_storage.get_secret_value()
        self._shared = None if url.startswith("memory:") else _shared(url, tls)
        self._patience = Patience("a shared rate limit")
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until_s = -math.inf
        rates = {"address": options.address_rate, "caller": options.caller_rate, "failure": options.failure_rate}
        self._rates = {kind: parse(rate) for kind, rate in rates.items() if rate}

    def count(self, kind: str, who: str) -> None:
        """One more request of that kind.

        Raises:
            OverLimit: it is one too many.
        """
        rate = self._rates.get(kind)
        if rate is not None and not self._hit(rate, kind, who):
            raise self._refusal(rate, kind, who)

    def refuse_if_exhausted(self, kind: str, who: str) -> None:
        """Look without counting.

        Raises:
            OverLimit: one more would be too many.
        """
        if self.is_exhausted(kind, who):
            raise self._refusal(self._rates[kind], kind, who)

    def is_exhausted(self, kind: str, who: str) -> bool:
        """Whether one more would be too many; looks without counting."""
        rate = self._rates.get(kind)
        return rate is not None and not self._test(rate, kind, who)

    def note_failure(self, address: str) -> None:
        """One more wrong credential from there."""
        if "failure" in self._rates:
            self._hit(self._rates["failure"], "failure", address)

    def may_record_stranger(self) -> bool:
        """Whether one more refusal of somebody unknown goes into the audit, which nobody shall be able to fill."""
        return self._own.hit(_STRANGERS, "stranger")

    def _refusal(self, rate: RateLimitItem, kind: str, who: str) -> OverLimit:
        """The answer; the log is told once a minute, since a flood shall not fill it."""
        if self._own.hit(_TOLD, "told", kind, who):
            log.warning("too many requests", kind=kind, who=who)
        return OverLimit(self._retry_after_s(rate, kind, who))

    def _hit(self, rate: RateLimitItem, *key: str) -> bool:
        return self._ask(lambda counters: counters.hit(rate, *key))

    def _test(self, rate: RateLimitItem, *key: str) -> bool:
        return self._ask(lambda counters: counters.test(rate, *key))

    def _retry_after_s(self, rate: RateLimitItem, *key: str) -> int:
        until = self._ask(lambda counters: counters.get_window_stats(rate, *key).reset_time)
        return max(1, math.ceil(until - clock.utcnow().timestamp()))

    def _ask(self, question: Callable[[FixedWindowRateLimiter], T]) -> T:
        """What the shared counters answer, or our own while those are away."""
        shared = self._shared
        if shared is not None and clock.monotonic_s() >= self._alone_until_s:
            try:
                return self._patience.in_time(lambda: question(shared), PATIENCE_S)
            except (StorageError, Overdue) as error:
                self._alone_until_s = clock.monotonic_s() + ALONE_S
                kind = type(error.storage_error if isinstance(error, StorageError) else error).__name__
                log.warning("the shared rate limits cannot be reached; counting alone", error=kind, for_s=ALONE_S)
        return question(self._own)


def _shared(url: str, tls: TlsSettings) -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(storage_from_string(url, wrap_exceptions=True, **storage_options(url, tls)))


def storage_options(url: str, tls: TlsSettings) -> dict[str, float | str]:
    """What the storage at ``url`` is opened with."""
    patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S} if url.startswith("redis") else {}
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file} if url.startswith("rediss") else {}
    return {**patience, **{name: str(path) for name, path in files.items() if path is not None}}
