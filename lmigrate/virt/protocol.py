"""What lmigrate asks of a hypervisor.  The real one is libvirt; the fake one passes the same conformance tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from lmigrate.virt.types import DomainInfo, HostFacts, JobStats, MigrateSpec, Secret


class Hypervisor(Protocol):
    """One host's libvirtd.  Every call raises HypervisorTimeout when it does not answer in time."""

    def ping(self) -> None:
        """A cheap call that needs libvirtd to be alive.  Raises HypervisorUnavailable or HypervisorTimeout."""

    def facts(self) -> HostFacts:
        """What this host is and can do."""

    def domains(self) -> list[DomainInfo]:
        """Every domain, running or only defined."""

    def domain(self, uuid: str) -> DomainInfo | None:
        """One domain, or None if it is not here."""

    def domain_xml(self, uuid: str, *, is_inactive: bool = False) -> str:
        """Migratable XML of the running domain, or of its persistent definition.  Raises DomainNotFound."""

    def compare_cpu(self, cpu_xml: str, virt_type: str) -> str | None:
        """None if this host can run that CPU (or libvirt cannot tell), else why not."""

    def interlocks(self, uuid: str) -> list[str]:
        """What goes on, or exists, that a move must not meet: block jobs, backups, snapshots.  Each with what to do about it."""

    def read_disk(self, uri: str, uuid: str, device_name: str, size_bytes: int) -> Iterator[bytes]:
        """The content of a raw disk of a domain on another host, as the libvirtd at ``uri`` gives it."""

    def migrate(self, spec: MigrateSpec) -> None:
        """Move a running domain; returns or raises when libvirt does.  Neither is proof of anything: ask both sides."""

    def job(self, uuid: str) -> JobStats:
        """The running job of a domain; type NONE if there is none (or no domain)."""

    def completed_job(self, uuid: str) -> JobStats | None:
        """Statistics of the last completed migration of this domain, if libvirt kept them."""

    def abort_job(self, uuid: str) -> None:
        """Cancel the running job; no job is fine. Raises HypervisorError once post-copy has begun: there is no way back."""

    def free_failed_move(self, uuid: str) -> list[str]:
        """Let a move come to its end that has failed, and that libvirt waits for all the same; a sentence for each thing done.

        Only of a guest whose job has ended: what it does would break one that still goes on.
        """

    def has_sent_memory(self, uuid: str) -> bool:
        """Whether this QEMU has sent all of the guest's memory away, whatever has become of it there; False without a domain.

        libvirt forgets it when it is restarted; only QEMU knows then. Asking taints the domain (custom-monitor).
        """

    def start_post_copy(self, uuid: str) -> None:
        """Let the guest run on the destination from now on, its memory follows; the move must have been begun with ``post_copy``.

        Returns when it is ordered: the source is then paused (postcopy) in a moment. Raises HypervisorError when there is no such move.
        """

    def break_post_copy(self, uuid: str) -> None:
        """Make QEMU give up a post-copy's connection, so that it can be resumed over a new one.

        Asked on the source. Raises HypervisorError when there is none that runs. Nothing is lost: both domains stay.
        """

    def set_max_downtime_ms(self, uuid: str, downtime_ms: int) -> None:
        """Longest pause that QEMU may plan the switchover with."""

    def pause(self, uuid: str) -> None:
        """Stop the vCPUs."""

    def resume(self, uuid: str) -> None:
        """Let the vCPUs run."""

    def autostart(self, uuid: str) -> bool:
        """Whether libvirtd starts the domain by itself when its host boots."""

    def set_autostart(self, uuid: str, *, is_on: bool) -> None:
        """Say whether it does; the domain must be persistent."""

    def define(self, xml: str) -> None:
        """Make a domain persistent."""

    def undefine(self, uuid: str) -> None:
        """Remove the persistent definition; absent is fine.  A running domain stays, transient."""

    def destroy(self, uuid: str) -> None:
        """End the QEMU process; absent or not running is fine."""

    def define_secret(self, secret: Secret) -> None:
        """Make libvirt keep a secret, in memory only; an older one of that UUID is replaced."""

    def undefine_secret(self, uuid: str) -> None:
        """Make libvirt forget it; absent is fine."""

    def secrets(self) -> dict[str, str]:
        """Usage by UUID of every secret that libvirt keeps."""

    def listen(self, changed: Callable[[str], None]) -> None:
        """Call ``changed(uuid)`` from the event thread whenever a domain's life, disks or definition change."""

    def close(self) -> None:
        """Let go of the connection."""
