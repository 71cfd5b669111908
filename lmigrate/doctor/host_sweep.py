"""Looks for leaks on one host, removes what is proven ours and unneeded, and writes all of it down.

The host is looked at before the records: whatever a migration makes here is made after its row was
committed, so that what is seen here and belongs to no open migration was left over.  What is removed
is looked at once more under the guest's lock on this host, which the checks of a new migration take
before they look.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from lmigrate.config import Settings
from lmigrate.db.clock import from_machine
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import leaks, pasts
from lmigrate.db.stores.leaks import Found
from lmigrate.db.stores.pasts import Past
from lmigrate.doctor import judge, marks, sessions
from lmigrate.doctor.judge import Fate, Judgement
from lmigrate.doctor.marks import Marked
from lmigrate.errors import GuestBusy, LmigrateError
from lmigrate.migration.connections import secret_uuid
from lmigrate.migration.guest_lock import guest_lock, held_guests
from lmigrate.migration.verdict import Seen
from lmigrate.states import LeakKind
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import DomainInfo

log = structlog.get_logger(__name__)

KINDS = (LeakKind.DOMAIN, LeakKind.DIRECTORY, LeakKind.FILE, LeakKind.PROBE, LeakKind.SECRET, LeakKind.SESSION, LeakKind.LOCK)
_USAGE = "lmigrate-"
_PATIENCE_S = 0.5


def sweep_host(settings: Settings, connect: Callable[[], Hypervisor]) -> list[str]:
    """Sweep this host, unless somebody is at it; a sentence for each leak.

    Raises:
        HypervisorError: libvirtd does not answer; nothing was changed.
    """
    with _alone(settings.host.state_dir) as is_alone:
        if not is_alone:
            return ["another worker sweeps this host"]
        return _HostSweep(settings, connect()).run()


@contextmanager
def _alone(state_dir: Path) -> Iterator[bool]:
    """One sweep at a time on a host; the kernel lets go when its process dies."""
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "sweep.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


class _HostSweep:
    def __init__(self, settings: Settings, hypervisor: Hypervisor) -> None:
        self._settings = settings
        self._hypervisor = hypervisor
        self._host = settings.host.name
        self._told: list[str] = []
        self._seen: set[str] = set()

    def run(self) -> list[str]:
        domains = self._hypervisor.domains()
        marked, secrets, targets, held = (
            marks.find(self._directories(domains)),
            self._hypervisor.secrets(),
            sessions.targets(),
            held_guests(self._settings.host.state_dir),
        )
        for domain in domains:
            self._domain(domain)
        for one in marked:
            self._marked(one)
        for uuid, usage in secrets.items():
            self._secret(uuid, usage)
        for target in targets:
            self._session(target)
        for instance_uuid in held:
            self._lock(instance_uuid)
        with writing() as session:
            leaks.forget_gone(session, self._host, KINDS, self._seen)
        return self._told

    def _directories(self, domains: Iterable[DomainInfo]) -> list[Path]:
        """Where migrations write on this host: below the instances path, and beside disks."""
        top = self._settings.host.instances_path
        guests = sorted(path for path in top.iterdir() if path.is_dir()) if top.is_dir() else []
        with reading() as session:
            recorded = leaks.directories_of(session, self._host)
        return [top, *guests, *sorted({path.parent for path in _files(domains)} | set(map(Path, recorded)))]

    def _domain(self, domain: DomainInfo) -> None:
        judgement, past = self._judge_domain(domain)
        if judgement.fate is Fate.NEEDED:
            return

        def act() -> Judgement:
            again = self._hypervisor.domain(domain.uuid)
            if again is None or again.migration_mark != domain.migration_mark:
                return judge.NEEDED
            judgement, _ = self._judge_domain(again)
            if judgement.fate is Fate.REMOVE:
                if again.is_active:
                    self._hypervisor.destroy(domain.uuid)
                self._hypervisor.undefine(domain.uuid)
            return judgement

        found = Found(LeakKind.DOMAIN, domain.uuid, judgement.reason, None if past is None else past.migration_id, domain.uuid)
        self._deal(found, act, "its domain was removed; its disks were not touched")

    def _judge_domain(self, domain: DomainInfo) -> tuple[Judgement, Past | None]:
        seen = Seen.of(domain, None, domain.migration_mark or "")
        with reading() as session:
            if domain.migration_mark is not None:
                past = pasts.of_mark(session, domain.migration_mark)
                return judge.of_domain(seen, past, self._host), past
            past = pasts.of_departure(session, domain.uuid, self._host)
        return judge.of_departed(seen, past, self._host), past

    def _marked(self, marked: Marked) -> None:
        judgement, past = self._judge_marked(marked)
        if judgement.fate is Fate.NEEDED:
            return

        def act() -> Judgement:
            judgement, _ = self._judge_marked(marked)
            if judgement.fate is Fate.REMOVE:
                marks.remove(marked)
            elif judgement.fate is Fate.RELEASE:
                marks.release(marked)
            return judgement

        of_whom = (None, None) if past is None else (past.migration_id, past.instance_uuid)
        found = Found(marked.kind, str(marked.path), judgement.reason, *of_whom)
        self._deal(found, act, "removed" if judgement.fate is Fate.REMOVE else "its mark was removed")

    def _judge_marked(self, marked: Marked) -> tuple[Judgement, Past | None]:
        used = _files(self._hypervisor.domains())
        with reading() as session:
            past = pasts.of_mark(session, marked.migration_uuid)
        # the file's time is this machine's, the migration's end the database's
        changed_at = from_machine(marked.changed_at)
        return judge.of_file(marked.kind, past, self._host, changed_at, is_used=marked.is_in_use(used)), past

    def _secret(self, uuid: str, usage: str) -> None:
        attachment = usage.removeprefix(_USAGE)
        if not usage.startswith(_USAGE) or secret_uuid(attachment) != uuid:
            return  # somebody else's
        judgement = self._judge_secret(uuid, attachment)
        if judgement.fate is Fate.NEEDED:
            return

        def act() -> Judgement:
            judgement = self._judge_secret(uuid, attachment)
            if judgement.fate is Fate.REMOVE:
                self._hypervisor.undefine_secret(uuid)
            return judgement

        self._deal(Found(LeakKind.SECRET, uuid, judgement.reason), act, "libvirt was made to forget it")

    def _judge_secret(self, uuid: str, attachment: str) -> Judgement:
        with reading() as session:
            if pasts.has_attachment(session, attachment, self._host):
                return judge.NEEDED
        return judge.of_secret(has_attachment=False, is_used=self._is_named(uuid))

    def _is_named(self, secret: str) -> bool:
        texts = (self._hypervisor.domain_xml(domain.uuid, is_inactive=not domain.is_active) for domain in self._hypervisor.domains())
        return any(secret in text for text in texts)

    def _session(self, target: str) -> None:
        judgement = self._judge_session(target)
        if judgement.fate is not Fate.NEEDED:
            self._note(Found(LeakKind.SESSION, target, judgement.reason), judgement, None)

    def _judge_session(self, target: str) -> Judgement:
        names = {disk.source_name or "" for domain in self._hypervisor.domains() for disk in domain.disks}
        with reading() as session:
            is_ours, has_attachment = pasts.are_volumes_of(session, target), pasts.has_attachment_on(session, target, self._host)
        return judge.of_session(
            is_ours=is_ours, has_attachment=has_attachment, is_used=any(name.startswith(f"{target}/") for name in names)
        )

    def _lock(self, instance_uuid: str) -> None:
        with reading() as session:
            if pasts.is_moving(session, instance_uuid):
                return
        reason = "somebody on this host holds the guest's lock, and no migration of it is open: a worker that hangs"
        self._note(Found(LeakKind.LOCK, instance_uuid, reason, None, instance_uuid), Judgement(Fate.REPORT, reason), None)

    def _deal(self, found: Found, act: Callable[[], Judgement], done: str) -> None:
        """Decide once more under the guest's lock, and act; what is busy is looked at the next time."""
        try:
            if found.instance_uuid is None:
                judgement = act()
            else:
                with guest_lock(self._settings.host.state_dir, found.instance_uuid, patience_s=_PATIENCE_S):
                    judgement = act()
        except GuestBusy:
            return
        except (LmigrateError, OSError) as error:
            self._note(found, Judgement(Fate.REPORT, found.reason), f"it could not be removed: {error}")
            return
        if judgement.fate is not Fate.NEEDED:
            self._note(replace(found, reason=judgement.reason), judgement, None if judgement.fate is Fate.REPORT else done)

    def _note(self, found: Found, judgement: Judgement, done: str | None) -> None:
        is_removed = judgement.fate in {Fate.REMOVE, Fate.RELEASE}
        with writing() as session:
            leaks.note(session, self._host, found, done=done, is_removed=is_removed)
        self._seen.add(found.subject)
        sentence = f"leak: {found.kind.value} {found.subject}: {found.reason}{f': {done}' if done else ''}"
        log.warning(sentence, host=self._host)
        self._told.append(sentence)


def _files(domains: Iterable[DomainInfo]) -> set[Path]:
    """The files that domains have as disks, running or not."""
    return {Path(disk.path) for domain in domains for disk in domain.disks if disk.path is not None}
