"""Advice for what is wrong without a migration: guests, hosts, volumes.  Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from lmigrate.doctor.advice import Advice, Command, Way, cli, state, virsh
from lmigrate.host.reconcile import Anomaly
from lmigrate.states import LeakKind


def of_guest(anomaly: Anomaly | None, uuid: str, hosts: Sequence[str], active: Sequence[str]) -> Advice:
    """For a guest that is not where it should be; ``hosts`` have its domain, ``active`` of them a QEMU process for it."""
    look = (cli("where it was seen", "server", "show", uuid), *(state(host, uuid) for host in hosts))
    if anomaly is Anomaly.RUNS_ON_SEVERAL:
        return Advice(look, tuple(_keep(host, uuid, active) for host in active))
    if anomaly is Anomaly.DEFINED_ON_SEVERAL:
        return Advice(look, tuple(_start(host, uuid, hosts) for host in hosts))
    if anomaly is Anomaly.VANISHED:
        again = Way("it was not: define it again where its disks are, and its record is right again")
        return Advice(look, (Way("it was removed on purpose", (cli("its record and its history go", "server", "forget", uuid),)), again))
    return Advice(look, (Way("destroy neither copy: see the page"),))


def of_host(name: str, guests: int, *, is_libvirt_only: bool, is_forced: bool = False) -> Advice:
    """For a host that is down, with so many guests on record; ``is_forced``: because an operator said so."""
    look = (cli("why it is down", "host", "show", name), Command("its daemons", "systemctl status libvirtd lmigrate-host", name))
    unit = "libvirtd" if is_libvirt_only else "libvirtd lmigrate-host"
    restart = Command("guests go on running", f"systemctl restart {unit}", name)
    believe = cli("its heartbeats are believed again", "service", "force-down", name, "--unset")
    ways = [Way(f"{name} runs", (believe if is_forced else restart,))]
    if guests:
        # nobody else can prove that its guests do not run any more
        ways.append(Way(f"{name} is gone: cut its power before any of its {guests} guests is started elsewhere, else two copies run"))
    return Advice(look, tuple(ways))


def of_untaken(migration_id: int, host: str | None) -> Advice:
    """For a step that nobody does on ``host`` (None: the conductor), though its daemon lives."""
    unit = "lmigrate-conductor" if host is None else "lmigrate-host"
    look = Command("its workers, and whether one is stopped (T) or waits for a disk (D)", "ps -eo pid,stat,etime,args | grep celery", host)
    again = Command("guests go on running, and so do their moves", f"systemctl restart {unit}", host)
    return Advice((cli("what it waits for", "migration", "show", str(migration_id)), look), (Way("a worker there hangs", (again,)),))


def of_volume(uuid: str, backend: str) -> Advice:
    """For a volume that its storage refused."""
    look = (cli("what the storage said", "volume", "show", uuid), cli("the others there", "volume", "list", "--backend", backend))
    return Advice(look, (Way("mend the storage, then register the volume again under the same source name"),))


def of_leak(kind: LeakKind, place: str, subject: str) -> Advice:
    """For something that was left over at ``place`` and may matter."""
    return _LEAKS.get(kind, _no_advice)(place, subject)


def _leaked_domain(host: str, uuid: str) -> Advice:
    look = (state(host, uuid), cli("where its guest is", "server", "show", uuid), virsh(host, "its disks", "domblklist", uuid))
    what = "removes the definition; a disk that the migration made for it, and that nobody changed since, goes with the next look"
    remove = virsh(host, what, "undefine", "--keep-nvram", uuid)
    return Advice(
        look,
        (
            Way("the guest runs elsewhere, and this is shut off and holds nothing newer", (remove,)),
            Way("it runs here as well: see the page of a guest that runs on two hosts", (virsh(host, "ends it", "destroy", uuid), remove)),
        ),
    )


def _leaked_file(host: str, path: str) -> Advice:
    quoted = shlex.quote(path)
    look = Command("what it is, and when it was last written", f"find {quoted} -ls", host)
    users = Command("whether anything has it open", f"fuser -v {quoted}", host)
    remove = Command("removes it for good", f"rm -r {quoted}", host)
    return Advice((look, users), (Way("no guest needs it, here or anywhere that shares this directory", (remove,)),))


def _leaked_secret(host: str, uuid: str) -> Advice:
    return Advice(
        (virsh(host, "what it is for", "secret-dumpxml", uuid),),
        (Way("no domain of this host needs it", (virsh(host, "makes libvirt forget it", "secret-undefine", uuid),)),),
    )


def _leaked_session(host: str, target: str) -> Advice:
    look = Command("its devices, and what holds them", "iscsiadm --mode session --print 3", host)
    end = Command("logs the kernel out", f"iscsiadm --mode node --targetname {shlex.quote(target)} --logout", host)
    return Advice((look,), (Way("nothing on this host uses its devices: no guest, no mount, no volume group", (end,)),))


def _leaked_lock(host: str, uuid: str) -> Advice:
    look = Command("who holds it", "lslocks --output PID,COMMAND,PATH", host)
    again = Command("guests go on running, and so do their moves", "systemctl restart lmigrate-host", host)
    return Advice((look, cli("its migrations", "migration", "list", "--server", uuid)), (Way("that worker hangs", (again,)),))


def _stray_attachment(_backend: str, attachment: str) -> Advice:
    """Only Cinder keeps books of attachments by itself."""
    client = "openstack --os-volume-api-version 3.44 volume attachment"
    look = Command("whose it is, and since when", f"{client} show {shlex.quote(attachment)}")
    remove = Command("shuts that host out", f"{client} delete {shlex.quote(attachment)}")
    return Advice(
        (look,),
        (
            Way("no guest uses the volume through it: the host that the records name has another, which is completed", (remove,)),
            Way("Cinder refuses to delete it: only a service may, see docs/backends/cinder.md"),
        ),
    )


def _no_advice(_place: str, _subject: str) -> Advice:
    return Advice()


def _keep(host: str, uuid: str, active: Sequence[str]) -> Way:
    others = tuple(virsh(other, "ends this copy", "destroy", uuid) for other in active if other != host)
    return Way(f"{host} has the right copy: its console, its clients and its disks say so", others)


def _start(host: str, uuid: str, hosts: Sequence[str]) -> Way:
    others = tuple(virsh(other, "removes its definition", "undefine", "--keep-nvram", uuid) for other in hosts if other != host)
    return Way(f"its disks are on {host}", (*others, virsh(host, "starts it", "start", uuid)))


_LEAKS: dict[LeakKind, Callable[[str, str], Advice]] = {
    LeakKind.DOMAIN: _leaked_domain,
    LeakKind.DIRECTORY: _leaked_file,
    LeakKind.FILE: _leaked_file,
    LeakKind.PROBE: _leaked_file,
    LeakKind.SECRET: _leaked_secret,
    LeakKind.SESSION: _leaked_session,
    LeakKind.LOCK: _leaked_lock,
    LeakKind.STRAY: _stray_attachment,
}
