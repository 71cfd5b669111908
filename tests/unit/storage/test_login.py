"""The command by which a host tries whether it can open a volume."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate import shell
from lmigrate.storage import login
from lmigrate.storage.drivers.base import ConnectionInfo

ISCSI = ConnectionInfo("iscsi", "iqn.2026-11.x:v/1", (("10.0.0.2", 3260),), "iqn.x:node6", "lm-a", "iscsi", "S3CR3T")
RBD = ConnectionInfo("rbd", "vms/a,b", (("10.0.0.11", 6789), ("fd00::12", 3300)), None, "lm-a", "ceph", "AQB8//4=")
NBD = ConnectionInfo("nbd", "3f2a", (("10.0.0.2", 10810),), is_tls=True)
FILE = ConnectionInfo("file", "/srv/volumes/a,b.raw", ())
EXPECTED = {
    "iscsi": (
        ISCSI,
        ["--object=secret,id=volume,format=raw,file=SECRET"],
        "driver=iscsi,transport=tcp,portal=10.0.0.2:3260,target=iqn.2026-11.x:v,lun=1,initiator-name=iqn.x:node6,user=lm-a,password-secret=volume",
    ),
    "rbd": (
        RBD,
        ["--object=secret,id=volume,format=base64,file=SECRET"],
        (
            "driver=rbd,pool=vms,image=a,,b,user=lm-a,key-secret=volume,auth-client-required.0=cephx,"
            "server.0.host=10.0.0.11,server.0.port=6789,server.1.host=fd00::12,server.1.port=3300"
        ),
    ),
    "nbd": (
        NBD,
        ["--object=tls-creds-x509,id=tls,endpoint=client,dir=/etc/pki/qemu"],
        "driver=nbd,server.type=inet,server.host=10.0.0.2,server.port=10810,export=3f2a,tls-creds=tls",
    ),
    "file": (FILE, [], "driver=file,filename=/srv/volumes/a,,b.raw"),
}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """Each command that was run, with the secret that its file held."""
    seen: list[tuple[list[str], str]] = []

    def run(argv: list[str], *, timeout_s: float) -> str:
        files = [word.rpartition("file=")[2] for word in argv if word.startswith("--object=secret")]
        seen.append(([word.replace(files[0], "SECRET") if files else word for word in argv], Path(files[0]).read_text() if files else ""))
        return "{}"

    monkeypatch.setattr(shell, "run", run)
    return seen


@pytest.mark.parametrize("protocol", EXPECTED)
def test_the_command(protocol: str, commands: list[tuple[list[str], str]]) -> None:
    info, objects, options = EXPECTED[protocol]
    assert login.why_refused(info) is None
    [(argv, secret)] = commands
    assert argv == ["qemu-img", "info", "--force-share", "--output=json", *objects, "--image-opts", options]
    assert secret == (info.secret or "")
    assert info.secret is None or not any(info.secret in word for word in argv)


def test_an_unknown_protocol_is_a_reason(commands: list[tuple[list[str], str]]) -> None:
    assert login.why_refused(ConnectionInfo("sheepdog", "x", ())) == "this host does not know the protocol sheepdog"
    assert commands == []


def test_the_reason_is_qemus(tmp_path: Path) -> None:
    reason = login.why_refused(ConnectionInfo("file", str(tmp_path / "absent.raw"), ()))
    assert reason is not None
    assert "No such file" in reason


def test_the_secrets_file_is_private_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def run(argv: list[str], *, timeout_s: float) -> str:
        path = Path(next(word for word in argv if word.startswith("--object=secret")).rpartition("file=")[2])
        assert path.stat().st_mode & 0o777 == 0o600
        seen.append(path)
        raise shell.CommandFailed(command="qemu-img", reason="exit 1: no")

    monkeypatch.setattr(shell, "run", run)
    assert login.why_refused(ISCSI) == "exit 1: no"
    assert not seen[0].exists()
