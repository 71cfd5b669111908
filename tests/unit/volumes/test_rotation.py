"""Secrets in the database get another key."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lmigrate import crypto
from lmigrate.cli.main import main
from lmigrate.config import Settings, settings
from lmigrate.db.models import VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import access
from lmigrate.ids import new_uuid
from tests.unit.volumes.conftest import KEY, Save, attachment_row, volume_row


def tokens() -> list[str]:
    with reading() as session:
        return [str(row.connection_info) for row in session.query(VolumeAttachment).order_by(VolumeAttachment.uuid)]


def run(*keys: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv("LMIGRATE_SECRETS__KEYS", json.dumps(keys))
    settings.cache_clear()
    done = CliRunner().invoke(main, ["secrets", "rotate"])
    return done.exit_code, done.output


def test_all_secrets_move_to_the_newest_key(configured: Settings, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, new = volume_row(), crypto.new_key()
    save(volume, *(attachment_row(volume, host, new_uuid()) for host in ("node5", "node6")))
    before = [crypto.decrypt(token, [KEY]) for token in tokens()]
    assert run(new, KEY, monkeypatch=monkeypatch) == (0, "2 secrets are under the newest key.\n")
    assert [crypto.decrypt(token, [new]) for token in tokens()] == before


@pytest.mark.parametrize(("keys", "word"), [((crypto.new_key(),), "cannot be decrypted"), ((), "no key")])
def test_a_wrong_key_changes_nothing(
    configured: Settings, save: Save, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], word: str
) -> None:
    volume = volume_row()
    save(volume, attachment_row(volume, "node5", new_uuid()))
    before = tokens()
    code, output = run(*keys, monkeypatch=monkeypatch)
    assert (code, tokens()) == (1, before)
    assert word in output


def test_a_new_key_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(main, ["secrets", "new-key"])
    assert crypto.decrypt(crypto.encrypt("x", [done.output.strip()]), [done.output.strip()]) == "x"


def test_a_secret_that_was_granted_anew_is_left_alone(configured: Settings, save: Save) -> None:
    volume = volume_row()
    row = attachment_row(volume, "node5", new_uuid())
    save(volume, row)
    with writing() as session:
        assert access.replace_token(session, row.uuid, "of the grant before", "rotated") is False
    assert tokens() == [row.connection_info]
