"""Which CPU the destination is asked about."""

from __future__ import annotations

import pytest

from lmigrate.virt.xml.cpu import cpu_to_compare
from lmigrate.virt.xml.document import parse

NAMED = "<cpu mode='custom' match='exact'><model>Skylake-Client</model></cpu>"
HOST_MODEL = """\
<mode name='host-model' supported='yes'>
  <model fallback='forbid'>Skylake-Client-IBRS</model>
  <vendor>Intel</vendor>
  <maxphysaddr mode='passthrough' limit='39'/>
  <feature policy='require' name='avx512f'/>
  <feature policy='require' name='vmx'/>
  <feature policy='disable' name='hle'/>
</mode>
"""


@pytest.mark.parametrize("host_model", [None, HOST_MODEL])
def test_a_named_model_is_asked_about_as_it_is(host_model: str | None) -> None:
    assert cpu_to_compare(NAMED, host_model) == NAMED


@pytest.mark.parametrize("mode", ["host-passthrough", "maximum"])
def test_the_hosts_own_cpu_is_asked_about_by_what_the_host_has(mode: str) -> None:
    """libvirt answers `superset` to the mode's name, on every host."""
    cpu = parse(cpu_to_compare(f"<cpu mode='{mode}' migratable='on'><feature policy='disable' name='vmx'/></cpu>", HOST_MODEL) or "")
    assert (cpu.tag, cpu.get("mode"), cpu.get("match")) == ("cpu", "custom", "exact")
    assert (cpu.findtext("./model"), cpu.findtext("./vendor")) == ("Skylake-Client-IBRS", "Intel")
    features = {feature.get("name"): feature.get("policy") for feature in cpu.findall("./feature")}
    assert features == {"avx512f": "require", "vmx": "disable", "hle": "disable"}


def test_what_is_not_known_cannot_be_asked() -> None:
    assert cpu_to_compare(None, HOST_MODEL) is None
    assert cpu_to_compare("<cpu mode='host-passthrough'/>", None) is None
