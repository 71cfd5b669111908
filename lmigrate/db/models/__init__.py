"""All models, so that importing this package fills the metadata."""

from lmigrate.db.models.access import ApiToken, AuditEvent
from lmigrate.db.models.action import InstanceAction, InstanceActionEvent
from lmigrate.db.models.host import Host, Reservation
from lmigrate.db.models.instance import BlockDeviceMapping, DomainSighting, Instance
from lmigrate.db.models.leak import Leak
from lmigrate.db.models.migration import Migration, MigrationStep, Observation, ProgressSample
from lmigrate.db.models.turn import Turn
from lmigrate.db.models.volume import Volume, VolumeAttachment

__all__ = [
    "ApiToken",
    "AuditEvent",
    "BlockDeviceMapping",
    "DomainSighting",
    "Host",
    "Instance",
    "InstanceAction",
    "InstanceActionEvent",
    "Leak",
    "Migration",
    "MigrationStep",
    "Observation",
    "ProgressSample",
    "Reservation",
    "Turn",
    "Volume",
    "VolumeAttachment",
]
