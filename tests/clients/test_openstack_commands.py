"""The `openstack` command in three versions, unmodified, over real HTTP."""

from __future__ import annotations

import pytest

from tests.clients.client_process import Site, shell
from tests.clients.commands import COMMANDS
from tests.clients.environments import SHELLS, Environment


@pytest.mark.parametrize("environment", SHELLS, ids=lambda environment: environment.name)
def test_every_command_of_the_page(api: Site, environment: Environment, subtests: pytest.Subtests) -> None:
    with shell(environment, api) as openstack:
        for command in COMMANDS:
            with subtests.test(command=command.line):
                answer = openstack(command.for_client(environment))
                printed = answer.out + answer.err
                assert answer.code == command.code, answer
                assert not [word for word in command.shows if word not in printed], printed
