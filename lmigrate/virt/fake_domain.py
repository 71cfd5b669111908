"""A domain of the fake: the state that libvirt keeps of one guest on one host."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lmigrate.ids import new_uuid
from lmigrate.states import PowerState
from lmigrate.virt.types import DomainInfo, JobStats, JobType
from lmigrate.virt.xml import domain as domain_xml
from lmigrate.virt.xml.document import mark_of, parse

if TYPE_CHECKING:
    from lmigrate.virt.fake_move import Move

NO_JOB = JobStats(JobType.NONE)


@dataclass
class FakeDomain:
    """One domain on one host.  ``active_xml`` is there while QEMU runs, ``inactive_xml`` while it is defined."""

    uuid: str
    active_xml: str | None
    inactive_xml: str | None
    power_state: PowerState
    reason: str
    memory: str = field(default_factory=new_uuid)  # stands for what the guest has in its memory: it moves along
    job: JobStats = NO_JOB
    completed: JobStats | None = None
    autostart: bool = False
    move: Move | None = None  # the running migrateToURI3
    has_sent_memory: bool = False  # QEMU's migration is completed
    has_inactive_images: bool = False  # it arrived paused: QEMU takes the disks only when it is let run
    backup_xml: str | None = None  # a backup of its disks runs

    @property
    def xml(self) -> str:
        """What the domain is at this moment."""
        return self.active_xml or self.inactive_xml or ""

    @property
    def is_active(self) -> bool:
        """Whether QEMU runs."""
        return self.power_state.is_active

    @property
    def is_running(self) -> bool:
        """Whether the vCPUs run."""
        return self.power_state is PowerState.RUNNING

    @property
    def is_half(self) -> bool:
        """Whether it is in a post-copy: neither half is whole without the other."""
        return self.is_active and self.reason in {"postcopy", "postcopy-failed"}

    def set_state(self, state: PowerState, reason: str) -> None:
        """libvirt always changes both."""
        self.power_state, self.reason = state, reason
        if self.is_running:
            self.has_inactive_images = False

    def stop(self, reason: str) -> bool:
        """QEMU ends.  Whether a definition is left."""
        if self.move is not None:
            self.move.wake.set()
        self.active_xml, self.job, self.backup_xml = None, NO_JOB, None
        self.set_state(PowerState.SHUTOFF, reason)
        return self.inactive_xml is not None

    def begin_backup(self, mode: str) -> None:
        """``push`` or ``pull``: of all its disks, until it is aborted."""
        names = [disk.device_name for disk in domain_xml.disks(parse(self.xml))]
        disks = "".join(f"<disk name='{name}' backup='yes' type='file'/>" for name in names)
        self.backup_xml = f"<domainbackup mode='{mode}'><disks>{disks}</disks></domainbackup>"
        self.job = JobStats(JobType.UNBOUNDED, "backup")

    def end_backup(self) -> None:
        """None is fine."""
        if self.backup_xml is not None:
            self.backup_xml, self.job = None, NO_JOB

    def progress(self, iteration: int, iterations: int) -> None:
        """The copy's statistics after ``iteration`` of ``iterations``."""
        total = domain_xml.memory_mib(parse(self.xml)) << 20
        left = total * (iterations - iteration) // max(1, iterations)
        self.job = replace(
            JobStats(JobType.UNBOUNDED, "migration-out", elapsed_ms=100 * iteration, iteration=iteration),
            memory_total_bytes=total,
            memory_processed_bytes=total - left,
            memory_remaining_bytes=left,
            bandwidth_bps=1 << 30,
        )

    def info(self) -> DomainInfo:
        """As the protocol describes it."""
        root = parse(self.xml)
        return DomainInfo(
            uuid=self.uuid,
            name=root.findtext("./name") or "",
            power_state=self.power_state,
            reason=self.reason,
            is_persistent=self.inactive_xml is not None,
            memory_mib=domain_xml.memory_mib(root),
            vcpus=domain_xml.vcpus(root),
            virt_type=root.get("type", ""),
            cpu_xml=domain_xml.cpu_xml(root),
            disks=domain_xml.disks(root),
            migration_mark=mark_of(root),
        )
