"""How the storage daemon begins."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from lmigrate.cli.daemon_cmd import storage_argv
from lmigrate.cli.exit_codes import Failure
from lmigrate.config import Settings
from tasks import storage as storage_tasks
from tasks.app import app as celery_app
from tasks.app import make_app


def test_it_serves_one_backend_with_one_thread(configured: Settings) -> None:
    argv = storage_argv(configured)
    assert argv[argv.index("-Q") + 1] == "storage.san1"
    assert argv[argv.index("-c") + 1] == "1"


def test_it_must_know_which(configured: Settings) -> None:
    unsaid = configured.model_copy(update={"storage": configured.storage.model_copy(update={"serves": "san9"})})
    with pytest.raises(Failure, match="san1"):
        storage_argv(unsaid)


def test_without_a_backend_it_waits_to_be_ended() -> None:
    argv = [sys.executable, "-m", "lmigrate.cli.main", "storage", "run"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "nothing to serve" in process.stdout.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_the_beat_sends_each_backend_its_sweep(configured: Settings) -> None:
    schedule: dict[str, Any] = make_app().conf.beat_schedule
    assert schedule["sweep_storage.san1"]["options"]["queue"] == "storage.san1"
    assert schedule["sweep_storage.san1"]["schedule"] == configured.storage.sweep_interval_s


@pytest.mark.parametrize(("hostname", "sent"), [("storage@san1", ["storage.san1"]), ("ctl@node5", []), ("storage@san2", [])])
def test_a_storage_daemon_sweeps_when_it_starts(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, hostname: str, sent: list[str]
) -> None:
    queues: list[str] = []
    monkeypatch.setattr(celery_app, "send_task", lambda _name, queue: queues.append(queue))
    storage_tasks._sweep_at_start(type("Consumer", (), {"hostname": hostname}))
    assert queues == sent
