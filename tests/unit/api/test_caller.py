import pytest

from api.caller import UnsafeBind, require_loopback


@pytest.mark.parametrize("bind", ["127.0.0.1:8774", "127.8.8.8:1", "[::1]:8774", "localhost:8774", "unix:/run/lmigrate/api.sock"])
def test_loopback_is_served(bind: str) -> None:
    require_loopback(bind)


@pytest.mark.parametrize("bind", ["0.0.0.0:8774", "[::]:8774", ":8774", "10.0.0.1:8774", "node5:8774", "8774", "fd://3"])
def test_anything_else_is_refused_while_there_is_no_authentication(bind: str) -> None:
    with pytest.raises(UnsafeBind, match="no authentication"):
        require_loopback(bind)
