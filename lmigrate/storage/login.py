"""Whether this host can open a volume: qemu-img, with the same block driver that QEMU will use."""

from __future__ import annotations

import tempfile

from lmigrate import shell
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.base import ConnectionInfo

_DEADLINE_S = 15.0


def why_refused(info: ConnectionInfo) -> str | None:
    """Open the volume read-only and close it again; None if that works, else why not."""
    with tempfile.NamedTemporaryFile("w", prefix="lmigrate-secret-") as secret:  # 0600; gone with the with
        secret.write(info.secret or "")
        secret.flush()
        argv = ["qemu-img", "info", "--force-share", "--output=json"]
        if info.secret:
            argv += ["--object", f"secret,id=volume,file={secret.name}"]
        try:
            shell.run([*argv, "--image-opts", _IMAGE_OPTIONS[info.protocol](info)], timeout_s=_DEADLINE_S)
        except CommandFailed as error:
            return str(error.fields["reason"])
    return None


def _iscsi(info: ConnectionInfo) -> str:
    target, _, lun = info.source_name.rpartition("/")
    host, port = info.hosts[0]
    options = {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": f"{host}:{port}",
        "target": target,
        "lun": lun,
        "initiator-name": info.initiator,
        "user": info.auth_username,
        "password-secret": "volume" if info.secret else None,
    }
    return ",".join(f"{name}={value}" for name, value in options.items() if value is not None)


_IMAGE_OPTIONS = {"iscsi": _iscsi}
