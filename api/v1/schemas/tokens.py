"""Tokens, and whoever asks, in ``/v1``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery
from lmigrate.access import tokens
from lmigrate.states import Role

TokenName = Annotated[
    str,
    Field(pattern="^" + tokens.NAME.pattern.replace(r"\Z", "$"), max_length=63, description="Whose it is; also the user of HTTP basic."),
]


#: ten years
_MAX_LIFETIME_S = 315_360_000


def _whole(value: object) -> object:
    """JSON knows one kind of number: 60.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Token(Shape):
    """A token, without its secret, which is not kept."""

    uuid: str
    name: str
    role: Role
    created_by: str
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    state: Literal["good", "revoked", "expired"]
    last_used_at: Moment | None = Field(description="At most a minute behind.")
    last_used_from: str | None = Field(description="Address of that request.")


class NewToken(Shape):
    """What a new token shall be."""

    name: TokenName
    role: Role = Role.READER
    lifetime_s: Annotated[int, Field(strict=True, ge=1, le=_MAX_LIFETIME_S), BeforeValidator(_whole)] | None = Field(
        None, description="After so many seconds it is worth nothing; null: never."
    )


class TokenWithSecret(Token):
    """A new token."""

    secret: str = Field(description="The token itself. It is shown this once.")


class Tokens(Page):
    """A page of tokens, newest first."""

    tokens: list[Token]


class TokensQuery(PageQuery):
    """Which tokens."""

    name: Annotated[str, Field(pattern=NAME, max_length=63, description="Those of this name.")] | None = None


class CallerShape(Shape):
    """Whoever asks."""

    user: str
    project: str
    role: Role
    token_uuid: str | None = Field(description="The token that was used; null without authentication and with a real Keystone.")
