"""The errors that more than one part of lmigrate raises on purpose.

    LmigrateError
    ├── RequestError        the request is at fault: another host cannot help
    │   ├── InvalidInput, UnknownHost, InstanceNotFound, MigrationNotFound, VolumeNotFound, TokenNotFound, AuditEventNotFound
    │   ├── InstanceInvalidState, AbortTooLate, ForceCompleteRefused, NotHeld, ResolutionRefused, ForgetRefused
    │   ├── MigrationAborted, NoValidHost, NotMigratable, InvalidLocalStorage, InvalidSharedStorage
    │   └── VolumeExists, VolumeRefused, InjectedRequestFault
    ├── HostError           one host is at fault: the conductor may try the next
    │   ├── MigrationPreCheckError, ComputeServiceUnavailable, GuestBusy, UnableToMigrateToSelf, AccessBeingRevoked
    │   ├── InvalidHypervisorType, DestinationHypervisorTooOld, InvalidCPUInfo, InsufficientMemory
    │   └── DestinationDiskExists, DestinationDomainExists, DestinationDiskTooSmall, InjectedHostFault
    ├── HypervisorError     libvirt said no, or did not answer
    │   └── HypervisorUnavailable, HypervisorTimeout, HypervisorNotAsked, DomainNotFound
    ├── StorageError        a storage said no, or did not answer
    │   └── StorageUnavailable
    └── our own parts       BrokerUnavailable, DirectoryUnavailable, PrechecksNotEnded, StepFailed,
                            MigrationFailed, PostCopyBroken, OutcomeUnknown, InjectedFault

The docstring of a class is its message; ``{name}`` fields are filled from the
keyword arguments given to the constructor.  ``code`` is stable and safe to match
on; ``fault`` decides whether another destination is worth trying.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from lmigrate.states import HoldReason


class Fault(StrEnum):
    """Whose fault an error is: it decides what the conductor does next."""

    REQUEST = "request"  # permanent: end the migration with this message
    HOST = "host"  # this destination cannot take it: try the next one
    SYSTEM = "system"  # unexpected: undo, then end the migration


class LmigrateError(Exception):
    """lmigrate failed."""

    fault: ClassVar[Fault] = Fault.SYSTEM

    def __init__(self, message: str | None = None, **fields: object) -> None:
        self.fields = fields
        template = message or (type(self).__doc__ or "").strip()
        super().__init__(template.format(**fields) if fields and not message else template)

    @property
    def code(self) -> str:
        """The stable name of this kind of error, as stored and shown."""
        return type(self).__name__


class RequestError(LmigrateError):
    """The request cannot be carried out."""

    fault = Fault.REQUEST


class HostError(LmigrateError):
    """The host cannot take part in this migration."""

    fault = Fault.HOST


class HypervisorError(LmigrateError):
    """libvirt on {host} refused: {reason}"""


class InvalidInput(RequestError):
    """Invalid value for {field}: {value!r}. {remedy}"""


class UnknownHost(RequestError):
    """Compute host {host} could not be found. `lmigrate host list` shows the hosts that have registered."""


class InstanceNotFound(RequestError):
    """Instance {instance} could not be found."""


class MigrationNotFound(RequestError):
    """Migration {migration} could not be found."""


class InstanceInvalidState(RequestError):
    """Cannot '{action}' instance {instance} while it is in {attribute} {state}"""


class AbortTooLate(RequestError):
    """Migration {migration} is {status}: it can no longer be aborted. {remedy}"""


class ForceCompleteRefused(RequestError):
    """Migration {migration} is {status}: only a copy that runs can be completed by force."""


class NotHeld(RequestError):
    """Migration {migration} is {status}: only one in status error waits for an operator."""


class ResolutionRefused(RequestError):
    """Migration {migration} cannot be resolved that way: {reason}"""


class ForgetRefused(RequestError):
    """Server {instance} is not forgotten: {reason}"""


class InvalidLocalStorage(RequestError):
    """{path} is not on local storage: {reason}"""


class InvalidSharedStorage(RequestError):
    """{path} is not on shared storage: {reason}"""


class NotMigratable(RequestError):
    """Instance {instance} cannot be live migrated: {reasons}"""


class MigrationAborted(RequestError):
    """The migration was aborted on request."""


class NoValidHost(RequestError):
    """No valid host was found. {reason}"""


class MigrationPreCheckError(HostError):
    """Migration pre-check error: {reason}"""


class PrechecksNotEnded(LmigrateError):
    """The checks have not ended after {timeout_s} s; migration {migration} goes on. `lmigrate migration show {migration}` tells how."""


class ComputeServiceUnavailable(HostError):
    """Compute service of {host} is unavailable at this time: {reason}"""


class GuestBusy(HostError):
    """Another worker on this host is still at work on instance {instance}. `lmigrate doctor` tells if it stays there."""


class UnableToMigrateToSelf(HostError):
    """Unable to migrate instance ({instance}) to current host ({host})."""


class InvalidHypervisorType(HostError):
    """The hypervisor of {host} is of type {actual}, the source's is {expected}."""


