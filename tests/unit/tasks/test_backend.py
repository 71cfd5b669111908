"""A worker whose Redis has gone away gives back the place of a task that ends meanwhile."""

from __future__ import annotations

import subprocess
import sys

#: a task whose successor and errback cannot be sent, traced as a worker does it
TRACE = """
from celery.app.trace import build_tracer
from tasks.app import app

@app.task(name="lmigrate.ends")
def ends():
    return "done"

app.conf.update(broker_url="redis://127.0.0.1:1/0", task_publish_retry_policy={"max_retries": 0})
later = app.signature("lmigrate.later", queue="conductor", immutable=True)
request = {"id": "1", "chain": [dict(later)], "errbacks": [dict(later)], "delivery_info": {}, "is_eager": False}
result = build_tracer(ends.name, ends, app=app)("1", (), {}, request)
print(type(result.retval).__name__, result.info is not None)
"""


def test_what_cannot_be_sent_does_not_escape_from_the_task() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", TRACE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "ExceptionInfo True"
