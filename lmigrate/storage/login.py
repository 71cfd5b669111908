"""Whether this host can open a volume: qemu-img, with the same block driver that QEMU will use."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lmigrate import shell
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.base import ConnectionInfo

_DEADLINE_S = 15.0


def why_refused(info: ConnectionInfo, pki_dir: Path = Path("/etc/pki")) -> str | None:
    """Open the volume read-only and close it again; None if that works, else why not.

    ``pki_dir`` is the host's (settings.host.pki_dir): TLS takes the certificates that libvirt gives QEMU.
    """
    if info.protocol not in _IMAGE_OPTIONS:
        return f"this host does not know the protocol {info.protocol}"
    with tempfile.NamedTemporaryFile("w", prefix="lmigrate-secret-") as secret:  # 0600; gone with the with
        secret.write(info.secret or "")
        secret.flush()
        argv = ["qemu-img", "info", "--force-share", "--output=json", *_objects(info, secret.name, pki_dir)]
        try:
            shell.run([*argv, "--image-opts", _joined(_IMAGE_OPTIONS[info.protocol](info))], timeout_s=_DEADLINE_S)
        except CommandFailed as error:
            return str(error.fields["reason"])
    return None


def _objects(info: ConnectionInfo, secret_path: str, pki_dir: Path) -> list[str]:
    found = []
    if info.secret:
        # Ceph's keys are base64 text for bytes; QEMU wants the bytes
        form = "base64" if info.auth_type == "ceph" else "raw"
        found.append(f"--object=secret,id=volume,format={form},file={secret_path}")
    if info.is_tls:
        found.append(f"--object=tls-creds-x509,id=tls,endpoint=client,dir={_escaped(str(pki_dir / 'qemu'))}")
    return found


def _iscsi(info: ConnectionInfo) -> dict[str, str | None]:
    target, _, lun = info.source_name.rpartition("/")
    host, port = info.hosts[0]
    return {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "target": target,
        "lun": lun,
        "initiator-name": info.initiator,
        "user": info.auth_username,
        "password-secret": "volume" if info.secret else None,
    }


def _nbd(info: ConnectionInfo) -> dict[str, str | None]:
    host, port = info.hosts[0]
    return {
        "driver": "nbd",
        "server.type": "inet",
        "server.host": host,
        "server.port": str(port),
        "export": info.source_name,
        "tls-creds": "tls" if info.is_tls else None,
    }


def _rbd(info: ConnectionInfo) -> dict[str, str | None]:
    pool, _, image = info.source_name.partition("/")
    monitors = {
        f"server.{n}.{key}": value for n, (host, port) in enumerate(info.hosts) for key, value in (("host", host), ("port", str(port)))
    }
    return {
        "driver": "rbd",
        "pool": pool,
        "image": image,
        "user": info.auth_username,
        "key-secret": "volume" if info.secret else None,
        "auth-client-required.0": "cephx" if info.secret else None,
        **monitors,
    }


def _file(info: ConnectionInfo) -> dict[str, str | None]:
    # Not as qcow2: what a guest writes into a raw file must not be taken for a header that names other files.
    return {"driver": "file", "filename": info.source_name}


_IMAGE_OPTIONS = {"iscsi": _iscsi, "nbd": _nbd, "rbd": _rbd, "file": _file}


def _joined(options: dict[str, str | None]) -> str:
    return ",".join(f"{name}={_escaped(value)}" for name, value in options.items() if value is not None)


def _escaped(value: str) -> str:
    """A value within QEMU's key=value,… syntax."""
    return value.replace(",", ",,")
