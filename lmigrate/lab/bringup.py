"""Bring a lab up: each function makes sure of one thing and does nothing where it is so already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

from lmigrate.clock import utcnow
from lmigrate.lab import certificates, host_files, postgresql, redis, registration, secure, services
from lmigrate.lab.certificates import CertificateAuthority
from lmigrate.lab.errors import LabError, NoSuchLab, OptionsDiffer
from lmigrate.lab.node import Node
from lmigrate.lab.options import LabOptions
from lmigrate.lab.packages import require_programs, require_root
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.services import CTL
from lmigrate.lab.state import LabState
from lmigrate.lab.wait import wait_for

if TYPE_CHECKING:
    from lmigrate.lab.host import Host
    from lmigrate.lab.topology import Lab

_REDIS_DEADLINE_S = 10.0
_LIBVIRTD_DEADLINE_S = 60.0
_SCHEMA_DEADLINE_S = 120.0


def prepare(options: LabOptions) -> None:
    """Refuse what cannot work before anything is touched."""
    require_root()
    require_programs(options.database)


def remember(paths: LabPaths, options: LabOptions) -> LabState:
    """The state of the lab: the one on file, or a new one.

    Raises:
        OptionsDiffer: the lab stands and is another one.
    """
    try:
        state = LabState.load(paths)
    except NoSuchLab:
        state = LabState.make(options)
        state.save(paths)
        return state
    if difference := state.options.difference(options):
        raise OptionsDiffer(lab_id=options.lab_id, difference=difference)
    if options.daemons and not state.options.daemons:
        state = replace(state, options=options)
        state.save(paths)
    return state


def bring_up(lab: Lab, say: Callable[[str], None], *, daemons: bool) -> None:
    """Start everything of ``lab`` that does not run."""
    say(f"lab {lab.options.lab_id} in {lab.paths.top}: {lab.accel.name.upper()} ({lab.accel.reason})")
    _make_directories(lab)
    _start_centre(lab)
    say(f"redis{' and postgresql' if lab.options.database == 'postgresql' else ''} at {lab.state.addresses[CTL]}")
    lab.front.start(mounts=host_files.front_mounts(), own_network=False)
    for host in lab.hosts.values():
        _start_node(lab, host)
    _wait_for_libvirt(lab, list(lab.hosts.values()))
    for host in lab.hosts.values():
        say(f"{host.name} at {host.address}: libvirtd ({'TLS' if lab.options.tls else 'plain TCP'}), {lab.options.instances} instances")
    if daemons:
        _start_daemons(lab, say)


def start_host(lab: Lab, host: Host) -> None:
    """Start one host with its libvirtd."""
    _start_node(lab, host)
    _wait_for_libvirt(lab, [host])


def _make_directories(lab: Lab) -> None:
    paths = lab.paths
    for directory in (paths.faults, paths.logs, paths.sqlite.parent, *(host.instances_dir for host in lab.hosts.values())):
        directory.mkdir(parents=True, exist_ok=True)


def _start_centre(lab: Lab) -> None:
    uses_postgresql = lab.options.database == "postgresql"
    if not lab.ctl.is_up:
        host_files.write_etc(lab.paths, CTL, lab.state.addresses)
    if lab.options.secure:
        secure.write_certificates(lab.paths, lab.state)
    redis.write_configuration(lab.paths, lab.state)
    mounts = host_files.common_mounts(lab.paths, CTL)
    if uses_postgresql:
        postgresql.make_directories(lab.paths)
        mounts += postgresql.mounts(lab.paths)
    lab.ctl.start(mounts=mounts, own_network=True)
    lab.network.ensure_bridge(lab.state.addresses[CTL])
    lab.start_daemon("redis")
    lab.start_daemon("tgtd")
    if uses_postgresql:
        postgresql.make_cluster(lab.paths, lab.state, lab.ctl)
        lab.start_daemon("postgresql")
        postgresql.wait_and_create(lab.paths, lab.state, lab.ctl)
    wait_for("Redis", lambda: redis.answers(lab.paths), deadline_s=_REDIS_DEADLINE_S, log=lab.paths.log(CTL, "redis"))


def _start_node(lab: Lab, host: Host) -> None:
    paths, options = lab.paths, lab.options
    if not host.is_up:  # the upper side of a mounted overlay is not written from outside
        _write_host_files(lab, host)
    host.start(mounts=host_files.host_mounts(paths, host.name, instances=options.instances, kvm=lab.accel.is_kvm), own_network=True)
    lab.network.ensure_link(host.name, host.first_pid, host.index, host.address)
    lab.start_daemon("libvirtd", host.name)


def _write_host_files(lab: Lab, host: Host) -> None:
    paths, options = lab.paths, lab.options
    host_files.write_etc(paths, host.name, lab.state.addresses)
    host_files.write_libvirt(paths, options.lab_id, host.name, tls=options.tls)
    if options.tls:
        authority = CertificateAuthority.load_or_make(paths.certificates, options.lab_id)
        certificates.install(paths.node(host.name) / "etc/pki", authority, host.name, host.address)


def _wait_for_libvirt(lab: Lab, hosts: list[Host]) -> None:
    """Wait for each libvirtd to answer over the network, and fill its QEMU capability cache.

    The first migration would otherwise pay for an empty one.
    """
    for host in hosts:
        socket = host.file("/run/libvirt/libvirt-sock")
        wait_for(f"libvirtd on {host.name}", socket.exists, deadline_s=_LIBVIRTD_DEADLINE_S, log=lab.paths.log(host.name, "libvirtd"))
    virttype = "kvm" if lab.accel.is_kvm else "qemu"
    scheme = "qemu+tls" if lab.options.tls else "qemu+tcp"
    warming = {
        host.name: host.popen(
            ["virsh", "--connect", f"{scheme}://{host.name}/system", "domcapabilities", "--virttype", virttype],
            stdout=PIPE,
            stderr=STDOUT,
            text=True,
        )
        for host in hosts
    }
    for name, process in warming.items():
        output, _ = process.communicate(timeout=_LIBVIRTD_DEADLINE_S)
        if process.returncode != 0:
            raise LabError(f"libvirtd on {name} does not serve {scheme}: {output.strip()}")


def _start_daemons(lab: Lab, say: Callable[[str], None]) -> None:
    upgraded = lab.front.run(services.lmigrate_command("db", "upgrade"), timeout_s=_SCHEMA_DEADLINE_S)
    if upgraded.returncode != 0:
        raise LabError(f"`lmigrate db upgrade` failed: {upgraded.stderr.strip()[-2000:]}")
    secure.make_token(lab)
    began = utcnow()
    started = {node.name for node in lab.nodes.values() if "host" in _start_all(lab, node)}
    registration.wait_for_hosts(lab, dict.fromkeys(started, began))
    say(f"API at {lab.url}, Flower at {lab.flower_url} (lab:{lab.state.flower_password})")


def _start_all(lab: Lab, node: Node) -> list[str]:
    """Start every daemon of a node that does not run; their names."""
    known = services.commands(lab.paths, lab.state, node.name)
    own = {name: services.daemon_environment(lab.paths, lab.state, node.name, name) for name in known}
    return [name for name, argv in known.items() if node.start_daemon(name, argv, own[name])]
