"""From what is wanted to libvirt's flags and typed parameters: one place, no effects."""

from __future__ import annotations

from typing import Any

import libvirt

from lmigrate.virt.types import MigrateSpec


def migrate_flags(spec: MigrateSpec) -> int:
    """Flags for migrateToURI3.

    VIR_MIGRATE_UNDEFINE_SOURCE is never set: the source's definition goes only when the
    destination has been seen running.  The copy flags are set only with disks to copy,
    since libvirt takes an empty list to mean all of them.
    """
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    if spec.persistent_xml is not None:
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST
    if spec.tls:
        flags |= libvirt.VIR_MIGRATE_TLS
    if spec.post_copy:
        flags |= libvirt.VIR_MIGRATE_POSTCOPY
    elif spec.auto_converge:
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
    if spec.is_resume:
        flags |= libvirt.VIR_MIGRATE_POSTCOPY_RESUME
    if spec.migrate_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC if spec.copy_mode == "inc" else libvirt.VIR_MIGRATE_NON_SHARED_DISK
    if spec.is_storage_proven_shared:
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    return int(flags)


def migrate_params(spec: MigrateSpec) -> dict[str, Any]:
    """Typed parameters for migrateToURI3."""
    params: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_DEST_XML: spec.destination_xml}
    if spec.persistent_xml is not None:
        params[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = spec.persistent_xml
    if spec.migrate_uri is not None:
        params[libvirt.VIR_MIGRATE_PARAM_URI] = spec.migrate_uri
    if spec.migrate_disks:
        params[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(spec.migrate_disks)
    if spec.bandwidth_mib_s:
        params[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = spec.bandwidth_mib_s
    if spec.post_copy and spec.post_copy_bandwidth_mib_s:  # also when it is resumed: QEMU has forgotten it
        params[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = spec.post_copy_bandwidth_mib_s
    return params
