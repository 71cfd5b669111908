"""Volumes on tgtd: one target each with LUN 1, an ACL by initiator name, a CHAP account for each attachment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lmigrate.config import IscsiTgtBackend
from lmigrate.errors import StorageError
from lmigrate.ids import endpoint, is_uuid
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef
from lmigrate.storage.drivers.tgtadm import Target, Tgtadm

LUN = 1  # LUN 0 is tgtd's own controller
DEFAULT_PORT = 3260
#: RFC 3720 section 8.2.1: at least 96 bits; some initiators take no more than 16 characters
CHAP_SECRET_BYTES = 12
_PREFIX = "lm-"


class IscsiTgtDriver:
    """`Driver` over tgtadm, on the machine of tgtd."""

    def __init__(self, name: str, options: IscsiTgtBackend) -> None:
        self._name = name
        self._options = options
        self._tgtadm = Tgtadm(options.control_port)

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """A sparse file behind a target of its own; nobody is let in."""
        path = self._options.directory / f"{uuid}.raw"
        volume = VolumeRef(uuid, {"iqn": f"{self._options.iqn_prefix}:{uuid}", "path": str(path)})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.truncate(size_bytes)
        except OSError as error:
            raise self._error(f"{path}: {error.strerror}") from error
        try:
            self._ensure_target(volume)
        except StorageError:
            path.unlink()
            raise
        return volume

    def delete(self, volume: VolumeRef) -> None:
        """Target first, then the file."""
        target = self._find(volume)
        if target is not None:
            self._run("delete", "target", tid=target.tid, force=None)
        Path(volume.location["path"]).unlink(missing_ok=True)

    def source_name(self, volume: VolumeRef) -> str:
        """IQN/LUN, as libvirt writes it."""
        return f"{volume.location['iqn']}/{LUN}"

    def size_bytes(self, volume: VolumeRef) -> int:
        """Size of the backing file or block device."""
        try:
            with Path(volume.location["path"]).open("rb") as file:
                return file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._error(f"volume {volume.uuid} has no backing file {volume.location['path']} ({error.strerror})") from error

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """A fresh CHAP account in place of an older one of this attachment; last the ACL entry, as in `restore`."""
        del instance_uuid
        target = self._ensure_target(volume)
        secret = self._make_account(target, attachment_uuid) if self._options.chap else None
        if connector.initiator not in target.initiators:
            self._run("bind", "target", tid=target.tid, initiator_name=connector.initiator)
        return ConnectionInfo(
            protocol="iscsi",
            source_name=self.source_name(volume),
            hosts=(endpoint(self._options.portal, DEFAULT_PORT),),
            initiator=connector.initiator,
            auth_username=_account(attachment_uuid) if secret else None,
            auth_type="iscsi" if secret else None,
            secret=secret,
        )

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """ACL entry and account go first, so that an ended session cannot come back."""
        del instance_uuid
        target = self._find(volume)
        if target is not None:
            self._shut_out(target, connector.initiator, _account(attachment_uuid))
        if _account(attachment_uuid) in self._accounts():
            self._run("delete", "account", user=_account(attachment_uuid))

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """The target's ACL."""
        target = self._find(volume)
        return frozenset() if target is None else frozenset(target.initiators)

    def locate(self, source_name: str) -> dict[str, Any]:
        """The target's name, and what lies behind its LUN."""
        iqn, _, lun = source_name.rpartition("/")
        target = self._targets().get(iqn)
        path = None if target is None or lun != str(LUN) else target.lun_paths.get(LUN)
        if path is None:
            raise self._error(f"tgtd has no {source_name} (a volume is IQN/{LUN}; LUN {LUN} of a target of its own)")
        return {"iqn": iqn, "path": path}

    def accesses(self, volumes: Sequence[VolumeRef]) -> frozenset[Access]:
        """ACL entries and accounts on the volumes' targets; accounts of ours on no target at all."""
        targets, accounts = self._targets(), self._accounts()
        found: set[Access] = set()
        for volume in volumes:
            target = targets.get(volume.location["iqn"], Target(0, ""))
            found |= {Access(volume.uuid, initiator=name) for name in target.initiators}
            found |= {Access(volume.uuid, attachment_uuid=uuid) for uuid in _attachments(target.accounts)}
        bound = {account for target in targets.values() for account in target.accounts}
        return frozenset(found | {Access(None, attachment_uuid=uuid) for uuid in _attachments(accounts - bound)})

    def withdraw(self, access: Access, volume: VolumeRef | None) -> None:
        """As `revoke`, for one entry."""
        target = None if volume is None else self._find(volume)
        account = _account(access.attachment_uuid) if access.attachment_uuid else ""
        if target is not None:
            self._shut_out(target, access.initiator or "", account)
        if account and account in self._accounts():
            self._run("delete", "account", user=account)

    def missing(self, grants: Sequence[Grant]) -> list[Grant]:
        """Those without their target, LUN, account or ACL entry."""
        targets, accounts = self._targets(), self._accounts()
        return [grant for grant in grants if not _is_there(grant, targets.get(grant.volume.location["iqn"]), accounts)]

    def restore(self, grant: Grant) -> None:
        """Target, account with the old password, and last the ACL entry: nobody gets in without a password meanwhile."""
        target, account = self._ensure_target(grant.volume), _account(grant.attachment_uuid)
        if grant.info.secret is not None:
            if account not in self._accounts():
                self._run("new", "account", user=account, password=grant.info.secret)
            if account not in target.accounts:
                self._run("bind", "account", tid=target.tid, user=account)
        if grant.connector.initiator not in target.initiators:
            self._run("bind", "target", tid=target.tid, initiator_name=grant.connector.initiator)

    def _shut_out(self, target: Target, initiator: str, account: str) -> None:
        if initiator in target.initiators:
            self._run("unbind", "target", tid=target.tid, initiator_name=initiator)
        self._unbind_account(target, account)
        for session, connection, name in target.sessions:
            if name == initiator:
                self._run("delete", "conn", tid=target.tid, sid=session, cid=connection)

    def _make_account(self, target: Target, attachment_uuid: str) -> str:
        account = _account(attachment_uuid)
        self._unbind_account(target, account)
        if account in self._accounts():
            self._run("delete", "account", user=account)
        secret = secrets.token_urlsafe(CHAP_SECRET_BYTES)
        self._run("new", "account", user=account, password=secret)
        self._run("bind", "account", tid=target.tid, user=account)
        return secret

    def _unbind_account(self, target: Target, account: str) -> None:
        """Take an account off a target without leaving a hole.

        tgtd 1.0.85 keeps a target's accounts in an array, and `show` dies on an empty slot before
        the last one. So those behind the account are taken off first, from the end, and put back.
        """
        if account not in target.accounts:
            return
        behind = target.accounts[target.accounts.index(account) + 1 :]
        for user in [*reversed(behind), account]:
            self._run("unbind", "account", tid=target.tid, user=user)
        for user in behind:
            self._run("bind", "account", tid=target.tid, user=user)

    def _ensure_target(self, volume: VolumeRef) -> Target:
        """The target; made again after tgtd was restarted, which forgets everything.

        Nothing is made for a volume whose file is gone: tgtd would refuse the LUN and keep the empty target.
        """
        self.size_bytes(volume)
        target = self._find(volume)
        if target is None:
            used = {found.tid for found in self._targets().values()}
            tid = next(number for number in range(1, len(used) + 2) if number not in used)
            self._run("new", "target", tid=tid, targetname=volume.location["iqn"])
            target = Target(tid, volume.location["iqn"])
        if LUN not in target.lun_sizes:
            self._run("new", "logicalunit", tid=target.tid, lun=LUN, backing_store=volume.location["path"])
        return target

    def _find(self, volume: VolumeRef) -> Target | None:
        return self._targets().get(volume.location["iqn"])

    def _targets(self) -> dict[str, Target]:
        try:
            return self._tgtadm.targets()
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _accounts(self) -> set[str]:
        try:
            return self._tgtadm.accounts()
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _run(self, operation: str, mode: str, **options: str | int | None) -> None:
        try:
            self._tgtadm.run(operation, mode, **options)
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)


def _account(attachment_uuid: str) -> str:
    """CHAP user of an attachment; it says whose it is to whoever cleans up."""
    return f"{_PREFIX}{attachment_uuid}"


def _attachments(accounts: Iterable[str]) -> set[str]:
    """Attachments that accounts are named after; other accounts are not ours."""
    names = {account.removeprefix(_PREFIX) for account in accounts if account.startswith(_PREFIX)}
    return {name for name in names if is_uuid(name)}


def _is_there(grant: Grant, target: Target | None, accounts: set[str]) -> bool:
    if target is None or LUN not in target.lun_sizes or grant.connector.initiator not in target.initiators:
        return False
    account = _account(grant.attachment_uuid)
    return grant.info.secret is None or (account in accounts and account in target.accounts)
