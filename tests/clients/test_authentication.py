"""Each way of showing who one is, with the documentation's clouds.yaml and each client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.app import create_app
from lmigrate.access import tokens
from lmigrate.config import settings
from lmigrate.states import Role
from tests.clients.client_process import Site, run, shell, site
from tests.clients.environments import ANSIBLE, NEWEST, SHELLS, Environment
from tests.clients.test_libraries import PROGRAMS
from tests.contract import api_world
from tests.served import served, without_broker

pytestmark = pytest.mark.one_database

CLOUDS = ["lmigrate", "lmigrate-basic", "lmigrate-password"]
As = Callable[[Role, str], Site]


@pytest.fixture
def known_as(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[As]:
    """The API that asks for tokens, and a client of it that has one of that role."""
    without_broker(monkeypatch)
    for name, value in {**api_world.SETTINGS, "LMIGRATE_AUTH__MODE": "token"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    api_world.populate()
    with served(create_app()) as url:

        def client(role: Role, cloud: str) -> Site:
            _, secret = tokens.create("ansible", role, "the tests")
            directory = tmp_path / f"{role.value}-{cloud}"
            directory.mkdir()
            return site(url, directory, cloud, secret)

        yield client


@pytest.mark.parametrize("environment", SHELLS, ids=lambda environment: environment.name)
def test_every_client_gets_in_by_every_way(known_as: As, environment: Environment, subtests: pytest.Subtests) -> None:
    for cloud in CLOUDS:
        with subtests.test(cloud=cloud), shell(environment, known_as(Role.READER, cloud)) as openstack:
            for command in ("server list", "server show web1", "server migration list", "compute service list"):
                answer = openstack(command)
                assert answer.code == 0, answer
            refused = openstack("server migrate --live-migration db1")
            assert (refused.code, "HTTP 403" in refused.err or "403:" in refused.err) == (1, True), refused


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_wrong_token_is_said_to_be_one(known_as: As, tmp_path: Path, cloud: str) -> None:
    wrong = site(known_as(Role.ADMIN, cloud).url, tmp_path, cloud, "lmt_wrong")
    with shell(NEWEST, wrong) as openstack:
        answer = openstack("server list")
    assert answer.code == 1
    assert "401" in answer.err


def test_an_operator_may_move_and_switch(known_as: As) -> None:
    with shell(NEWEST, known_as(Role.OPERATOR, "lmigrate")) as openstack:
        assert openstack("compute service set --disable --disable-reason repair node6 nova-compute").code == 0
        assert openstack("server migration abort web1 2").code == 0


def test_the_libraries_get_in_too(known_as: As) -> None:
    for cloud in CLOUDS:
        assert run(NEWEST, known_as(Role.READER, cloud), "python", PROGRAMS / "sdk_reads.py", "web1").code == 0
    at = known_as(Role.ADMIN, "lmigrate-none")
    _, secret = tokens.create("nova", Role.READER, "the tests")
    shown = {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": f"{at.url}/v2.1/", "OS_TOKEN": secret}
    assert run(NEWEST, at, "python", PROGRAMS / "novaclient_reads.py", "web1", **shown).code == 0


def test_the_nova_command_gets_in_by_the_small_keystone(known_as: As) -> None:
    at = known_as(Role.READER, "lmigrate-none")
    _, secret = tokens.create("nova", Role.READER, "the tests")
    variables = {
        "OS_CLOUD": "",
        "OS_AUTH_URL": f"{at.url}/identity/v3",
        "OS_USERNAME": "nova",
        "OS_PASSWORD": secret,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
    }
    listed = run(NEWEST, at, "nova", "list", **variables)
    assert (listed.code, "web1" in listed.out) == (0, True), listed
    moves = run(NEWEST, at, "nova", "server-migration-list", "web1", **variables)
    assert (moves.code, "running" in moves.out) == (0, True), moves


def test_ansible_reads_by_password(known_as: As, tmp_path: Path) -> None:
    at = known_as(Role.READER, "lmigrate-password")
    done = run(ANSIBLE, at, "ansible", "localhost", "-m", "openstack.cloud.server_info", "-a", "server=web1")
    assert (done.code, '"compute_host": "node5"' in done.out) == (0, True), done


def test_the_variables_of_the_page(known_as: As) -> None:
    at = known_as(Role.READER, "lmigrate-none")
    _, secret = tokens.create("shell", Role.READER, "the tests")
    endpoint = f"{at.url}/v2.1/"
    variables = {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": endpoint, "OS_TOKEN": secret, "OS_CLOUD": ""}
    variables |= {"OS_IDENTITY_API_VERSION": "3", "OS_IDENTITY_ENDPOINT_OVERRIDE": endpoint}
    listed = run(NEWEST, at, "openstack", "server", "list", **variables)
    assert (listed.code, "web1" in listed.out) == (0, True), listed
