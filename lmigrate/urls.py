"""What the URLs of the settings may look like: of the database, the broker and the counters of requests."""

from __future__ import annotations

import re

#: as SQLAlchemy takes it apart; a password with an @ in it cannot be told from the host
_AUTHORITY = r"([^:/@]*(:[^@]*)?@)?(\[[^/?@]+\]|[^/:?@\[\]]*)(:(?P<port>[^/?@]*))?"
_SQLITE = re.compile(r"sqlite(\+pysqlite)?://(/.*)?\Z")
_POSTGRESQL = re.compile(rf"postgresql(\+psycopg)?://{_AUTHORITY}([/?].*)?\Z")
_REDIS = re.compile(rf"rediss?://{_AUTHORITY}([/?].*)?\Z")
#: memory: for tests, in one process
_WITHOUT_PORT = re.compile(r"redis\+socket://.+|memory://.*")
_COUNTERS = re.compile(r"memory://|rediss?://|redis\+unix://")


def is_database_url(text: str) -> bool:
    """Whether SQLAlchemy finds a database there that lmigrate can use."""
    return _SQLITE.match(text) is not None or _has_good_port(_POSTGRESQL.match(text))


def is_broker_url(text: str) -> bool:
    """Whether kombu finds a Redis there."""
    return _WITHOUT_PORT.match(text) is not None or _has_good_port(_REDIS.match(text))


def is_counters_url(text: str) -> bool:
    """Whether requests can be counted there."""
    return _COUNTERS.match(text) is not None


def is_port(text: str) -> bool:
    """Whether that is the number of a port."""
    return re.fullmatch("[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def _has_good_port(found: re.Match[str] | None) -> bool:
    return found is not None and (found["port"] is None or is_port(found["port"]))
