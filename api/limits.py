"""How often one may ask: per caller, per address, and per address with wrong credentials.

Counted by fixed windows of the library `limits`, in this process or in Redis.  When that Redis is
away this process counts alone: who may ask must not depend on the broker.
"""

from __future__ import annotations

import math

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from api.refusals import OverLimit
from lmigrate import clock
from lmigrate.config import ApiSettings, TlsSettings

log = structlog.get_logger(__name__)

#: refusals of strangers that are kept in the audit; the rest is in the log
_STRANGERS = parse("600/hour")


class Limits:
    """The counters of one API process."""

    def __init__(self, options: ApiSettings, tls: TlsSettings) -> None:
        url = options.rate_storage.get_secret_value()
        files = (
            {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file} if url.startswith("rediss") else {}
        )
        chosen = {name: str(path) for name, path in files.items() if path is not None}
        self._shared = FixedWindowRateLimiter(storage_from_string(url, wrap_exceptions=True, **chosen))
        self._own = FixedWindowRateLimiter(MemoryStorage())
        rates = {"address": options.address_rate, "caller": options.caller_rate, "failure": options.failure_rate}
        self._rates = {kind: parse(rate) for kind, rate in rates.items() if rate}

    def count(self, kind: str, who: str) -> None:
        """One more request of that kind.

        Raises:
            OverLimit: it is one too many.
        """
        rate = self._rates.get(kind)
        if rate is not None and not self._hit(rate, kind, who):
            raise OverLimit(self._retry_after_s(rate, kind, who))

    def refuse_if_exhausted(self, kind: str, who: str) -> None:
        """Look without counting.

        Raises:
            OverLimit: one more would be too many.
        """
        if self.is_exhausted(kind, who):
            raise OverLimit(self._retry_after_s(self._rates[kind], kind, who))

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

    def _hit(self, rate: RateLimitItem, *key: str) -> bool:
        try:
            return self._shared.hit(rate, *key)
        except StorageError as error:
            log.warning("the shared rate limits cannot be reached; counting alone", error=type(error.storage_error).__name__)
            return self._own.hit(rate, *key)

    def _test(self, rate: RateLimitItem, *key: str) -> bool:
        try:
            return self._shared.test(rate, *key)
        except StorageError:
            return self._own.test(rate, *key)

    def _retry_after_s(self, rate: RateLimitItem, *key: str) -> int:
        try:
            until = self._shared.get_window_stats(rate, *key).reset_time
        except StorageError:
            until = self._own.get_window_stats(rate, *key).reset_time
        return max(1, math.ceil(until - clock.utcnow().timestamp()))
