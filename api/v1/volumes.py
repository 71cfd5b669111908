"""/v1/volumes: what lies on shared storage, who may reach it, and how it becomes known."""

from __future__ import annotations

from api.contract import contract
from api.v1 import build_volume
from api.v1.blueprint import v1
from api.v1.schemas.volumes import Attachments, NewVolume, VolumeDetail, Volumes, VolumesQuery
from lmigrate.config import settings
from lmigrate.db.models import Volume
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import registration as records
from lmigrate.db.stores import volumes_view
from lmigrate.errors import BrokerUnavailable, VolumeRefused
from lmigrate.states import VolumeState
from lmigrate.storage import registration
from tasks.dispatcher import CeleryDispatcher

#: how long a registration waits for the storage daemon before it answers "registering"
WAIT_S = 10.0


@v1.get("/volumes")
@contract(query=VolumesQuery, answer=Volumes, errors=(404,))
def list_volumes(query: VolumesQuery) -> Volumes:
    """List volumes."""
    with reading() as session:
        found = volumes_view.page(session, query.limit, query.marker, backend=query.backend, name=query.name)
    full = len(found) == query.limit
    return Volumes(volumes=[build_volume.volume(one) for one in found], next_marker=found[-1].volume.uuid if full else None)


@v1.get("/volumes/<uuid>")
@contract(answer=VolumeDetail, errors=(404,))
def show_volume(uuid: str) -> VolumeDetail:
    """Show one volume."""
    return _shown(uuid)


@v1.get("/volumes/<uuid>/attachments")
@contract(answer=Attachments, errors=(404,))
def list_attachments(uuid: str) -> Attachments:
    """List the access that hosts have to a volume."""
    return Attachments(attachments=_shown(uuid).attachments)


@v1.post("/volumes")
@contract(body=NewVolume, answer=VolumeDetail, errors=(409,))
def register_volume(json: NewVolume) -> VolumeDetail:
    """Make a volume known that exists; state `registering` in the answer: the storage daemon has not said anything within 10 s."""
    uuid = registration.begin(settings().storage, json.backend, json.name, json.location, json.source_name)
    try:
        CeleryDispatcher().send_verify_volume(json.backend, uuid)
    except BrokerUnavailable:
        _forget(uuid)
        raise
    if registration.wait(uuid, WAIT_S) is VolumeState.ERROR:
        raise VolumeRefused(name=json.name, reason=_forget(uuid))
    return _shown(uuid)


def _shown(uuid: str) -> VolumeDetail:
    with reading() as session:
        return build_volume.volume_detail(volumes_view.one(session, uuid))


def _forget(uuid: str) -> str | None:
    """Leave nothing behind of what came to nothing; the reason."""
    with writing() as session:
        row = session.get(Volume, uuid)
        reason = None if row is None else row.error
        records.forget(session, uuid)
    return reason
