"""What can go wrong with a lab."""

from __future__ import annotations

from lmigrate.errors import LmigrateError


class LabError(LmigrateError):
    """The lab failed."""


class NotRoot(LabError):
    """The lab needs root: it makes namespaces, mounts and links. Run it as root (sudo)."""


class MissingProgram(LabError):
    """{program} is not installed. Install Debian's {package} (apt-get install {package}), or run `make deps`."""


class WrongOption(LabError):
    """An option of the lab, or of a guest, cannot be that."""


class NoSuchLab(LabError):
    """There is no lab {lab_id} in {root}. `lmigrate lab up --id {lab_id}` makes it."""


class NoSuchHost(LabError):
    """Lab {lab_id} has no host {host}; it has {hosts}."""


class NoSuchDaemon(LabError):
    """{node} of the lab runs no daemon {daemon}; it knows {known}."""


class NodeDown(LabError):
    """{node} of lab {lab_id} is not running. `lmigrate lab up --id {lab_id}` starts what is missing."""


class OptionsDiffer(LabError):
    """Lab {lab_id} stands with other options ({difference}). `lmigrate lab down --id {lab_id}` first, or give another --id."""


class StartFailed(LabError):
    """{what} did not come up within {deadline_s:g} s.{log}"""


class TokenRefused(LabError):
    """The API of lab {lab_id} refuses the lab's own token. Remove {file}, and `lmigrate lab up --id {lab_id}` makes a new one."""


class GuestExists(LabError):
    """Lab {lab_id} has a guest {guest} already. End it with `lmigrate lab guest stop {guest} --id {lab_id}`, or give another name."""


class NoSuchVolume(LabError):
    """Lab {lab_id} has no volume {volume}. `lmigrate lab volume create {volume} --id {lab_id}` makes it."""


class VolumeExists(LabError):
    """Lab {lab_id} has a volume {volume} already. Give it to a guest with `--volume {volume}`, or give another name."""


class VolumeInUse(LabError):
    """Volume {volume} belongs to {guest}. End that with `lmigrate lab guest stop`; then `lmigrate server forget {guest}` frees it."""


class NoStorage(LabError):
    """No tgtd runs in lab {lab_id}, which volumes lie on. `lmigrate lab up --id {lab_id}` starts what is missing."""


class LibvirtSilent(LabError):
    """libvirtd on {host} does not answer: {reason}"""
