"""Can this host take the guest?  Asked on the destination, before anything is changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from lmigrate.db.models import Host
from lmigrate.db.session import reading
from lmigrate.db.stores import guests, hosts
from lmigrate.errors import DestinationDomainExists, InvalidCPUInfo, MigrationPreCheckError
from lmigrate.migration.guest_lock import guest_lock
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import MigrationStatus
from lmigrate.storage import directories, probe
from lmigrate.virt.xml.cpu import cpu_to_compare

#: how long a removal may take that is under way on this host
SWEEP_PATIENCE_S = 30.0


class CheckDestination(Step):
    """Look for what would stop the guest from running here, and leave a probe for the source to find.

    Do:        refuse on a domain of that UUID or name, an unfit CPU or missing TLS; write a temporary file into the
               instances directory and into the directories of the guest's disks.
    Undo:      remove the temporary files.
    If killed: the temporary files may remain; their name holds the migration's UUID, and undo looks everywhere
               that do might have written.
    Because:   only a file written here and seen there proves that a directory is shared.
    """

    name = "check_destination"
    side = Side.DESTINATION
    status = MigrationStatus.ACCEPTED

    def do(self, context: StepContext) -> Facts:
        """Facts: instances_path, directory_exists, disk_available_bytes, probed directories, why the CPU was not compared."""
        directories.require_answer(context.settings.host)
        # The sweep of leaks holds the guest's lock, too: what it removes here is gone before this looks, or stays.
        with guest_lock(context.settings.host.state_dir, context.instance.uuid, patience_s=SWEEP_PATIENCE_S):
            return self._check(context)

    def _check(self, context: StepContext) -> Facts:
        self._refuse_known_domain(context)
        unknown_cpu = self._refuse_unfit_cpu(context)
        self._refuse_missing_tls(context)
        options = context.settings.host
        available = shutil.disk_usage(options.instances_path).free - options.reserved_disk_mib * 1024**2
        try:
            probed = probe.write_probes(_directories(context), context.uuid)
        except OSError as error:
            raise MigrationPreCheckError(reason=f"{options.name} cannot write {error.filename}: {error.strerror}") from error
        return {
            "instances_path": str(options.instances_path),
            "directory_exists": (options.instances_path / context.instance.uuid).exists(),
            "disk_available_bytes": max(0, available),
            "probed": probed,
            "cpu_not_compared": unknown_cpu,
        }

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """Look in every directory that do may have reached."""
        written = (facts or {}).get("probed", [])
        probe.remove_probes({*_directories(context), *map(Path, written)}, context.uuid)

    def _refuse_known_domain(self, context: StepContext) -> None:
        """libvirt takes each UUID and each name once."""
        uuid, name = context.instance.uuid, context.instance.name
        named = (domain for domain in context.hypervisor.domains() if domain.name == name)
        found = context.hypervisor.domain(uuid) or next(named, None)
        if found is not None:
            raise DestinationDomainExists(name=found.name, uuid=found.uuid, host=context.settings.host.name, state=found.power_state.value)

    def _refuse_unfit_cpu(self, context: StepContext) -> str | None:
        """Why the CPU could not be compared, or None if it was."""
        with reading() as session:
            guest_cpu = guests.cpu_xml(session, context.instance.uuid, context.migration.source_host)
            source = hosts.by_name(session, context.migration.source_host)
        cpu_xml = cpu_to_compare(guest_cpu, None if source is None else source.cpu.get("xml"))
        if cpu_xml is None:
            about = "the guest's domain" if guest_cpu is None else "the source host"
            return f"no CPU of {about} is on record"
        reason = context.hypervisor.compare_cpu(cpu_xml, context.instance.virt_type)
        if reason is not None:
            raise InvalidCPUInfo(host=context.settings.host.name, reason=reason)
        return None

    def _refuse_missing_tls(self, context: StepContext) -> None:
        if not context.settings.migration.tls:
            return
        with reading() as session:
            for name in (context.migration.source_host, context.settings.host.name):
                host = hosts.by_name(session, name)
                missing = None if host is None else missing_tls(host)
                if missing is not None:
                    raise missing


def missing_tls(host: Host) -> MigrationPreCheckError | None:
    """Why ``host`` takes no part in a migration that TLS protects, or None."""
    return None if host.tls_ready else MigrationPreCheckError(reason=f"TLS is not ready on {host.name}: {host.tls_reason}")


def _directories(context: StepContext) -> list[Path]:
    """The instances directory, the guest's own, and those of its disks; only the existing ones are used."""
    instances_path = context.settings.host.instances_path
    with reading() as session:
        disks = [Path(path).parent for path in guests.local_disk_paths(session, context.instance.uuid)]
    return list(dict.fromkeys([instances_path, instances_path / context.instance.uuid, *disks]))
