"""OpenStack's own programs, unmodified, pointed at an API by the documentation's example of a clouds.yaml."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import DIRECTORY, EXAMPLES, Environment

_DRIVER = Path(__file__).with_name("drive_openstack.py")
_EXAMPLE_URLS = ("http://127.0.0.1:8774", "https://lmigrate.example:8774")
_EXAMPLE_CA = "/etc/lmigrate/pki/ca.pem"
PATIENCE_S = 120


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for a program."""
        assert self.code == 0, self
        return json.loads(self.out)


@dataclass(frozen=True)
class Site:
    """One API, as the clients are told about it.

    Attributes:
        url: where it is.
        directory: holds what would be in the user's home directory.
        cloud: which entry of clouds.yaml the commands use.
    """

    url: str
    directory: Path
    cloud: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a client: nothing of the user who runs the tests."""
        return {
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "COLUMNS": "400",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(DIRECTORY / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "LMIGRATE_URL": self.url,
            "OS_CLIENT_CONFIG_FILE": str(self.directory / "clouds.yaml"),
            "OS_CLOUD": self.cloud,
        }


def site(url: str, directory: Path, cloud: str, secret: str = "SECRET", *, user: str = "ansible", ca_file: Path | None = None) -> Site:
    """Lay the example's clouds.yaml into ``directory``, with ``url`` for the addresses in it and ``secret`` for ``user``'s token.

    ``ca_file`` is the authority's, for the entry that names one.
    """
    said = {**dict.fromkeys(_EXAMPLE_URLS, url), "SECRET": secret, "username: ansible": f"username: {user}"}
    if ca_file is not None:
        said[_EXAMPLE_CA] = str(ca_file)
    text = (EXAMPLES / "clouds.yaml").read_text()
    for example, ours in said.items():
        text = text.replace(example, ours)
    (directory / "clouds.yaml").write_text(text)
    return Site(url, directory, cloud)


class Shell:
    """The `openstack` command of one environment, kept running between commands (each start costs a second of CPU)."""

    def __init__(self, environment: Environment, driver: subprocess.Popen[str]) -> None:
        self.environment = environment
        self._driver = driver

    def __call__(self, arguments: str) -> Answer:
        """``openstack ARGUMENTS``."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps(shlex.split(arguments)) + "\n")
        self._driver.stdin.flush()
        return Answer(**json.loads(self._driver.stdout.readline()))


@contextlib.contextmanager
def shell(environment: Environment, at: Site) -> Iterator[Shell]:
    """The `openstack` command of ``environment`` for ``at``."""
    argv: list[str | Path] = [environment.python, "-P", _DRIVER]  # -P: modules of the tests are not in the way
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, env=at.variables, cwd=at.directory, **pipes) as driver:
        yield Shell(environment, driver)
        assert driver.stdin is not None
        driver.stdin.close()


def run(environment: Environment, at: Site, program: str, *arguments: str | Path, **variables: str) -> Answer:
    """A program of ``environment``, from start to end."""
    argv = [environment.program(program), *arguments]
    done = subprocess.run(
        argv, env=at.variables | variables, cwd=at.directory, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)
