import pytest
from click.testing import CliRunner

from lmigrate.cli import daemon_cmd
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.cli.main import main
from lmigrate.config import FlowerSettings, Settings, settings


@pytest.fixture(autouse=True)
def _own_settings() -> None:
    settings.cache_clear()


def test_the_conductor_serves_its_queue_on_threads() -> None:
    argv = daemon_cmd.conductor_argv(Settings())
    words = " ".join(argv)
    assert "-A tasks.app worker -P threads -c 8 -Q conductor -n conductor@%h --without-gossip --without-mingle" in words


def test_flower_has_its_password_in_the_environment_only() -> None:
    options = Settings(flower=FlowerSettings(bind="127.0.0.1:5555", basic_auth="lab:hunter2"))
    argv, environment = daemon_cmd.flower_process(options)
    assert "--address=127.0.0.1" in argv
    assert "--port=5555" in argv
    assert not any("hunter2" in word for word in argv)
    assert environment == {"FLOWER_BASIC_AUTH": "lab:hunter2"}


@pytest.mark.parametrize("password", [None, "", "nocolon"])
def test_flower_does_not_start_without_a_password(password: str | None) -> None:
    with pytest.raises(Failure, match="LMIGRATE_FLOWER__BASIC_AUTH"):
        daemon_cmd.flower_process(Settings(flower=FlowerSettings(basic_auth=password)))


@pytest.mark.parametrize("kind", ["api", "conductor", "beat", "flower", "host"])
def test_a_wrong_setting_is_named(kind: str) -> None:
    shown = CliRunner().invoke(main, [kind, "run"], env={"LMIGRATE_API__THREADS": "0"})
    assert shown.exit_code == ExitCode.USAGE
    assert "api.threads" in shown.output
