"""Settings: the only place that reads the environment.

Each option can be set in the TOML file named by ``LMIGRATE_CONFIG`` (``[section] key``)
or in the environment (``LMIGRATE_SECTION__KEY``); the environment wins.
"""

from __future__ import annotations

import os
import socket
import tomllib
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from lmigrate import wrong_settings
from lmigrate.ids import endpoint, is_address, is_host_name, is_iscsi_name
from lmigrate.states import Role
from lmigrate.urls import is_broker_url, is_counters_url, is_database_url
from lmigrate.wrong_settings import WrongSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: so many in a span of time; empty: no limit
Rate = Annotated[str, Field(pattern=r"^([1-9]\d{0,8}/(second|minute|hour|day))?$")]


def _as_endpoint(value: str) -> str:
    endpoint(value, 1)
    return value


def _as_database_url(value: str) -> str:
    if not is_database_url(value):
        raise ValueError(
            "sqlite:////path or postgresql+psycopg://user:password@host:port/name is needed; @ : / ? and % in a password are written %40 %3A %2F %3F %25"
        )
    return value


def _as_broker_url(value: SecretStr) -> SecretStr:
    if not is_broker_url(value.get_secret_value()):
        raise ValueError("a URL is needed such as redis://user:password@host:6379/0, rediss://… or redis+socket:///path")
    return value


def _as_counters_url(value: SecretStr) -> SecretStr:
    if not is_counters_url(value.get_secret_value()):
        raise ValueError("memory:// or a URL is needed that begins with redis://, rediss:// or redis+unix://")
    return value


def _as_bind(value: str) -> str:
    try:
        endpoint(value, 0)
    except ValueError:
        raise ValueError("an address with a port from 1 to 65535 is needed, such as 127.0.0.1:8774 or [::1]:8774") from None
    return value


def _as_bind_or_socket(value: str) -> str:
    return value if value.startswith("unix:/") else _as_bind(value)


def _as_address(value: str) -> str:
    if not is_address(value):
        raise ValueError("a DNS name or an IP address is needed, without port or brackets")
    return value


def _as_iscsi_name(value: str) -> str:
    if not is_iscsi_name(value):
        raise ValueError("an iSCSI name is needed, such as iqn.2026-11.org.example:node5")
    return value


def _as_target_prefix(value: str) -> str:
    if not is_iscsi_name(f"{value}:{UUID(int=0)}"):
        raise ValueError("an iqn. name of at most 186 characters is needed, since :UUID of a volume is added to it")
    return value


def _as_subject(value: str) -> str:
    if {"{", "}"} & set(value.replace("{host}", "")):
        raise ValueError("{host} is the only thing in braces that may be there")
    return value


def _as_directory(value: Path) -> Path:
    if not value.is_absolute() or not str(value).isprintable():
        raise ValueError("an absolute path without control characters is needed")
    return value


#: what goes on into a URI, an XML, a command line or a list that commas divide
Endpoint = Annotated[str, AfterValidator(_as_endpoint)]
Bind = Annotated[str, AfterValidator(_as_bind)]
BindOrSocket = Annotated[str, AfterValidator(_as_bind_or_socket)]
Address = Annotated[str, AfterValidator(_as_address)]
IscsiName = Annotated[str, AfterValidator(_as_iscsi_name)]
TargetPrefix = Annotated[str, AfterValidator(_as_target_prefix)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
Subject = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_as_subject)]
Directory = Annotated[Path, AfterValidator(_as_directory)]


