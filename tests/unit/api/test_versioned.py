from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from api.microversions import Microversion
from api.nova.versioned import OmitNone, Versioned, between, dump, model_at, since, until


class Part(Versioned):
    number: Annotated[int, until("2.52"), Field(serialization_alias="id")]
    uuid: Annotated[str, since("2.53"), Field(serialization_alias="id")]


class Whole(Versioned):
    part: Part
    parts: list[Part]
    maybe: Part | None = None
    middle: Annotated[str, between("2.28", "2.87")]
    link: Annotated[str | None, OmitNone()] = None


WHOLE = Whole(part=Part(number=1, uuid="u"), parts=[Part(number=2, uuid="v")], middle="m")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1", {"part": {"id": 1}, "parts": [{"id": 2}], "maybe": None}),
        ("2.28", {"part": {"id": 1}, "parts": [{"id": 2}], "maybe": None, "middle": "m"}),
        ("2.53", {"part": {"id": "u"}, "parts": [{"id": "v"}], "maybe": None, "middle": "m"}),
        ("2.88", {"part": {"id": "u"}, "parts": [{"id": "v"}], "maybe": None}),
    ],
)
def test_writes_what_a_version_has(version: str, expected: dict[str, object]) -> None:
    at = Microversion.parse(version)
    assert dump(WHOLE, at) == expected
    model_at(Whole, at).model_validate(expected)


def test_a_key_with_nothing_to_say_is_absent() -> None:
    assert "link" not in dump(WHOLE, Microversion(2, 1))
    assert dump(WHOLE.model_copy(update={"link": "x"}), Microversion(2, 1))["link"] == "x"


def test_the_class_of_a_version_refuses_fields_of_others() -> None:
    with pytest.raises(ValidationError, match="middle"):
        model_at(Whole, Microversion(2, 1)).model_validate(dump(WHOLE, Microversion(2, 28)))
    with pytest.raises(ValidationError, match="id"):
        model_at(Whole, Microversion(2, 53)).model_validate(dump(WHOLE, Microversion(2, 52)))
