"""What the small Keystone takes: the three methods that a secret can be given by.  What is not known is passed over, as in Keystone."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class User(_Lenient):
    """Somebody, by name or id, which are the same here."""

    id: str | None = Field(None, max_length=255)
    name: str | None = Field(None, max_length=255)


class PasswordUser(User):
    """Somebody and their password."""

    password: str = Field(max_length=4096)


class Password(_Lenient):
    """The method ``password``."""

    user: PasswordUser


class Token(_Lenient):
    """The method ``token``."""

    id: str = Field(max_length=4096)


class ApplicationCredential(_Lenient):
    """The method ``application_credential``: the token's uuid as id, or its name."""

    id: str | None = Field(None, max_length=255)
    name: str | None = Field(None, max_length=255)
    secret: str = Field(max_length=4096)


class Identity(_Lenient):
    """How somebody proves who they are."""

    methods: list[str] = Field(min_length=1, max_length=1)
    password: Password | None = None
    token: Token | None = None
    application_credential: ApplicationCredential | None = None

    @model_validator(mode="after")
    def _has_its_method(self) -> Self:
        if self.methods[0] not in {"password", "token", "application_credential"}:
            raise ValueError("password, token and application_credential are the methods that there are")
        if getattr(self, self.methods[0]) is None:
            raise ValueError(f"{self.methods[0]} is a required property")
        return self


class Project(_Lenient):
    """A project, by name or id, which are the same here."""

    id: str | None = None
    name: str | None = None


class Scope(_Lenient):
    """What for."""

    project: Project | None = None


class Login(_Lenient):
    """The body's ``auth``."""

    identity: Identity
    scope: Scope | str | None = None  # "unscoped"

    @property
    def methods(self) -> list[str]:
        """Keystone's word for how."""
        return list(self.identity.methods)

    @property
    def secret(self) -> str:
        """The token that was given, under whichever name."""
        how = self.identity
        if how.password is not None and how.methods == ["password"]:
            return how.password.user.password
        if how.token is not None and how.methods == ["token"]:
            return how.token.id
        return how.application_credential.secret if how.application_credential is not None else ""

    def is_of(self, name: str, uuid: str) -> bool:
        """Whether it names the owner of the token ``uuid`` called ``name``; the method ``token`` names nobody."""
        method = self.identity.methods[0]
        if method == "token":
            return True
        who = self.identity.password.user if method == "password" and self.identity.password else self.identity.application_credential
        return who is not None and (who.name == name or who.id in {name, uuid})

    def is_for(self, project: str) -> bool:
        """Whether it asks for ``project``, or for none."""
        wanted = self.scope.project if isinstance(self.scope, Scope) else None
        return wanted is None or project in {wanted.id, wanted.name}