class DatabaseSettings(_Section):
    """Where the truth is kept."""

    url: Annotated[str, AfterValidator(_as_database_url)] = Field(
        "sqlite:////var/lib/lmigrate/lmigrate.sqlite",
        repr=False,
        description="SQLAlchemy URL: sqlite:////path or postgresql+psycopg://user:password@host/name.",
    )
    busy_timeout_s: float = Field(30.0, gt=0, description="How long SQLite waits for another writer, in seconds.")
    pool_size: int = Field(5, ge=1, description="Connections that a process keeps open (PostgreSQL).")
    connect_timeout_s: int = Field(5, ge=1, description="How long a new PostgreSQL connection may take, in seconds.")
    statement_timeout_s: float = Field(
        30.0,
        ge=1,
        description="How long a statement may take, waits for locks included, in seconds (PostgreSQL). Longer than silence_timeout_s: a lock that a dead process holds comes free by then.",
    )
    silence_timeout_s: float = Field(
        15.0,
        ge=1,
        description="After how many seconds a dead link, or a transaction in which nothing is asked any more, is given up (PostgreSQL). Both ends do so.",
    )


class BrokerSettings(_Section):
    """The Redis that carries Celery's messages."""

    url: Annotated[SecretStr, AfterValidator(_as_broker_url)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="redis://, rediss:// or redis+socket:// URL."
    )
    key_prefix: str = Field("lm:", description="Prefix of every key in Redis.")


class HostSettings(_Section):
    """The hypervisor host that a host daemon stands on."""

    name: str = Field(default_factory=socket.gethostname, description="Name of the host, as requests give it.")
    libvirt_uri: str = Field("qemu:///system", description="URI of the local libvirtd.")
    instances_path: Path = Field(Path("/var/lib/lmigrate/instances"), description="Directory with one directory per guest.")
    state_dir: Path = Field(Path("/run/lmigrate"), description="Directory of the locks that are held while a guest moves.")
    migration_address: Address | None = Field(
        None,
        description="Name or address at which the other hosts' libvirtd reach this one; it must stand in the TLS certificate. The host's name when unset.",
    )
    initiator_iqn: IscsiName | None = Field(
        None,
        description="iSCSI name that QEMU on this host logs in with; unset: made from the host's name.",
    )
    volume_initiator: Literal["qemu", "kernel"] = Field(
        "qemu",
        description="Who logs in to the iSCSI volumes of guests that arrive here: QEMU itself, or the kernel by os-brick (the extra `brick`).",
    )
    pki_dir: Path = Field(Path("/etc/pki"), description="Directory with CA/cacert.pem and libvirt/{server,client}cert.pem.")
    graphics_listen: str | None = Field(
        None,
        description="Address at which VNC, SPICE and serial ports of guests that arrive here listen; unset: as on the source.",
    )
    reserved_memory_mib: int = Field(512, ge=0, description="Memory that the scheduler leaves to the host itself, in MiB.")
    reserved_disk_mib: int = Field(0, ge=0, description="Disk space in the instances path that no check counts as free, in MiB.")
    heartbeat_interval_s: float = Field(10.0, gt=0, description="Seconds between two heartbeats (Nova: report_interval).")
    inventory_interval_s: float = Field(60.0, gt=0, description="Seconds between two full comparisons of libvirt with the records.")
    libvirt_deadline_s: float = Field(
        15.0, gt=0, description="How long a short libvirt call may take before the host counts as hung, in seconds."
    )
    concurrent_steps: int = Field(8, ge=1, description="Short steps that run side by side.")
    concurrent_migrations: int = Field(2, ge=1, description="Outgoing migrations that run side by side.")

    @field_validator("name")
    @classmethod
    def _host_name(cls, value: str) -> str:
        if not is_host_name(value):
            raise ValueError("a host's name consists of letters, digits, '-' and '.', at most 63 characters")
        return value

    @property
    def initiator(self) -> str:
        """The iSCSI name of this host."""
        return self.initiator_iqn or f"iqn.2026-11.org.lmigrate.host:{self.name}"

    @property
    def address(self) -> str:
        """What the other hosts' libvirtd connect to."""
        return self.migration_address or self.name


