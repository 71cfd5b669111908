"""Flags and parameters of migrateToURI3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmigrate.virt.flags import migrate_flags, migrate_params
from lmigrate.virt.types import MigrateSpec

PLAIN = MigrateSpec(
    uuid="u", dest_uri="qemu+tls://node6/system", migrate_uri="tcp://node6", destination_xml="<d/>", persistent_xml=None, tls=False
)
ALWAYS = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
COPYING = libvirt.VIR_MIGRATE_NON_SHARED_DISK | libvirt.VIR_MIGRATE_NON_SHARED_INC
UNDEFINE_SOURCE = 16


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, 0),
        ({"persistent_xml": "<d/>"}, libvirt.VIR_MIGRATE_PERSIST_DEST),
        ({"tls": True}, libvirt.VIR_MIGRATE_TLS),
        ({"auto_converge": True}, libvirt.VIR_MIGRATE_AUTO_CONVERGE),
        ({"post_copy": True}, libvirt.VIR_MIGRATE_POSTCOPY),
        ({"post_copy": True, "auto_converge": True}, libvirt.VIR_MIGRATE_POSTCOPY),  # libvirt takes only one of the two
        ({"post_copy": True, "is_resume": True}, libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_POSTCOPY_RESUME),
        ({"is_storage_proven_shared": True}, libvirt.VIR_MIGRATE_UNSAFE),
        ({"migrate_disks": ("vda",)}, libvirt.VIR_MIGRATE_NON_SHARED_DISK),
        ({"migrate_disks": ("vda",), "copy_mode": "inc"}, libvirt.VIR_MIGRATE_NON_SHARED_INC),
        ({"copy_mode": "inc"}, 0),
    ],
)
def test_flags(change: dict[str, Any], flag: int) -> None:
    assert migrate_flags(replace(PLAIN, **change)) == ALWAYS | flag


specs = st.builds(
    replace,
    st.just(PLAIN),
    persistent_xml=st.none() | st.just("<d/>"),
    migrate_disks=st.lists(st.sampled_from(["vda", "vdb"]), unique=True).map(tuple),
    copy_mode=st.sampled_from(["full", "inc"]),
    tls=st.booleans(),
    is_storage_proven_shared=st.booleans(),
    auto_converge=st.booleans(),
    bandwidth_mib_s=st.integers(0, 10),
)


@given(specs)
def test_the_source_is_never_undefined_and_disks_are_copied_only_by_name(spec: MigrateSpec) -> None:
    flags, params = migrate_flags(spec), migrate_params(spec)
    assert not flags & UNDEFINE_SOURCE
    assert bool(flags & COPYING) is bool(spec.migrate_disks)
    assert flags & COPYING != COPYING
    # an empty list means all disks to libvirt: it must not be there at all
    assert params.get(libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS, ["none"]) == (list(spec.migrate_disks) or ["none"])


def test_params() -> None:
    full = replace(PLAIN, persistent_xml="<p/>", migrate_disks=("vda", "vdb"), bandwidth_mib_s=7)
    assert migrate_params(full) == {
        "destination_xml": "<d/>",
        "persistent_xml": "<p/>",
        "migrate_uri": "tcp://node6",
        "migrate_disks": ["vda", "vdb"],
        "bandwidth": 7,
    }
    assert "bandwidth.postcopy" not in migrate_params(replace(full, post_copy_bandwidth_mib_s=5))
    for is_resume in (False, True):
        params = migrate_params(replace(full, post_copy=True, post_copy_bandwidth_mib_s=5, is_resume=is_resume))
        assert (params["bandwidth"], params["bandwidth.postcopy"]) == (7, 5)
    assert migrate_params(replace(PLAIN, migrate_uri=None)) == {"destination_xml": "<d/>"}
