from __future__ import annotations

import pytest

from lmigrate.crypto import NoSecretKey, WrongSecretKey, decrypt, encrypt, new_key

OLD, NEW = new_key(), new_key()


def test_a_secret_comes_back_with_any_of_the_keys() -> None:
    token = encrypt("s3cret", [OLD])
    assert "s3cret" not in token
    assert decrypt(token, [NEW, OLD]) == "s3cret"
    assert encrypt("s3cret", [OLD]) != token


def test_the_first_key_encrypts() -> None:
    token = encrypt("s3cret", [NEW, OLD])
    assert decrypt(token, [NEW]) == "s3cret"
    with pytest.raises(WrongSecretKey):
        decrypt(token, [OLD])


@pytest.mark.parametrize("kept", [slice(None, -4), slice(10, None), slice(0)], ids=["end", "beginning", "all"])
def test_a_secret_that_is_cut_is_noticed(kept: slice) -> None:
    with pytest.raises(WrongSecretKey):
        decrypt(encrypt("s3cret", [NEW])[kept], [NEW])


def test_without_a_key_the_operator_is_told_what_to_do() -> None:
    with pytest.raises(NoSecretKey, match="LMIGRATE_SECRETS__KEYS"):
        encrypt("s3cret", [])
    with pytest.raises(NoSecretKey):
        decrypt("anything", [])
