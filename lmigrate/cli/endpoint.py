"""Which API the command line speaks to: options, variables, profiles of a file.

Each of these may name an address, a token and certificates; the first that names an address wins:

1. options: ``--url``; without ``--profile`` also the variables ``LMIGRATE_URL``, ``LMIGRATE_TOKEN``, …;
2. a profile: ``--profile``, ``LMIGRATE_PROFILE``, or the one that the file chooses as ``profile``;
3. OpenStack's variables: ``OS_ENDPOINT``, ``OS_TOKEN``, …;
4. ``http://127.0.0.1:8774``.

Beside a ``--url`` that is not ``LMIGRATE_URL``'s, the variables for the token and your own certificate do not
count: they were set for that address.

Token and certificates come from there too, or from what stands above it: never from below, so that no token goes to an address that it was
not meant for.
"""

from __future__ import annotations

import os
import ssl
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lmigrate.cli.exit_codes import ExitCode, Failure

DEFAULT_URL = "http://127.0.0.1:8774"
#: what a profile may say
_KEYS = ("url", "token", "cacert", "cert", "key")
_CREDENTIALS = frozenset({"token", "cert", "key"})


@dataclass(frozen=True)
class Endpoint:
    """Where the API is, and how it is spoken to.

    Attributes:
        url: its address; None: to be looked up.
        token: sent as a bearer token.
        ca_file: what its certificate is checked against, instead of the system's authorities.
        cert_file: a certificate of the client's own, for a proxy that asks for one; ``key_file`` is its key.
        profile: the section of the configuration file that was asked for.
    """

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    profile: str | None = None

    def tls(self) -> ssl.SSLContext:
        """How certificates are checked.

        Raises:
            Failure: a file cannot be read, or is not what it should be.
        """
        try:
            made = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                made.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(one) for one in (self.ca_file, self.cert_file, self.key_file) if one is not None)
            message = f"A certificate or key cannot be used ({error}): {files}. See --cacert, --cert and --key."
            raise Failure(message, ExitCode.USAGE) from error
        return made


def said_in(root: click.Context) -> Endpoint:
    """What the options and variables of `lmigrate` said, without the variables that do not count beside those options."""
    ignored = _ignored_variables(root)
    values = {name: None if name in ignored and _is_from_environment(root, name) else value for name, value in root.params.items()}
    files = [values.get(name) for name in ("cacert", "cert", "key")]
    return Endpoint(
        values.get("url"), values.get("token"), ca_file=files[0], cert_file=files[1], key_file=files[2], profile=values.get("profile")
    )


def _ignored_variables(root: click.Context) -> frozenset[str]:
    """Beside ``--profile`` all; beside a ``--url`` the credentials that were set for the other one in ``LMIGRATE_URL``."""
    typed = [name for name in root.params if root.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if "profile" in typed:
        return frozenset(root.params)
    set_for = os.environ.get("LMIGRATE_URL", "").rstrip("/")
    is_elsewhere = "url" in typed and set_for not in {"", root.params["url"].rstrip("/")}
    return _CREDENTIALS if is_elsewhere else frozenset()


def _is_from_environment(root: click.Context, name: str) -> bool:
    return root.get_parameter_source(name) is ParameterSource.ENVIRONMENT


def completion_timeout_s() -> float:
    """How long a shell waits for names while its user types: LMIGRATE_COMPLETION_TIMEOUT_S, or a second."""
    try:
        return float(os.environ.get("LMIGRATE_COMPLETION_TIMEOUT_S", "1"))
    except ValueError:
        return 1.0  # the line being typed is no place for a message


def config_file() -> Path:
    """Where profiles are: ``~/.config/lmigrate/config.toml``, or below ``XDG_CONFIG_HOME``."""
    return Path(click.get_app_dir("lmigrate")) / "config.toml"


def resolve(said: Endpoint, variables: Mapping[str, str] | None = None) -> Endpoint:
    """The API that is meant, when ``said`` is what the command line said.

    Raises:
        Failure: there is no such profile, or the file is wrong.
    """
    if said.url:
        return said
    layers = [
        said,
        _profile(said.profile, config_file()),
        _openstack(os.environ if variables is None else variables),
        Endpoint(DEFAULT_URL),
    ]
    depth = next(index for index, layer in enumerate(layers) if layer.url)
    near = layers[: depth + 1]
    return Endpoint(**{item.name: next(filter(None, (getattr(layer, item.name) for layer in near)), None) for item in fields(Endpoint)})


def _profile(name: str | None, file: Path) -> Endpoint:
    """A profile of the file; without ``name`` the one that the file chooses, if it does."""
    content = _content(file)
    name = name or content.get("profile")
    if name is None:
        return Endpoint()
    profiles = content.get("profiles", {})
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise Failure(
            f"There is no profile {name!r} in {file} (there: {known}). Add a section [profiles.{name}] with url = …", ExitCode.USAGE
        )
    return _of_profile(profiles[name], f"{file}: profile {name}")


def _of_profile(profile: Mapping[str, str], where: str) -> Endpoint:
    """A profile's section as an endpoint."""
    wrong = [key for key in profile if key not in _KEYS]
    if wrong:
        raise Failure(f"{where}: there is no {wrong[0]!r}. It may say {', '.join(_KEYS)}.", ExitCode.USAGE)
    if not profile.get("url"):
        raise Failure(f"{where} does not say where the API is: add url = …", ExitCode.USAGE)
    files = [_path(profile.get(name)) for name in ("cacert", "cert", "key")]
    return Endpoint(profile["url"], profile.get("token"), ca_file=files[0], cert_file=files[1], key_file=files[2])


def _path(name: str | None) -> Path | None:
    return Path(name).expanduser() if name else None


def _content(file: Path) -> dict[str, Any]:
    """The file; nothing when there is none.

    Raises:
        Failure: it cannot be read, or others can read the tokens in it.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        is_open = bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failure(f"{file} cannot be read: {error}", ExitCode.USAGE) from error
    if is_open and any("token" in profile for profile in content.get("profiles", {}).values()):
        raise Failure(f"{file} holds a token, and others on this machine can read it: chmod 600 {file}", ExitCode.USAGE)
    return content


def _openstack(variables: Mapping[str, str]) -> Endpoint:
    """What OpenStack's clients read. They name the compute API itself: its address without the version is ours."""
    endpoint = variables.get("OS_ENDPOINT")
    token = variables.get("OS_PASSWORD" if variables.get("OS_AUTH_TYPE") == "http_basic" else "OS_TOKEN")
    url = None if endpoint is None else endpoint.rstrip("/").removesuffix("/v2.1")
    files = [_path(variables.get(name)) for name in ("OS_CACERT", "OS_CERT", "OS_KEY")]
    return Endpoint(url, token, ca_file=files[0], cert_file=files[1], key_file=files[2])