class SchedulerSettings(_Section):
    """Choice of the destination."""

    ram_allocation_ratio: float = Field(1.0, gt=0, description="Guest memory allowed per host memory (Nova: ram_allocation_ratio).")
    service_down_time_s: float = Field(
        60.0, gt=0, description="A host whose heartbeat is older than this is down, in seconds (Nova: service_down_time)."
    )
    max_attempts: int = Field(
        -1, ge=-1, description="Further hosts to try after a refused one; -1: until there is none left (Nova: migrate_max_retries)."
    )


class MigrationSettings(_Section):
    """How guests are moved."""

    tls: bool = Field(True, description="libvirt and QEMU speak TLS between hosts (qemu+tls, VIR_MIGRATE_TLS).")
    bandwidth_mib_s: int = Field(0, ge=0, description="Limit of one migration in MiB/s; 0: libvirt's own (Nova: live_migration_bandwidth).")
    max_downtime_ms: int = Field(
        500, ge=10, description="Longest pause at switchover that QEMU may plan with, in ms (Nova: live_migration_downtime)."
    )
    initial_downtime_ms: int = Field(
        50, ge=10, description="Pause permitted at the start, in ms; raised in steps to max_downtime_ms while the copy does not end."
    )
    downtime_steps: int = Field(10, ge=3, description="Number of raises (Nova: live_migration_downtime_steps).")
    downtime_delay_s: int = Field(75, ge=1, description="Seconds per GiB to copy between two raises (Nova: live_migration_downtime_delay).")
    auto_converge: bool = Field(True, description="QEMU may slow the guest's vCPUs when memory is dirtied faster than it is sent.")
    completion_timeout_s: int = Field(
        800, ge=0, description="Seconds per GiB after which timeout_action is taken; 0: never (Nova: live_migration_completion_timeout)."
    )
    timeout_action: str = Field(
        "abort",
        pattern="^(abort|force_complete)$",
        description="abort, or force_complete: switch to post-copy if that is permitted and possible, else pause the guest so that the copy ends.",
    )
    permit_post_copy: bool = Field(
        False,
        description="A guest may be run on the destination before its memory is there (Nova: live_migration_permit_post_copy); auto_converge is then not used.",
    )
    post_copy_bandwidth_mib_s: int = Field(0, ge=0, description="Limit of one migration in MiB/s after the switch to post-copy; 0: none.")
    post_copy_stall_s: float = Field(
        30.0, gt=0, description="A post-copy that moves nothing for so many seconds is taken for broken, and resumed over a new connection."
    )
    post_copy_retry_max_s: float = Field(
        15.0,
        gt=0,
        description="Longest pause between two tries to resume a broken post-copy, in seconds; the first is 1 s, each twice the last.",
    )
    post_copy_recovery_timeout_s: float = Field(
        3600.0, ge=0, description="After so many seconds without success a broken post-copy is held for an operator; both copies are kept."
    )
    progress_interval_s: float = Field(2.0, ge=0.1, description="Least seconds between two progress samples in SQL.")
    poll_interval_s: float = Field(0.5, gt=0, description="Seconds between two looks at the running job.")
    lease_s: float = Field(30.0, gt=0, description="A step whose lease is this old has lost its worker, in seconds.")
    sync_precheck_timeout_s: float = Field(60.0, gt=0, description="How long API versions before 2.34 wait for the checks, in seconds.")


