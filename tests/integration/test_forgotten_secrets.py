"""libvirtd, or its host, was restarted: the secrets of its guests' volumes are given back, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from lmigrate import crypto
from lmigrate.config import SecretSettings
from lmigrate.crypto import WrongSecretKey
from lmigrate.doctor.host_secrets import restore_secrets
from lmigrate.states import MigrationStatus
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_move import Move
from lmigrate.virt.types import Secret
from tests.fakes.san import FakeSan
from tests.integration.cluster import Cluster, serving


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "node5", "node6", san=FakeSan("san1"))
    with serving(made.san or FakeSan("san1")):
        yield made


def restore(cluster: Cluster, host: str) -> list[str]:
    return restore_secrets(cluster.settings(host), cluster.hypervisor(host))


def moved(cluster: Cluster) -> str:
    """A guest with two volumes that lmigrate has moved to node6."""
    uuid = cluster.boot("node5", volume_count=2)
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    return uuid


def secrets(cluster: Cluster, host: str) -> dict[str, Secret]:
    return cluster.world.hosts[host].secrets


def test_what_libvirt_forgot_is_given_back_once(cluster: Cluster) -> None:
    moved(cluster)
    assert restore(cluster, "node6") == []
    before = dict(secrets(cluster, "node6"))
    assert len(before) == 2
    secrets(cluster, "node6").clear()
    told = restore(cluster, "node6")
    assert [sentence.startswith("libvirt was given back the secret of attachment ") for sentence in told] == [True, True]
    assert not [secret for secret in before.values() if secret.value in str(told)]
    assert secrets(cluster, "node6") == before
    assert restore(cluster, "node6") == []


def test_of_a_stopped_guest_too(cluster: Cluster) -> None:
    uuid = moved(cluster)
    before = dict(secrets(cluster, "node6"))
    cluster.world.power_off("node6", uuid)
    secrets(cluster, "node6").clear()
    restore(cluster, "node6")
    assert secrets(cluster, "node6") == before


def test_only_where_the_guest_is_at_home(cluster: Cluster) -> None:
    """The destination of a move that goes on, and then fails, has secrets that are that move's own."""
    uuid = cluster.boot("node5", volume_count=1)
    told: list[list[str]] = []

    def look_and_fail(move: Move) -> None:
        secrets(cluster, "node6").clear()
        told.append(restore(cluster, "node6"))
        raise move.error("injected")

    cluster.world.at("copying", look_and_fail)
    assert cluster.migrate(uuid, "node6").status is MigrationStatus.FAILED
    assert told == [[]]
    assert secrets(cluster, "node6") == {}


def test_a_guest_whose_domain_is_gone_needs_none(cluster: Cluster) -> None:
    uuid = moved(cluster)
    cluster.world.power_off("node6", uuid)
    cluster.hypervisor("node6").undefine(uuid)
    secrets(cluster, "node6").clear()
    assert restore(cluster, "node6") == []
    assert secrets(cluster, "node6") == {}


def test_a_guest_that_leaves_at_that_moment_leaves_no_secret(cluster: Cluster) -> None:
    uuid = moved(cluster)
    secrets(cluster, "node6").clear()

    class Leaving(FakeHypervisor):
        """The guest has gone back when the first secret is defined."""

        def define_secret(self, secret: Secret) -> None:
            if cluster.instance(uuid).host == "node6":
                cluster.check_moved(cluster.migrate(uuid, "node5"), "node6", "node5")
            super().define_secret(secret)

    told = restore_secrets(cluster.settings("node6"), Leaving(cluster.world, "node6"))
    assert [sentence.endswith("is not needed any more") for sentence in told] == [True, True]
    assert secrets(cluster, "node6") == {}


def test_another_key_is_told_and_nothing_is_defined(cluster: Cluster) -> None:
    moved(cluster)
    secrets(cluster, "node6").clear()
    other = cluster.settings("node6").model_copy(update={"secrets": SecretSettings(keys=[SecretStr(crypto.new_key())])})
    with pytest.raises(WrongSecretKey):
        restore_secrets(other, cluster.hypervisor("node6"))
    assert secrets(cluster, "node6") == {}
