"""What Nova has and lmigrate has not: lists that are empty, so that clients which fetch them on their way go on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.nova.versioned import Versioned

Nothing = Annotated[list[str], Field(max_length=0)]


class AggregatesAnswer(Versioned):
    """No host aggregates."""

    aggregates: Nothing = Field([])


class ImagesAnswer(Versioned):
    """No images."""

    images: Nothing = Field([])


class KeypairsAnswer(Versioned):
    """No key pairs."""

    keypairs: Nothing = Field([])


class ExtensionsAnswer(Versioned):
    """No extensions."""

    extensions: Nothing = Field([])


class ServerGroupsAnswer(Versioned):
    """No server groups."""

    server_groups: Nothing = Field([])