class ApiSettings(_Section):
    """The HTTP API."""

    bind: BindOrSocket = Field("127.0.0.1:8774", description="Address and port to listen on, or unix:/path of a socket.")
    threads: int = Field(32, ge=1, description="Requests served side by side; a client before 2.34 holds one until the checks have ended.")
    max_body_bytes: int = Field(65536, ge=1024, description="Largest accepted request body.")
    tls: bool | None = Field(None, description="Serve HTTPS with the certificate of [tls]; unset: as soon as there is one.")
    proxies: list[str] = Field(
        default_factory=list,
        description="Networks (10.0.0.9/32), or `unix` for UNIX sockets, whose X-Forwarded-For, -Proto and -Host are believed: your proxy, and nobody else.",
    )
    caller_rate: Rate = Field(
        "6000/minute", description="Requests of one caller; more are answered 429. Without authentication nothing is counted."
    )
    address_rate: Rate = Field("12000/minute", description="Requests from one address, whoever asks.")
    failure_rate: Rate = Field(
        "20/minute", description="Wrong credentials from one address; after that it is answered 429 until the time is over."
    )
    rate_storage: Annotated[SecretStr, AfterValidator(_as_counters_url)] = Field(
        SecretStr("memory://"),
        description="Where requests are counted: memory:// (each API process for itself) or a redis://, rediss:// or redis+unix:// URL.",
    )
    read_timeout_s: float = Field(10.0, gt=0, description="How long a client may be silent in the middle of a request, in seconds.")
    request_timeout_s: float = Field(
        150.0,
        gt=0,
        description="A request that has not been answered by then is cut, in seconds; longer than migration.sync_precheck_timeout_s.",
    )

    @field_validator("proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for one in value:
            if one != "unix":
                ip_network(one)
        return value


class AuthSettings(_Section):
    """Who may use the API."""

    mode: Literal["auto", "token", "keystone", "none"] = Field(
        "auto",
        description="token: bearer tokens, HTTP basic, the small Keystone; keystone: those, and the tokens of a real Keystone (the extra `keystone`); none: whoever reaches it is the administrator; auto: none on loopback addresses and UNIX sockets without api.proxies, token anywhere else.",
    )
    session_lifetime_s: float = Field(3600.0, gt=0, description="How long a token that the small Keystone gives out is good, in seconds.")
    keystone: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Options of keystonemiddleware's [keystone_authtoken]: auth_type, auth_url, username, password, project_name, user_domain_id, www_authenticate_uri …",
    )
    keystone_roles: dict[str, Role] = Field(
        default_factory=dict,
        description="Role in Keystone → role here (a caller has the highest of theirs); unset: admin, operator and reader are called the same there.",
    )


class AuditSettings(_Section):
    """The record of every change that was asked for over HTTP."""

    keep_days: float = Field(365.0, gt=0, description="Events older than this are deleted, in days.")


