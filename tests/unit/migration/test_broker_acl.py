"""A host's user in Redis takes from its own queues and sees nothing else; asked of a real Redis, command by command."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from lmigrate.migration.broker_acl import centre_user, host_user, storage_user
from tests.servers import redis_server

PREFIX = "lm:"
USERS = [centre_user(PREFIX), host_user("node5", PREFIX), host_user("node50", PREFIX), storage_user("san1", "stor1", PREFIX)]


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    with redis_server() as url, closing(redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))) as client:
        for user in USERS:
            ask(client, "ACL", "SETUSER", *user.line(hashlib.sha256(b"secret").hexdigest()).split()[1:4], *_rules(user.rules))
        yield client


def _rules(text: str) -> list[str]:
    """A selector in brackets is one rule."""
    return re.findall(r"\([^)]*\)|\S+", text)


def may(server: redis.Redis, user: str, *command: str) -> bool:
    return ask(server, "ACL", "DRYRUN", user, *command) in {b"OK", "OK"}


def ask(client: redis.Redis, *words: str) -> object:
    answer: object = client.execute_command(*words)  # type: ignore[no-untyped-call]
    return answer


OWN = [
    ("BRPOP", "lm:host.node5", "lm:host.node5.migrate", "1"),
    ("HSET", "lm:unacked.node5", "tag", "message"),
    ("ZADD", "lm:unacked_index.node5", "1", "tag"),
    ("SET", "lm:unacked_mutex.node5", "x"),
    ("SADD", "lm:_kombu.binding.host.node5", "x"),
    ("LPUSH", "lm:conductor", "message"),
    ("LPUSH", "lm:host.node6", "message"),
    ("LPUSH", "lm:storage.san1", "message"),
    ("PING",),
]
OTHERS = [
    ("BRPOP", "lm:host.node6", "1"),
    ("BRPOP", "lm:host.node50", "1"),
    ("BRPOP", "lm:host.node5.migrate.x", "1"),
    ("RPOP", "lm:conductor"),
    ("LRANGE", "lm:host.node6", "0", "-1"),
    ("HGET", "lm:unacked.node6", "tag"),
    ("HGET", "lm:unacked.node50", "tag"),
    ("DEL", "lm:host.node6"),
    ("LPUSH", "other:key", "x"),
    ("SET", "lm:host.node6", "x"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/"),
    ("SHUTDOWN",),
    ("MONITOR",),
    ("SUBSCRIBE", "x"),
    ("CLIENT", "KILL", "ID", "1"),
    ("CLIENT", "PAUSE", "1000"),
    ("ACL", "LIST"),
    ("DEBUG", "SLEEP", "1"),
    ("REPLICAOF", "192.0.2.1", "6379"),
    ("MODULE", "LIST"),
]


@pytest.mark.parametrize("command", OWN, ids=" ".join)
def test_a_host_may_do_its_work(server: redis.Redis, command: tuple[str, ...]) -> None:
    assert may(server, "host.node5", *command)


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_a_host_may_do_nothing_else(server: redis.Redis, command: tuple[str, ...]) -> None:
    assert not may(server, "host.node5", *command)


def test_a_script_may_do_no_more_than_its_host(server: redis.Redis) -> None:
    with redis.Redis(
        unix_socket_path=str(server.connection_pool.connection_kwargs["path"]), username="host.node5", password="secret"
    ) as host:
        with pytest.raises(redis.ResponseError, match=r"(?i)permission|NOPERM|can't run"):
            host.eval("return redis.call('LRANGE', 'lm:host.node6', 0, -1)", 0)
        with pytest.raises(redis.ResponseError, match=r"(?i)permission|NOPERM|can't run"):
            host.eval("return redis.call('FLUSHALL')", 0)


def test_nobody_may_empty_or_stop_redis(server: redis.Redis) -> None:
    for user in USERS:
        for command in (("FLUSHALL",), ("SHUTDOWN",), ("CONFIG", "SET", "dir", "/")):
            assert not may(server, user.name, *command)


def test_the_centre_reaches_lmigrates_queues_only(server: redis.Redis) -> None:
    assert may(server, "centre", "RPOP", "lm:host.node6")
    assert not may(server, "centre", "RPOP", "other:queue")


def test_the_command_prints_a_file_that_redis_loads(tmp_path_factory: pytest.TempPathFactory) -> None:
    from click.testing import CliRunner

    from lmigrate.cli.main import main

    done = CliRunner().invoke(main, ["broker", "acl", "--host", "node5", "--storage", "san1=stor1"])
    assert done.exit_code == 0, done.output
    passwords = dict(line.split() for line in done.stderr.splitlines())
    assert set(passwords) == {"centre", "host.node5", "storage.san1"}
    assert not any(password in done.stdout for password in passwords.values())
    directory = tmp_path_factory.mktemp("acl")
    (directory / "users.acl").write_text(done.stdout)
    checked = ["redis-server", "--port", "0", "--unixsocket", f"{directory}/r.sock", "--aclfile", f"{directory}/users.acl", "--save", ""]
    server = subprocess.Popen(checked, stdout=subprocess.DEVNULL, cwd=directory)
    try:
        client = redis.Redis(unix_socket_path=f"{directory}/r.sock", username="host.node5", password=passwords["host.node5"])
        _until_up(client)
        assert client.llen("lm:host.node5") == 0
    finally:
        server.terminate()
        server.wait()


def _until_up(client: redis.Redis) -> None:
    import time

    until = time.monotonic() + 30
    while True:
        try:
            client.ping()
            return
        except (redis.ConnectionError, FileNotFoundError):
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("name", ["node5 ~*", "a/b", "", "node5\nuser eve on nopass ~* +@all", "x.migrate"])
def test_a_name_cannot_widen_the_rules(name: str) -> None:
    from click.testing import CliRunner

    from lmigrate.cli.main import main

    assert CliRunner().invoke(main, ["broker", "acl", "--host", name]).exit_code == 2
