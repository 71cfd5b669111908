"""The host's own row: what libvirt says of it, and which daemon speaks for it."""

from __future__ import annotations

from typing import Any

import structlog

from lmigrate import clock
from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Host
from lmigrate.db.session import writing
from lmigrate.db.stores import reports
from lmigrate.errors import HypervisorError, HypervisorUnavailable, LmigrateError
from lmigrate.host.connector import find_connector
from lmigrate.host.disk_watch import DiskWatch
from lmigrate.host.tls import check_tls
from lmigrate.ids import new_uuid
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import HostFacts

log = structlog.get_logger(__name__)


class HostNameTaken(LmigrateError):
    """A host {name} with libvirt's host UUID {other} is alive; this one has {uuid}. Set LMIGRATE_HOST__NAME."""


class HostUuidTaken(LmigrateError):
    """libvirt's host UUID {uuid} is that of {other}. Set host_uuid in libvirtd.conf, or name this host {other}."""


class Registration:
    """Writes the row of one host on behalf of one start of its daemon."""

    def __init__(self, settings: Settings, hypervisor: Hypervisor, disk: DiskWatch, epoch: str) -> None:
        self._settings = settings
        self._hypervisor = hypervisor
        self._disk = disk
        self.epoch = epoch

    @property
    def host(self) -> str:
        """The host's name."""
        return self._settings.host.name

    def begin(self) -> None:
        """Speak for the host from now on, instead of every earlier daemon.

        If libvirtd does not answer, a host that is known is taken over as it is, and is down.

        Raises:
            HypervisorError: libvirtd does not answer, and the host has never registered.
            HostNameTaken, HostUuidTaken: this is not the host that it says it is.
        """
        try:
            facts = self._facts()
        except HypervisorError as error:
            if not self._take_over(str(error)):
                raise
            log.warning("libvirtd does not answer; the host is down until it does", reason=str(error))
            return
        self._register(facts, is_start=True)

    def refresh(self) -> None:
        """Write what has changed since: an upgraded QEMU, more memory, another path."""
        self._register(self._facts(), is_start=False)

    def _facts(self) -> HostFacts:
        facts = self._hypervisor.facts()
        if not facts.uuid:
            raise HypervisorUnavailable(host=self.host, reason="libvirt does not tell the host's UUID")
        return facts

    def _register(self, facts: HostFacts, *, is_start: bool) -> None:
        values, at_start = self._values(facts), {**self._measured(), **self._start()}
        with writing() as session:
            mine = self._mine(reports.lock_namesakes(session, self.host, facts.uuid), facts.uuid)
            if mine is None:
                reports.add(session, {**values, **at_start, "service_uuid": new_uuid()})
                changed = sorted(values)
            elif is_start or mine.epoch == self.epoch:
                changed = reports.change(mine, {**values, **(at_start if is_start else {})})
            else:
                return  # a younger daemon speaks for the host; the heartbeat finds out and says so
        if is_start or changed:
            log.info("registered the host", uuid=facts.uuid, changed=changed)

    def _mine(self, rows: list[Host], uuid: str) -> Host | None:
        """The row of this host's name, provided that no other host claims the name or the UUID."""
        for row in rows:
            if row.name != self.host:
                raise HostUuidTaken(uuid=uuid, other=row.name)
            if row.uuid != uuid and self._is_alive(row):
                raise HostNameTaken(name=row.name, other=row.uuid, uuid=uuid)
        return rows[0] if rows else None

    def _is_alive(self, row: Host) -> bool:
        is_heard = (utcnow() - row.last_seen_at).total_seconds() <= self._settings.scheduler.service_down_time_s
        return is_heard and row.epoch != self.epoch

    def _take_over(self, reason: str) -> bool:
        with writing() as session:
            row = next(iter(reports.lock_namesakes(session, self.host, "")), None)
            if row is None:
                return False
            reports.change(row, {**self._start(), "libvirt_ok": False, "down_reason": reason})
        return True

    def _start(self) -> dict[str, Any]:
        now = utcnow()
        return {"epoch": self.epoch, "started_at": now, "last_seen_at": now, "libvirt_ok": True, "down_reason": None}

    def _values(self, facts: HostFacts) -> dict[str, Any]:
        options = self._settings.host
        return {
            "name": self.host,
            "uuid": facts.uuid,
            "hypervisor_type": facts.hypervisor_type,
            "libvirt_version": facts.libvirt_version,
            "qemu_version": facts.qemu_version,
            "virt_types": list(facts.virt_types),
            "cpu": _cpu(facts),
            "vcpus": facts.vcpus,
            "memory_mib": facts.memory_mib,
            "reserved_memory_mib": options.reserved_memory_mib,
            "instances_path": str(options.instances_path),
            "migration_address": options.address,
            "connector": find_connector(options).to_json(),
        }

    def _measured(self) -> dict[str, Any]:
        """What every heartbeat measures again."""
        options = self._settings.host
        tls = check_tls(options.pki_dir, options.address, clock.utcnow())
        usage = self._disk.first(options.libvirt_deadline_s)
        return {
            "disk_total_bytes": usage.total_bytes if usage else 0,
            "disk_free_bytes": free_bytes(usage.free_bytes, options.reserved_disk_mib) if usage else 0,
            "tls_ready": tls.is_ready,
            "tls_reason": tls.sentence,
        }


def free_bytes(measured_bytes: int, reserved_mib: int) -> int:
    """Space that guests may use: what is free less what the operator keeps back."""
    return max(0, measured_bytes - reserved_mib * 1024**2)


def _cpu(facts: HostFacts) -> dict[str, Any]:
    return {
        "arch": facts.arch,
        "model": facts.cpu_model,
        "vendor": facts.cpu_vendor,
        "features": list(facts.cpu_features),
        "usable_models": list(facts.usable_models),
        "xml": facts.cpu_xml,
    }