class DestinationHypervisorTooOld(HostError):
    """The instance requires a newer hypervisor version than {host} provides ({actual} < {expected})."""


class InvalidCPUInfo(HostError):
    """Unacceptable CPU info: the guest's CPU cannot run on {host}: {reason}"""


class DestinationDiskExists(HostError):
    """The supplied disk path ({path}) already exists on {host}; it is expected not to exist. Move it away if it is a leftover."""


class DestinationDomainExists(HostError):
    """A domain {name} with UUID {uuid} already exists on {host} ({state}). lmigrate did not make it and will not touch it."""


class DestinationDiskTooSmall(HostError):
    """Unable to migrate {instance}: Disk of instance is too large(available on destination host:{available} < need:{need})"""


class InsufficientMemory(HostError):
    """Unable to migrate {instance} to {host}: Lack of memory(host:{available} <= instance:{needed})"""


class HypervisorUnavailable(HypervisorError):
    """Connection to the hypervisor is broken on host {host}: {reason}"""


class HypervisorTimeout(HypervisorError):
    """libvirt on {host} did not answer {call} within {deadline_s} s."""


class HypervisorNotAsked(HypervisorTimeout):
    """libvirt on {host} is not asked for now: {reason}"""


class DomainNotFound(HypervisorError):
    """Domain {uuid} is not on {host}."""


class StorageError(LmigrateError):
    """Storage backend {backend}: {reason}"""


class StorageUnavailable(StorageError):
    """Storage backend {backend}: no answer: {reason}"""


class DirectoryUnavailable(LmigrateError):
    """{directory} on {host} does not answer: {reason} Look at its mount with `findmnt --target {directory}`."""


class AccessBeingRevoked(HostError):
    """Access to volume {volume} for instance {instance} on {host} is being taken back. Try again when `lmigrate volume attachments {volume}` does not show it any more."""


class VolumeNotFound(RequestError):
    """Volume {volume} could not be found. `lmigrate volume list` shows those that are registered."""


class VolumeExists(RequestError):
    """{source} is registered already: volume {volume} ({name}) of backend {backend}."""


class VolumeRefused(RequestError):
    """Volume {name} was not registered: {reason}"""


class TokenNotFound(RequestError):
    """Token {token} could not be found. `lmigrate token list` shows those that there are."""


class AuditEventNotFound(RequestError):
    """Audit event {event} could not be found."""


class BrokerUnavailable(LmigrateError):
    """The message broker does not answer: {reason}"""


class StepFailed(LmigrateError):
    """Step {step} of migration {migration} failed: {reason}"""


class MigrationFailed(LmigrateError):
    """Live migration operation has failed: {reason}"""


class PostCopyBroken(LmigrateError):
    """Post-copy broke at {since} and could not be resumed within {limit_s} s; both copies are kept. Last try: {reason}"""


class OutcomeUnknown(LmigrateError):
    """What became of the guest is not known: {reason}"""

    @property
    def hold(self) -> HoldReason | None:
        """What a migration that cannot get past this is held for, if the one who raised it knows."""
        kind = self.fields.get("hold")
        return kind if isinstance(kind, HoldReason) else None


class InjectedFault(LmigrateError):
    """Injected by a fail point: {point}"""

    fault = Fault.SYSTEM


class InjectedHostFault(HostError):
    """Injected by a fail point, as a fault of the host: {point}"""


class InjectedRequestFault(RequestError):
    """Injected by a fail point, as a fault of the request: {point}"""
