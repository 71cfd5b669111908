"""A large fleet in PostgreSQL, written by the server itself: hosts, instances with disks, migrations with their stories."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import text

from lmigrate.config import settings
from lmigrate.db.session import make_engine

SCRIPT = Path(__file__).with_name("fleet.sql")


@dataclass(frozen=True)
class Fleet:
    """How much of everything there is."""

    hosts: int = 1_000
    instances: int = 20_000
    migrations: int = 200_000
    running: int = 200  # migrations in progress, of the newest
    stories: int = 200_000  # migrations with steps, samples and events, of the newest


def host_name(number: int) -> str:
    """The name of the host with that number, from 1."""
    return f"node{number:04}"


def instance_uuid(number: int) -> str:
    """The UUID of the instance with that number, from 1."""
    return f"10000000-0000-4000-8000-{number:012x}"


def volume_uuid(number: int) -> str:
    """The UUID of the volume with that number; each tenth instance has the one of its own number."""
    return f"70000000-0000-4000-8000-{number:012x}"


def fill(fleet: Fleet) -> None:
    """Write the fleet into the database of the settings, which has to be a PostgreSQL, and gather statistics."""
    numbers = asdict(fleet)
    patient = make_engine(settings().database.model_copy(update={"statement_timeout_s": 3600.0}))
    with patient.begin() as connection:
        for statement in SCRIPT.read_text().split(";\n\n"):
            connection.execute(text(statement), {name: value for name, value in numbers.items() if f":{name}" in statement})
    with patient.begin() as connection:
        connection.execute(text("ANALYZE"))
    patient.dispose()
