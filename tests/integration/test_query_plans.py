"""No list and no show has to read a whole table that grows with the fleet: PostgreSQL says how it would go about each query.

A table of a test is so small that reading all of it is quickest.  So the planner is told not to, and does it
only where no index helps.  At full size, and as it likes, it is asked by `make bench-api`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from lmigrate.config import settings
from lmigrate.db.session import engine
from tests.databases import PostgresqlDatabases
from tests.factories.fleet import Fleet, fill
from tests.query_plans import LEFT_OUT, READ_EVERY_SERVER, WHOLE, plan_of, queries_of, requests, rows_read
from tests.servers import postgresql_server

SMALL = Fleet(hosts=60, instances=3_000, migrations=6_000, running=20, stories=500)


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    with postgresql_server() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "LMIGRATE_DATABASE__URL", PostgresqlDatabases(directory).upgraded())
        settings.cache_clear()
        engine.cache_clear()
        fill(SMALL)
        yield create_app().test_client()
        engine().dispose()
        engine.cache_clear()
    settings.cache_clear()


def test_no_table_that_grows_is_read_as_a_whole(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for path in requests(SMALL):
        with subtests.test(path=path):
            asked = queries_of(client, path)
            assert asked
            for statement, parameters in asked:
                assert WHOLE.findall(plan_of(statement, parameters, avoids_scans=True)) == [], statement


def test_a_scan_would_be_noticed(client: FlaskClient) -> None:
    assert WHOLE.search(plan_of("SELECT * FROM migrations WHERE error = 'x'", (), avoids_scans=True))
    assert WHOLE.search(plan_of("SELECT * FROM migrations WHERE error = 'x' ORDER BY created_at, id LIMIT 1", (), avoids_scans=True))


def test_what_the_goal_leaves_out_is_known_by_name(client: FlaskClient) -> None:
    assert not LEFT_OUT.keys() & set(requests(SMALL))
    read = {path: max(rows_read(*query) for query in queries_of(client, path)) for path in LEFT_OUT}
    assert {path for path, rows in read.items() if rows >= SMALL.instances} == READ_EVERY_SERVER.keys()