class TlsSettings(_Section):
    """One certificate for everything that this machine says to others: the API's HTTPS, Redis (rediss:// URLs) and PostgreSQL.

    libvirt and QEMU read theirs from host.pki_dir.
    """

    ca_file: Path | None = Field(
        None, description="Certificates (PEM) that others' are checked against. With it PostgreSQL is spoken to with sslmode=verify-full."
    )
    cert_file: Path | None = Field(None, description="This machine's certificate (PEM), good as server and as client.")
    key_file: Path | None = Field(None, description="Its key (PEM), readable by the daemons only.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("tls.cert_file and tls.key_file go together")
        return self


class FlowerSettings(_Section):
    """Flower, the page that shows Celery's tasks."""

    bind: Bind = Field("127.0.0.1:5555", description="Address and port to listen on.")
    basic_auth: SecretStr | None = Field(None, description="user:password; Flower does not start without.")


class IscsiTgtBackend(_Section):
    """Volumes that tgtd serves: one target each, an ACL by initiator name, CHAP for each attachment."""

    driver: Literal["iscsi-tgt"]
    portal: Endpoint = Field(description="Address (and :port) at which the hosts reach tgtd.")
    directory: Directory = Field(description="Directory of the volumes' backing files, on the machine of tgtd.")
    iqn_prefix: TargetPrefix = Field("iqn.2026-11.org.lmigrate", description="Beginning of the targets' names.")
    control_port: int = Field(0, ge=0, le=32767, description="tgtd's --control-port, when several run on one machine.")
    chap: bool = Field(True, description="Each attachment gets a CHAP account of its own.")


class SharedDirectoryBackend(_Section):
    """Volumes that are files in a directory which every host mounts at the same path: NFS, CephFS, GFS2."""

    driver: Literal["shared-directory"]
    directory: Directory = Field(description="The directory, at the same path on every host and on the storage daemon's.")
    format: Literal["raw", "qcow2"] = Field("raw", description="Format of the volumes that are made.")


class LocalBackend(_Section):
    """Volumes that are files of one host: a migration copies their content to the same path on the destination."""

    driver: Literal["local"]
    directory: Directory = Field(description="The directory, at the same path on every host.")
    format: Literal["raw", "qcow2"] = Field("raw", description="Format of the volumes that are made.")


class NbdBackend(_Section):
    """Volumes that qemu-nbd serves over TLS: one process for each attachment, for one host's certificate."""

    driver: Literal["nbd"]
    address: Address = Field(description="Address to listen on, at which the hosts reach it; the server's certificate must name it.")
    directory: Directory = Field(description="Directory of the volumes' files and of the exports' records.")
    first_port: int = Field(10810, ge=1, le=65535, description="First TCP port for exports.")
    last_port: int = Field(11809, ge=1, le=65535, description="Last TCP port for exports.")
    pki_dir: Path = Field(Path("/etc/pki/qemu"), description="Directory with ca-cert.pem, server-cert.pem and server-key.pem.")
    client_subject: Subject = Field("CN={host}", description="Distinguished name in the certificate of the host named {host}.")

    @model_validator(mode="after")
    def _ports(self) -> Self:
        if self.first_port > self.last_port:
            raise ValueError(f"first_port {self.first_port} is above last_port {self.last_port}: give both, the lower one first")
        return self


class RbdBackend(_Section):
    """Images in a pool of a Ceph cluster: a Ceph user for each attachment."""

    driver: Literal["rbd"]
    pool: Word = Field(description="The pool of the images.")
    monitors: list[Endpoint] = Field(min_length=1, description="Address:port of each monitor, as the hosts reach them.")
    user: Word = Field("admin", description="Ceph user (without client.) of the storage daemon; it makes and removes users.")
    conf: Path = Field(Path("/etc/ceph/ceph.conf"), description="The cluster's configuration file.")


class CinderBackend(_Section):
    """Volumes of an OpenStack Block Storage service, through its attachments API (3.44).  Needs the extra `cinder`."""

    driver: Literal["cinder"]
    auth_type: str = Field("v3password", description="keystoneauth1's plugin: v3password, v3applicationcredential, none …")
    auth: dict[str, SecretStr] = Field(description="Options of that plugin: auth_url, username, password, project_name …")
    endpoint: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] | None = Field(
        None, description="The service's URL; unset: from Keystone's catalogue."
    )
    region: str | None = Field(None, description="Region in the catalogue.")
    timeout_s: float = Field(30.0, gt=0, description="How long one request may take, in seconds.")
    source_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]*(\{id\}[A-Za-z0-9._:/-]*)?$")] = Field(
        "iqn.2010-10.org.openstack:volume-{id}/1", description="What the backend behind Cinder calls the volume {id} when it exports it."
    )


Backend = Annotated[
    IscsiTgtBackend | SharedDirectoryBackend | LocalBackend | NbdBackend | RbdBackend | CinderBackend,
    Field(discriminator="driver"),
]


class StorageSettings(_Section):
    """Shared block storage."""

    backends: dict[Word, Backend] = Field(default_factory=dict, description="Name → driver and its options.")
    serves: str | None = Field(None, description="The backend that this storage daemon grants access to.")
    sweep_interval_s: float = Field(30.0, gt=0, description="Seconds between two comparisons of what the storage grants with the records.")
    leak_grace_s: float = Field(
        300.0,
        ge=0,
        description="Access that no record names is taken back when it has been seen for this long, in seconds; longer than host.inventory_interval_s.",
    )


