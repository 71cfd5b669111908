from collections.abc import Callable

import pytest
from sqlalchemy import select

from lmigrate.db.models import Instance
from lmigrate.db.session import reading, writing
from lmigrate.db.stores.name_pattern import matches, why_refused
from lmigrate.errors import InvalidInput
from tests.factories.records import instance_row

NAMES = ["web-1", "web-22", "my-web-4", "db_1", "db%1", "a.b", "axb", "we(ird", "100% [x]"]


@pytest.fixture
def found(database: str) -> Callable[[str], list[str]]:
    with writing() as session:
        session.add_all([instance_row("node5", name=name) for name in NAMES])

    def ask(text: str) -> list[str]:
        with reading() as session:
            return sorted(session.scalars(select(Instance.name).where(matches(Instance.name, text))))

    return ask


CASES = {
    "web-1": ["web-1"],
    "^web-": ["web-1", "web-22"],
    "web-[0-9]+$": ["my-web-4", "web-1", "web-22"],
    r"^web-\d{2}$": ["web-22"],
    "^web-1$": ["web-1"],
    "1$": ["db%1", "db_1", "web-1"],
    "db_1": ["db_1"],
    "db%1": ["db%1"],
    "a.b": ["a.b", "axb"],
    r"a\.b": ["a.b"],
    "^(web|my)-": ["my-web-4", "web-1", "web-22"],
    "(web-1|db_1)": ["db_1", "web-1"],
    "100% [x]": ["100% [x]"],
    "nope": [],
}


def test_finds_what_nova_would(found: Callable[[str], list[str]], subtests: pytest.Subtests) -> None:
    for text, names in CASES.items():
        with subtests.test(text=text):
            assert found(text) == sorted(names)


REFUSED = [
    "(a+)+$",
    "(a|aa)*",
    "(",
    "we(ird",
    "[",
    "a**",
    "*a",
    r"(a)\1",
    r"a\b",
    "(?=a)",
    "(?i)a",
    "a{1,9999}",
    "a" * 256,
    ".*.*.*.*.*x",
    "[[:x:]]",
    "a*+",
    "a?+",
    "(?:a)",
    "^" + ".{0,99}" * 8 + "!$",
    "^" + ".{0,99}" * 4 + "!$",
    "^" + ".*" * 4 + "!$",
    ".*" * 3 + "!$",  # it may begin anywhere, too
    "^" + "a?" * 30 + "!$",
    "^" + "(a|a)" * 30 + "!$",
    "^" + "(|)" * 30 + "!$",
    "^((|)|((|)|(|)))" + "(|(|))" * 8,
    "^a|.*.*.*!",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_could_take_for_ever_or_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        matches(Instance.name, text if text != "a" * 256 else f"{text}.*")


@pytest.mark.parametrize(
    "text",
    ["^.*-web-.*$", ".*web.*", r"\w+-\d?", "a{2,3}b{4}", "[^x]y|z", "(web|db|app|mail|dns|ldap)-[0-9]+$", "^a.*b.*c.*$", "a|b|c|d|e|f|g|h"],
)
def test_simple_expressions_are_taken(text: str) -> None:
    assert why_refused(text) is None
