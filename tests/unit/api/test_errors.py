import pytest
from flask import Flask
from flask.testing import FlaskClient

from api import errors
from lmigrate import errors as lm
from lmigrate.config import settings
from lmigrate.db.session import engine

MISSING_SERVER = "/v2.1/servers/5d9b2f3e-0c1f-4a43-9f0c-3a7a5f8f2d11"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (lm.InstanceNotFound(instance="x"), 404),
        (lm.MigrationNotFound(migration=1), 404),
        (lm.InstanceInvalidState(action="a", instance="i", attribute="vm_state", state="stopped"), 409),
        (lm.UnknownHost(host="x"), 400),
        (lm.NoValidHost(reason="x"), 400),
        (lm.InvalidLocalStorage(path="x", reason="y"), 400),
        (lm.InvalidSharedStorage(path="x", reason="y"), 400),
        (lm.MigrationPreCheckError(reason="x"), 400),
        (lm.UnableToMigrateToSelf(instance="i", host="h"), 400),
        (lm.ComputeServiceUnavailable(host="h", reason="r"), 400),
        (lm.HypervisorUnavailable(host="h", reason="r"), 400),
        (lm.BrokerUnavailable(reason="x"), 503),
        (lm.OutcomeUnknown(reason="x"), 500),
        (lm.InjectedFault(point="x"), 500),
    ],
)
def test_status_of(error: lm.LmigrateError, status: int) -> None:
    assert errors.status_of(error) == status


def test_nova_faults_and_problem_documents(client: FlaskClient) -> None:
    fault = client.get(MISSING_SERVER)
    assert fault.status_code == 404
    assert fault.json == {"itemNotFound": {"code": 404, "message": f"Instance {MISSING_SERVER[14:]} could not be found."}}
    problem = client.get("/v1/hosts/nope")
    assert problem.status_code == 404
    assert problem.mimetype == "application/problem+json"
    assert problem.json is not None
    assert problem.json | {"instance": "", "detail": ""} == {
        "type": "urn:lmigrate:problem:host-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "",
        "instance": "",
        "code": "HostNotFound",
    }
    assert problem.json["instance"].removeprefix("urn:lmigrate:request:") == problem.headers["x-openstack-request-id"]


@pytest.mark.parametrize("prefix", ["/v1", "/v2.1"])
def test_an_unexpected_error_says_nothing_but_the_request_id(app: Flask, prefix: str) -> None:
    def broken() -> str:
        raise RuntimeError("the password is hunter2")

    app.add_url_rule(f"{prefix}/broken", "broken", broken)
    answer = app.test_client().get(f"{prefix}/broken")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "hunter2" not in text
    assert "Traceback" not in text
    assert answer.headers["x-openstack-request-id"] in text


def test_a_database_that_is_away_is_503(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", "sqlite:////nowhere/at/all.sqlite")
    settings.cache_clear()
    engine.cache_clear()
    answer = client.get("/v2.1/servers")
    assert answer.status_code == 503
    assert answer.json is not None
    assert set(answer.json) == {"serviceUnavailable"}
    assert "nowhere" not in answer.get_data(as_text=True)


def test_unknown_paths_and_methods(client: FlaskClient) -> None:
    assert client.get("/nope").json == {"itemNotFound": {"code": 404, "message": "The resource could not be found."}}
    answer = client.put("/v2.1/servers")
    assert answer.status_code == 405
    assert answer.json is not None
    assert "badMethod" in answer.json
    assert "GET" in answer.headers["Allow"]


UNUSABLE = [
    (b"{", "application/json", 400),
    (b"[]", "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b'{"a": NaN}', "application/json", 400),
    (b'{"a": "\\u0000"}', "application/json", 400),  # PostgreSQL could not store it
    (b'{"a": "\\ud800"}', "application/json", 400),  # nor could anything store this
    (b"[" * 30_000, "application/json", 400),
    (b"{}", "text/plain", 415),
    (b"a=b", "application/x-www-form-urlencoded", 415),
    (b"", "application/json", 400),
    (b" " * 70_000, "application/json", 413),
]


@pytest.mark.parametrize(("method", "path"), [("POST", f"{MISSING_SERVER}/action"), ("PATCH", "/v1/hosts/x")])
def test_bodies_that_nobody_could_use(client: FlaskClient, method: str, path: str, subtests: pytest.Subtests) -> None:
    for data, content_type, status in UNUSABLE:
        with subtests.test(data=data[:10], content_type=content_type):
            answer = client.open(path, method=method, data=data, content_type=content_type)
            assert answer.status_code == status
            assert answer.is_json


@pytest.mark.parametrize("number", ["1e999", "[-1e999]", "NaN", "Infinity"])
def test_a_number_without_a_value_is_no_json(client: FlaskClient, number: str) -> None:
    answer = client.post(f"{MISSING_SERVER}/action", data=f'{{"a": {number}}}', content_type="application/json")
    assert answer.status_code == 400
    assert "Malformed request body" in answer.text


def test_request_ids_are_new_and_the_same_in_both_headers(client: FlaskClient) -> None:
    seen = [client.get(path) for path in ("/", "/v2.1/servers", "/nope", "/healthz")]
    ids = {answer.headers["x-openstack-request-id"] for answer in seen}
    assert len(ids) == len(seen)
    assert all(answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"] for answer in seen)
    assert all(one.startswith("req-") for one in ids)


@pytest.mark.parametrize(
    "path", ["/v1/hosts/%00", "/v1/servers?name=%00", "/v2.1/servers/%00", "/v2.1/servers?name=a%00b", "/v2.1/os-migrations?%00=1"]
)
def test_nul_is_in_no_name(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400
