import pytest
from pydantic import TypeAdapter, ValidationError

from api.nova.leniency import Boolean, BooleanOrAuto, NonNegative

BOOLEAN: TypeAdapter[bool] = TypeAdapter(Boolean)
AUTO: TypeAdapter[bool | str] = TypeAdapter(BooleanOrAuto)
NUMBER: TypeAdapter[int] = TypeAdapter(NonNegative)


@pytest.mark.parametrize("word", ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", True], ids=repr)
def test_true_in_every_spelling(word: object) -> None:
    assert BOOLEAN.validate_python(word) is AUTO.validate_python(word) is True


@pytest.mark.parametrize("word", ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", False], ids=repr)
def test_false_in_every_spelling(word: object) -> None:
    assert BOOLEAN.validate_python(word) is AUTO.validate_python(word) is False


@pytest.mark.parametrize("word", ["tRUE", "t", "y", "", " true", "2", "Auto", 0, 1, 1.0, None, [], {}], ids=repr)
def test_nothing_else_is_a_boolean(word: object) -> None:
    for adapter in (BOOLEAN, AUTO):
        with pytest.raises(ValidationError):
            adapter.validate_python(word)


def test_auto_only_where_it_may_be() -> None:
    assert AUTO.validate_python("auto") == "auto"
    with pytest.raises(ValidationError):
        BOOLEAN.validate_python("auto")


@pytest.mark.parametrize("text", ["-1", "1.0", "", " 1", "x", "\N{SUPERSCRIPT TWO}", "9" * 40, None, True], ids=repr)
def test_numbers_are_digits(text: object) -> None:
    assert NUMBER.validate_python("10") == 10
    with pytest.raises(ValidationError):
        NUMBER.validate_python(text)