class SecretSettings(_Section):
    """Encryption of secrets in the database."""

    keys: list[SecretStr] = Field(
        default_factory=list,
        description="Fernet keys, newest first: the first one encrypts, all of them decrypt. Needed as soon as there are volumes.",
    )

    @property
    def plain_keys(self) -> list[str]:
        """The keys themselves."""
        return [key.get_secret_value() for key in self.keys]


class ConductorSettings(_Section):
    """The conductor and its beat."""

    concurrency: int = Field(8, ge=1, description="Tasks that run side by side.")
    reconcile_interval_s: float = Field(5.0, gt=0, description="Seconds between two looks for migrations that stand still.")
    max_resends: int = Field(
        4, ge=1, description="A step before the move that nobody takes ends its attempt after so many re-sends, each pause twice the last."
    )
    sweep_interval_s: float = Field(300.0, gt=0, description="Seconds between two looks for leaks on every host and in the records.")
    hold_after_s: float = Field(
        300.0,
        gt=0,
        description="A migration that waits for a host which is down is held for an operator after so many seconds; it goes on by itself when the host is back.",
    )
    resend_after_s: float = Field(10.0, gt=0, description="A step that nobody claimed for this long is sent again, in seconds.")


class LogSettings(_Section):
    """Log lines on standard error."""

    format: str = Field("console", pattern="^(console|json)$", description="console or json.")
    level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")


class FaultSettings(_Section):
    """Fail points, for tests and labs only."""

    dir: Path | None = Field(None, description="Directory of fail point files; unset in production.")


class Settings(BaseSettings):
    """All settings of lmigrate; every process reads the same ones."""

    model_config = SettingsConfigDict(env_prefix="LMIGRATE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    host: HostSettings = Field(default_factory=HostSettings)
    scheduler: SchedulerSettings = Field(default_factory=SchedulerSettings)
    migration: MigrationSettings = Field(default_factory=MigrationSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    flower: FlowerSettings = Field(default_factory=FlowerSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    secrets: SecretSettings = Field(default_factory=SecretSettings)
    conductor: ConductorSettings = Field(default_factory=ConductorSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    faults: FaultSettings = Field(default_factory=FaultSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the TOML file; no .env file, no secrets directory."""
        del dotenv_settings, file_secret_settings
        named = os.environ.get("LMIGRATE_CONFIG")
        toml = (InitSettingsSource(settings_cls, _content(Path(named))),) if named else ()
        return (init_settings, env_settings, *toml)


def _content(file: Path) -> dict[str, Any]:
    """The file's settings.

    Raises:
        WrongSettings: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"LMIGRATE_CONFIG names {file}, which cannot be read ({error.strerror}). Correct it, or unset it for the defaults"
        raise WrongSettings(what=what) from error
    except ValueError as error:  # of TOML or of UTF-8; neither has more of the file in it than a character
        raise WrongSettings(what=f"{file}, which LMIGRATE_CONFIG names, is no TOML in UTF-8: {error}") from error


def host_epoch() -> str | None:
    """The epoch of the host daemon that started this process; None in any other."""
    return os.environ.get("LMIGRATE_HOST_EPOCH")


#: options whose value is in no message
_SECRET = frozenset(
    name
    for section in _Section.__subclasses__()
    for name, field in section.model_fields.items()
    if not field.repr or "SecretStr" in str(field.annotation)
)


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        WrongSettings: one is wrong, or there is no such; it says which.
    """
    known = {name: getattr(section.annotation, "model_fields", {}) for name, section in Settings.model_fields.items()}
    if (wrong := wrong_settings.of_variables(os.environ, known)) is not None:
        raise wrong
    try:
        return Settings()
    except ValidationError as error:
        raise wrong_settings.of_values(error, known, _SECRET) from None  # pydantic's own text shows the values
    except SettingsError as error:
        raise wrong_settings.of_json(error, os.environ) from None
