"""`lmigrate host`: hypervisor hosts, and the daemon that stands beside each libvirtd."""

from __future__ import annotations

from urllib.parse import quote

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.completion_cmd import hosts
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.exit_codes import Failure
from lmigrate.cli.render import moment, print_facts, print_rows, size
from lmigrate.errors import LmigrateError
from lmigrate.output import output_option, print_data

_MIB = 2**20
COLUMNS = {
    "NAME": lambda row: row["name"],
    "STATE": lambda row: row["state"],
    "ENABLED": lambda row: row["enabled"],
    "GUESTS": lambda row: row["use"]["instances"],
    "VCPUS": lambda row: f"{row['use']['vcpus']}/{row['vcpus']}",
    "MEMORY": lambda row: f"{size(row['use']['memory_mib'] * _MIB)} of {size(row['memory_mib'] * _MIB)}",
    "DISK FREE": lambda row: size(row["disk_free_bytes"]),
    "MOVING": lambda row: f"{row['use']['outgoing']} out, {row['use']['incoming']} in",
    "REASON": lambda row: row["down_reason"] or row["disabled_reason"],
}


@click.group()
def host() -> None:
    """Hypervisor hosts."""


@host.command("list")
@click.option("--name", help="Part of the name.")
@output_option
@click.pass_obj
def list_hosts(api: Endpoint, name: str | None, output: str) -> None:
    """List hosts.

    \b
    Examples:
      lmigrate host list
      lmigrate host list --name node -o yaml
    """
    print_rows(Client(api).pages("/v1/hosts", "hosts", name=name), COLUMNS, output)


@host.command("show")
@click.argument("name", shell_complete=hosts)
@output_option
@click.pass_obj
def show_host(api: Endpoint, name: str, output: str) -> None:
    """Show host NAME with what its daemon found out about it.

    \b
    Example:
      lmigrate host show node5
    """
    found = Client(api).get(_path(name))
    if output != "table":
        print_data(found, output)
    else:
        print_facts(_facts(found))


@host.command("enable")
@click.argument("name", shell_complete=hosts)
@click.pass_obj
def enable_host(api: Endpoint, name: str) -> None:
    """Let the scheduler choose host NAME as a destination again.

    \b
    Example:
      lmigrate host enable node5
    """
    Client(api).patch(_path(name), {"enabled": True})
    click.echo(f"Host {name} is enabled.")


@host.command("disable")
@click.argument("name", shell_complete=hosts)
@click.option("--reason", help="Why, for whoever looks at it later.")
@click.pass_obj
def disable_host(api: Endpoint, name: str, reason: str | None) -> None:
    """Do not choose host NAME as a destination any more; its guests may leave it.

    \b
    Example:
      lmigrate host disable node5 --reason "new memory"
    """
    Client(api).patch(_path(name), {"enabled": False, "reason": reason})
    click.echo(f"Host {name} is disabled: it is no destination; its guests stay until they are migrated.")


@host.command("run")
def run_host() -> None:
    """Run the daemon of this host, beside its libvirtd (needs the settings LMIGRATE_DATABASE__URL, LMIGRATE_BROKER__URL, …).

    Ends with 3 when a younger daemon speaks for this host.

    \b
    Example:
      LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml lmigrate host run
    """
    from lmigrate.cli.daemon_cmd import configured  # noqa: PLC0415 - the clients need neither settings nor libvirt
    from lmigrate.host.daemon import run_host_daemon  # noqa: PLC0415

    configured()
    try:
        code = run_host_daemon()
    except LmigrateError as error:
        raise Failure(str(error)) from error
    raise SystemExit(code)


def _path(name: str) -> str:
    return f"/v1/hosts/{quote(name, safe='')}"


def _facts(found: Json) -> dict[str, object]:
    use = found["use"]
    return {
        "Name": found["name"],
        "UUID": found["uuid"],
        "State": found["state"] if found["down_reason"] is None else f"down: {found['down_reason']}",
        "Enabled": found["enabled"] if found["disabled_reason"] is None else f"no: {found['disabled_reason']}",
        "Last seen": moment(found["last_seen_at"]),
        "Guests": f"{use['instances']}, {use['running']} running",
        "Moving": f"{use['outgoing']} out, {use['incoming']} in",
        "vCPUs": f"{use['vcpus']} of {found['vcpus']}",
        "Memory": f"{size(use['memory_mib'] * _MIB)} of {size(found['memory_mib'] * _MIB)}",
        "Kept for the host": size(found["reserved_memory_mib"] * _MIB),
        "Reserved": f"{size(use['reserved_memory_mib'] * _MIB)} for guests on their way",
        "Disk": f"{size(found['disk_free_bytes'])} of {size(found['disk_total_bytes'])} free in {found['instances_path']}",
        "CPU": f"{found['cpu'].get('model')} ({found['cpu'].get('vendor')}, {found['cpu'].get('arch')})",
        "Accelerators": ", ".join(found["virt_types"]),
        "QEMU": found["qemu_version"],
        "libvirt": found["libvirt_version"],
        "Address": found["migration_address"],
        "TLS": f"ready ({found['tls_reason']})" if found["tls_ready"] else f"not ready: {found['tls_reason']}",
    }
