"""What clients fetch on their way and lmigrate has none of: aggregates, images, key pairs, extensions, server groups."""

from __future__ import annotations

from api.nova.blueprint import route
from api.nova.schemas.absent import AggregatesAnswer, ExtensionsAnswer, ImagesAnswer, KeypairsAnswer, ServerGroupsAnswer
from api.nova.versioned import until


@route("GET", "/os-aggregates", answer=AggregatesAnswer)
def aggregates() -> AggregatesAnswer:
    """List host aggregates: none."""
    return AggregatesAnswer()


@route("GET", "/images", span=until("2.35"), answer=ImagesAnswer)
def images() -> ImagesAnswer:
    """List images: none."""
    return ImagesAnswer()


@route("GET", "/images/detail", span=until("2.35"), answer=ImagesAnswer)
def images_detail() -> ImagesAnswer:
    """List images: none."""
    return ImagesAnswer()


@route("GET", "/os-keypairs", answer=KeypairsAnswer)
def keypairs() -> KeypairsAnswer:
    """List key pairs: none."""
    return KeypairsAnswer()


@route("GET", "/extensions", answer=ExtensionsAnswer)
def extensions() -> ExtensionsAnswer:
    """List extensions: none."""
    return ExtensionsAnswer()


@route("GET", "/os-server-groups", answer=ServerGroupsAnswer)
def server_groups() -> ServerGroupsAnswer:
    """List server groups: none."""
    return ServerGroupsAnswer()
