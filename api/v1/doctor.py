"""/v1/doctor: what needs a human, why, and the commands that look and that resolve."""

from __future__ import annotations

from dataclasses import asdict

from api.contract import contract
from api.v1.blueprint import v1
from api.v1.schemas.doctor import Diagnosis, DoctorFinding, Sweep
from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.session import reading
from lmigrate.doctor import record_sweep
from lmigrate.doctor.examine import examine
from lmigrate.doctor.finding import Finding
from tasks.dispatcher import CeleryDispatcher


@v1.get("/doctor")
@contract(answer=Diagnosis)
def show_doctor() -> Diagnosis:
    """Say what needs a human, what is known of it, and the commands that look and that resolve."""
    with reading() as session:
        found = examine(session, utcnow(), settings().scheduler.service_down_time_s)
    shown = [_finding(finding) for finding in found]
    return Diagnosis(needs_operator=sum(finding.needs_operator for finding in found), findings=shown)


@v1.post("/doctor/sweep")
@contract(answer=Sweep)
def sweep_now() -> Sweep:
    """Ask for a look for leaks on every host and in the records, now and not at the next beat."""
    CeleryDispatcher().send_sweep_all()
    return Sweep(hosts=record_sweep.up_hosts(settings()))


def _finding(found: Finding) -> DoctorFinding:
    values = asdict(found)
    advice = values.pop("advice")
    return DoctorFinding(**values, look=advice["look"], ways=advice["ways"])
