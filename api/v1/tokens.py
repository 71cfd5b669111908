"""/v1/tokens: who may use this API.  /v1/caller: who does at the moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api import caller
from api.contract import contract
from api.errors import MarkerNotFound
from api.v1.blueprint import v1
from api.v1.schemas.tokens import CallerShape, NewToken, Token, Tokens, TokensQuery, TokenWithSecret
from lmigrate.access import tokens as access
from lmigrate.db.clock import utcnow
from lmigrate.db.models import ApiToken
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import tokens as store
from lmigrate.errors import TokenNotFound


@v1.get("/caller")
@contract(answer=CallerShape)
def show_caller() -> CallerShape:
    """Show who is asking, and what they may."""
    who = caller.current()
    return CallerShape(user=who.user_id, project=who.project_id, role=who.role, token_uuid=who.token_uuid)


@v1.get("/tokens")
@contract(query=TokensQuery, answer=Tokens, errors=(404,))
def list_tokens(query: TokensQuery) -> Tokens:
    """List tokens, newest first."""
    with reading() as session:
        try:
            found = store.page(session, query.limit, query.marker, name=query.name)
        except TokenNotFound as error:
            raise MarkerNotFound(marker=query.marker) from error
    return Tokens(tokens=[Token(**_same(row)) for row in found], next_marker=found[-1].uuid if len(found) == query.limit else None)


@v1.get("/tokens/<uuid>")
@contract(answer=Token, errors=(404,))
def show_token(uuid: str) -> Token:
    """Show one token."""
    return _shown(uuid)


@v1.post("/tokens")
@contract(body=NewToken, answer=TokenWithSecret)
def create_token(json: NewToken) -> TokenWithSecret:
    """Make a token; the answer holds its secret, which nobody can ask for again."""
    made, secret = access.create(
        json.name, json.role, caller.current().user_id, None if json.lifetime_s is None else timedelta(seconds=json.lifetime_s)
    )
    return TokenWithSecret(**_same(made), secret=secret)


@v1.delete("/tokens/<uuid>")
@contract(answer=Token, errors=(404,))
def revoke_token(uuid: str) -> Token:
    """Make a token worthless at once, with the sessions that it opened; twice is once."""
    with writing() as session:
        store.revoke(session, store.require(session, uuid).uuid, utcnow())
    return _shown(uuid)


def _shown(uuid: str) -> Token:
    with reading() as session:
        return Token(**_same(store.require(session, uuid)))


def _same(row: ApiToken) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in Token.model_fields if name != "state"}
    return same | {"state": access.state_of(row, utcnow())}
