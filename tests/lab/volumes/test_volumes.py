"""Guests with volumes move: data, access and secrets."""

from __future__ import annotations

import shutil
import threading
from hashlib import sha256
from pathlib import Path
from struct import pack
from typing import Any

import httpx
import pytest
import redis

from lmigrate.clock import monotonic_s
from lmigrate.ids import new_uuid
from lmigrate.lab.guests.domain_xml import CONFIG_DRIVE
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.host import Host
from lmigrate.lab.topology import Lab
from lmigrate.lab.volumes import make_volume
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_moved, other
from tests.lab.points import hold, standing_at
from tests.lab.volumes.carrier import Carrier, libvirt_secrets, start_carriers
from tests.lab.volumes.conftest import LOCAL, StartCarrier
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

_PAGE, _WORDS, _STEP, _MASK = 4096, 512, 0x9E3779B97F4A7C15, (1 << 64) - 1


@pytest.mark.both_databases
def test_a_guest_boots_from_a_volume_and_moves_there_and_back(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, began = carry(3, firmware="volume", disks=(LOCAL,)), monotonic_s()
    guest = carrier.guest
    local = guest.disk_checksums("node5")
    contents = [sha256(volume.path.read_bytes()).hexdigest() for volume in carrier.volumes]
    for destination in ("node6", "node5"):  # the second follows at once
        ended = wire.move(guest.uuid, destination)
        assert_moved(lab, wire, guest, ended, since=began)
        assert guest.disk_checksums(destination) == local
        carrier.assert_only(destination)
    assert [sha256(volume.path.read_bytes()).hexdigest() for volume in carrier.volumes] == contents


def test_what_a_guest_writes_before_during_and_after_is_on_the_backing_store(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, began = carry(3, kind="linux", memory_mib=160, disks=(DiskSpec("raw", 4),)), monotonic_s()
    guest = carrier.guest
    first = guest.wait_ticks(2)[-1].line.count
    ended = wire.move(guest.uuid, "node6")
    assert_moved(lab, wire, guest, ended, since=began)
    guest.wait_ticks(5)
    ended = wire.move(guest.uuid, "node5")
    assert_moved(lab, wire, guest, ended, since=began)
    last = guest.wait_ticks(5)[-1].line.count
    stores = [lab.host("node5").instances_dir / guest.uuid / "disk0", *(volume.path for volume in carrier.volumes)]
    for number, store in enumerate(stores):
        assert _written(store, number, first, last) == {}
    carrier.assert_only("node5")


def _written(store: Path, number: int, first: int, last: int) -> dict[int, str]:
    """Counts whose block on the backing store is not what the guest wrote; see workload.c."""
    half = store.stat().st_size // _PAGE // 2
    wrong = {}
    with store.open("rb") as file:
        for count in range(max(first, last - half + 1), last + 1):
            place = count % half
            file.seek((half + place) * _PAGE)
            if sha256(file.read(_PAGE)).digest() != sha256(_block(place + (number << 32), count)).digest():
                wrong[count] = f"block {place} of disk {number}"
    return wrong


def _block(place: int, count: int) -> bytes:
    seed = (place * 0xFF51AFD7ED558CCD & _MASK) ^ (count * 0x2545F491 & _MASK)
    return pack(f"<{_WORDS}Q", *((seed + _STEP * i) & _MASK for i in range(_WORDS)))


def test_both_have_access_during_the_move_and_only_the_destination_at_the_end(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    home = wire.server(carrier.uuid)["host"]
    held = hold(lab, "step.migrate.before_do")
    migration = wire.begin(carrier.uuid, other(home))
    with standing_at(held):
        assert carrier.let_in() == [["node5", "node6"]] * 3
        assert home in carrier.logged_in()
    ended = wire.end(migration)
    assert ended["status"] == "completed", story(ended)
    carrier.assert_only(other(home))


def test_a_config_drive_arrives_with_its_content(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, began = carry(1, config_drive_kib=2500), monotonic_s()
    guest = carrier.guest
    content = _config_drive(lab, carrier, "node5").read_bytes()
    for destination in ("node6", "node5"):
        ended = wire.move(guest.uuid, destination)
        assert_moved(lab, wire, guest, ended, since=began)
        arrived = _config_drive(lab, carrier, destination)
        assert arrived.read_bytes() == content
        assert arrived.stat().st_mode & 0o777 == 0o640


def _config_drive(lab: Lab, carrier: Carrier, host: str) -> Path:
    return lab.host(host).instances_dir / carrier.uuid / CONFIG_DRIVE


def test_a_disk_at_work_is_refused_with_the_reason(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, began = carry(1, disks=(LOCAL,)), monotonic_s()
    guest, node = carrier.guest, lab.host("node5")
    directory = node.instances_path / guest.uuid
    node.virsh("blockcopy", guest.uuid, "vda", "--dest", str(directory / "copy"), "--transient-job")
    before = World.of(lab)
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert "disk vda has a block job (copy, " in ended["error"]
    assert_unchanged(lab, before)
    node.virsh("blockjob", guest.uuid, "vda", "--abort")
    (node.instances_dir / guest.uuid / "copy").unlink()
    before = World.of(lab)
    assert_a_backup_is_refused(wire, guest.uuid, node)
    assert_unchanged(lab, before)
    snapshot = ["--disk-only", "--diskspec", "vdb,snapshot=no", "--diskspec", f"vda,file={directory / 'overlay'}"]
    node.virsh("snapshot-create-as", guest.uuid, "s1", *snapshot)
    ended = wire.move(guest.uuid, "node6")
    assert "libvirt keeps 1 snapshots of it" in ended["error"], story(ended)
    node.virsh("snapshot-delete", guest.uuid, "s1", "--metadata")
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "completed", story(ended)
    # The overlay is flattened. What it stood on may be another guest's base too: it stays, and is named to whoever comes back.
    left = node.instances_dir / guest.uuid
    assert [path.name for path in left.iterdir()] == ["disk0"]
    assert f"{directory}) already exists on node5" in wire.move(guest.uuid, "node5")["error"]
    shutil.rmtree(left)
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node5"), since=began)


def assert_a_backup_is_refused(wire: Wire, uuid: str, node: Host) -> None:
    """In pull mode: there it is for as long as nobody ends it, and reads nothing by itself."""
    (node.instances_dir / uuid / "backup.xml").write_text(
        f"<domainbackup mode='pull'><server transport='unix' socket='{node.instances_path}/b.sock'/><disks><disk name='vdb' backup='no'/>"
        f"<disk name='vda' type='file'><scratch file='{node.instances_path / uuid}/scratch'/></disk></disks></domainbackup>"
    )
    node.virsh("backup-begin", uuid, str(node.instances_path / uuid / "backup.xml"))
    ended = wire.move(uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert "a backup of vda runs (pull mode)" in ended["error"], story(ended)
    assert "libvirt is at work" not in ended["error"], story(ended)
    node.virsh("domjobabort", uuid)
    eventually("the backup has ended", lambda: node.virsh("backup-dumpxml", uuid, check=False).returncode != 0)
    for name in ("backup.xml", "scratch"):
        (node.instances_dir / uuid / name).unlink(missing_ok=True)


def test_the_secret_is_nowhere_in_clear(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    home = wire.server(carrier.uuid)["host"]
    # two clients: the one that listens may still read when its connection is given back, and would take the other's next answer
    client, listener = (
        redis.Redis(unix_socket_path=str(lab.paths.redis_socket), password=lab.state.redis_password, socket_timeout=None) for _ in range(2)
    )
    said: list[str] = []
    with listener.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py has no types there
        threading.Thread(target=_hear, args=(monitor, said), daemon=True).start()
        known = carrier.chap_secrets()
        held = hold(lab, "step.migrate.before_do")
        migration = wire.begin(carrier.uuid, other(home))
        with standing_at(held):
            known |= carrier.chap_secrets()
        ended = wire.end(migration)
        client.ping()
    assert ended["status"] == "completed", story(ended)
    assert len(known) == 6
    assert len(said) > 10
    places = {"Redis, while it went": "\n".join(said), **_stored(lab, client), **_told(lab, wire, carrier, migration)}
    assert {place for place, text in places.items() if any(secret in text for secret in known)} == set()


def _hear(monitor: Any, said: list[str]) -> None:
    try:
        said.extend(str(command) for command in monitor.listen())
    except (redis.ConnectionError, ValueError, AttributeError, OSError):  # the test is over
        return


def _stored(lab: Lab, client: redis.Redis) -> dict[str, str]:
    files = [*lab.paths.logs.glob("*"), *lab.paths.sqlite.parent.glob("*"), *lab.paths.redis.glob("*.rdb")]
    files += [path for path in (lab.paths.top / "nodes").glob("node*/libvirt/**/*") if path.suffix in {".log", ".xml", ".status"}]
    texts = {str(path): path.read_bytes().decode("latin-1") for path in files if path.is_file()}
    assert any(path.endswith("storage.log") for path in texts)
    keys = {f"Redis {key!r}": (client.dump(key) or b"").decode("latin-1") for key in client.scan_iter()}
    return texts | keys


def _told(lab: Lab, wire: Wire, carrier: Carrier, migration: int) -> dict[str, str]:
    own = ["/v1/servers", f"/v1/servers/{carrier.uuid}", f"/v1/migrations/{migration}", "/v1/hosts", "/v2.1/os-migrations"]
    texts = {path: wire.http.get(path, headers={"OpenStack-API-Version": "compute 2.96"}).text for path in own}
    return {**texts, "Flower": eventually("Flower has heard of it", lambda: "grant_volumes" in (found := _flower(lab)) and found)}


def _flower(lab: Lab) -> str:
    return httpx.get(f"{lab.flower_url}/api/tasks", auth=("lab", lab.state.flower_password), timeout=30).text


def test_a_stopped_guest_starts_though_libvirtd_has_forgotten_its_secret(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, node = carry(1), lab.host("node6")
    ended = wire.move(carrier.uuid, "node6")
    assert ended["status"] == "completed", story(ended)
    before = libvirt_secrets(node)
    node.virsh("destroy", carrier.uuid)
    for daemon in ("host", "libvirtd"):
        node.kill(daemon)
    lab.start_daemon("libvirtd", "node6")
    eventually("libvirtd answers", lambda: node.virsh("list", check=False).returncode == 0)
    assert libvirt_secrets(node) == {}
    refused = node.virsh("start", carrier.uuid, check=False)
    assert (refused.returncode != 0, "no secret with matching uuid" in refused.stderr) == (True, True), refused.stderr
    assert lab.start_daemon("host", "node6")
    eventually("its secret is back", lambda: libvirt_secrets(node).items() & carried(before, carrier).items())
    node.virsh("start", carrier.uuid)
    eventually("it is logged in", lambda: carrier.logged_in() == {"node6"})
    wire.wait_found(carrier.uuid, "node6")
    carrier.assert_only("node6")


def carried(secrets: dict[str, str], carrier: Carrier) -> dict[str, str]:
    """Those that the guest's definition names."""
    definition = carrier.lab.host("node6").virsh("dumpxml", carrier.uuid).stdout
    return {uuid: usage for uuid, usage in secrets.items() if uuid in definition}


def test_a_shareable_volume_stays_with_the_guest_that_stays(lab: Lab, wire: Wire, start: StartGuest) -> None:
    volume, uuids = make_volume(lab, "shared", 4), [new_uuid(), new_uuid()]
    disks = [volume.attach("node5", uuid, "vdb").replace("<serial>", "<shareable/><serial>") for uuid in uuids]
    first, second = (start("node5", uuid=uuid, devices_xml=disk) for uuid, disk in zip(uuids, disks, strict=True))
    both = Carrier(lab, second, [volume])
    assert wire.move(first.uuid, "node6")["status"] == "completed"
    assert both.let_in() == [["node5", "node6"]]
    eventually("both guests are logged in", lambda: both.logged_in() == {"node5", "node6"})
    assert wire.move(second.uuid, "node6")["status"] == "completed"
    assert both.let_in() == [["node6"]]
    for guest in (first, second):
        guest.wait_ticks(2)
        assert guest.report().is_unbroken


def test_ten_guests_with_volumes_move_at_once(lab: Lab, wire: Wire, start: StartGuest) -> None:
    carriers = start_carriers(lab, wire, start, 10)
    began = monotonic_s()
    migrations = [wire.begin(carrier.uuid, "node6") for carrier in carriers]
    for carrier, migration in zip(carriers, migrations, strict=True):
        ended = wire.end(migration, deadline_s=120)
        assert ended["status"] == "completed", story(ended)
        carrier.assert_only("node6")
        carrier.guest.wait_ticks(2)
        assert carrier.guest.report(began).is_unbroken
