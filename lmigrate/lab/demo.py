"""The demo: one HTTP request moves a running guest between two real hosts, and the guest tells what it noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from lmigrate.clock import monotonic_s
from lmigrate.lab.errors import LabError
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.report import Report
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from lmigrate.lab.wait import wait_for

Say = Callable[[str], None]

SOURCE, DESTINATION = "node5", "node6"
REQUEST = {"os-migrateLive": {"block_migration": "false", "host": DESTINATION}}
#: 2.25 is the first to take these two alone, and 2.34 the first that does not wait for the checks
VERSION = {"OpenStack-API-Version": "compute 2.34"}
_ENDED = frozenset({"completed", "failed", "cancelled", "error"})
_FOUND_DEADLINE_S = 30.0
_MOVE_DEADLINE_S = 120.0
_TICKS_AFTERWARDS = 10


class NotAsItShouldBe(LabError):
    """The demo shows something that should not be: {what}."""


def run(options: LabOptions, say: Say, *, keep: bool) -> None:
    """Show it all; the lab is removed at the end unless ``keep``.

    Raises:
        NotAsItShouldBe: the guest noticed something, or is not where it should be.
        LabError: the lab or the guest did not start.
    """
    say(f"Starting two hosts, {SOURCE} and {DESTINATION}, each with a libvirtd and an lmigrate daemon of its own:")
    with _lab(options, say, keep=keep) as lab, httpx.Client(base_url=lab.url, timeout=30) as api:
        guest = start_guest(lab, SOURCE, GuestSpec(name="demo", rate_hz=50, dirty_mib=8, dirty_mib_per_s=16))
        say(f"Guest {guest.name} runs on {SOURCE}. It counts in its memory, 50 times a second, and keeps rewriting 8 MiB of it.")
        wait_for(f"{SOURCE}'s daemon to find the guest", lambda: _is_found(api, guest.uuid), deadline_s=_FOUND_DEADLINE_S)
        before = guest.wait_ticks(1)[-1].line.count
        began_s = monotonic_s()
        migration = _follow(api, _request(api, guest.uuid, say), say)
        say(f"That took {monotonic_s() - began_s:.2f} s.")
        guest.wait_ticks(_TICKS_AFTERWARDS)
        _tell(before, guest.report(since=began_s), say)
        _judge(guest, migration, guest.report(since=began_s))


@contextmanager
def _lab(options: LabOptions, say: Say, *, keep: bool) -> Iterator[Lab]:
    indented: Say = lambda line: say(f"  {line}")  # noqa: E731 - a name for the line below
    if not keep:
        with Lab.throwaway(options, indented) as lab:
            yield lab
        say("The lab is gone again, with everything in it.")
        return
    yield Lab.up(options, indented)
    say(f"The lab stays: `lmigrate lab status --id {options.lab_id}`, and `lmigrate lab down --id {options.lab_id}` at the end.")


def _is_found(api: httpx.Client, uuid: str) -> bool:
    answer = api.get(f"/v1/servers/{uuid}")
    return answer.status_code == httpx.codes.OK and answer.json()["vm_state"] == "active"


def _request(api: httpx.Client, uuid: str, say: Say) -> str:
    """Post the one request; its id."""
    say(f"POST {api.base_url}/v2.1/servers/{uuid}/action {json.dumps(REQUEST)}")
    answer = api.post(f"/v2.1/servers/{uuid}/action", json=REQUEST, headers=VERSION)
    say(f"  {answer.status_code} {answer.reason_phrase}")
    if answer.status_code != httpx.codes.ACCEPTED:
        raise NotAsItShouldBe(what=f"the request was answered {answer.text}")
    return str(answer.headers["x-openstack-request-id"])


def _follow(api: httpx.Client, request_id: str, say: Say) -> Mapping[str, Any]:
    """Say each status once, until the migration has ended."""
    said: list[str] = []
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(api.get("/v1/migrations", params={"request_id": request_id}).raise_for_status().json()["migrations"][0])
        if [found["status"]] != said[-1:]:
            said.append(found["status"])
            say(f"  {found['status']}")
        return found["status"] in _ENDED

    wait_for("the end of the migration", has_ended, deadline_s=_MOVE_DEADLINE_S)
    return found


def _tell(before: int, report: Report, say: Say) -> None:
    say(f"The guest counted {before} before and {report.counter_last} afterwards, and {report.missing} counts are missing.")
    say(f"It was restarted {report.restarted} times, and {report.bad} pages of its memory were not as it had left them.")
    say(f"Its longest pause was {report.pause_ms:.0f} ms.")


def _judge(guest: Guest, migration: Mapping[str, Any], report: Report) -> None:
    if migration["status"] != "completed":
        raise NotAsItShouldBe(what=f"the migration is {migration['status']}: {migration['error']}")
    if guest.states() != {DESTINATION: "running"}:
        raise NotAsItShouldBe(what=f"the guest is {guest.states()}")
    if not report.is_unbroken:
        raise NotAsItShouldBe(what=f"the guest noticed more than a pause: {report}")
