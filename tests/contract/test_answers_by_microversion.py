"""Every GET of Nova's wire answers with exactly the fields of the asked-for microversion."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.microversions import MAXIMUM, MINIMUM, Microversion
from api.nova.operation import OPERATIONS, Operation
from api.nova.versioned import Versioned, model_at, spans
from tests.contract.api_world import IDLE, MOVING, NODE5, REQUEST, VOLUME

VALUES = {
    "flavor_id": "2vcpu-2048mib",
    "host_name": "node5",
    "migration_id": "2",
    "pattern": "node",
    "request_id": REQUEST,
    "server_id": MOVING,
    "volume_id": VOLUME,
}


def every_model() -> Iterator[type[Versioned]]:
    todo: list[type[Versioned]] = list(Versioned.__subclasses__())
    while todo:
        model = todo.pop()
        yield model
        todo += model.__subclasses__()


def turning_points() -> list[Microversion]:
    """The versions at which anything changes, and the last before each."""
    found = {MINIMUM, MAXIMUM}
    for model in every_model():
        for _, _, span in spans(model):
            found |= {span.first, span.last}
    around = {Microversion(2, version.minor + step) for version in found for step in (-1, 0, 1)}
    return sorted(version for version in around if MINIMUM <= version <= MAXIMUM)


def path_of(operation: Operation, version: Microversion) -> str:
    values = VALUES | {"hypervisor_id": NODE5 if version >= Microversion(2, 53) else "1"}
    if "volume" in operation.path:
        values["server_id"] = IDLE
    path = operation.path
    for name, value in values.items():
        path = path.replace(f"<{name}>", value)
    return f"/v2.1{path}"


def test_answers_have_the_fields_of_their_version(api: Flask, subtests: pytest.Subtests) -> None:
    client = api.test_client()
    gets = [operation for operation in OPERATIONS.values() if operation.method == "GET"]
    assert len(gets) >= 12
    for operation in gets:
        with subtests.test(operation=operation.name):
            for version in turning_points():
                check(client, operation, version)


def check(client: FlaskClient, operation: Operation, version: Microversion) -> None:
    assert operation.answer is not None
    answer = client.get(path_of(operation, version), headers={"OpenStack-API-Version": f"compute {version}"})
    if not operation.span.first <= version <= operation.span.last:
        assert answer.status_code == 404, version
        return
    assert answer.status_code == 200, (version, answer.text)
    model_at(operation.answer, version).model_validate(answer.json, strict=True)


def test_there_is_something_in_every_list(api: Flask) -> None:
    client = api.test_client()
    for path in ("servers", "os-migrations", "os-hypervisors", "os-services", f"servers/{MOVING}/os-instance-actions"):
        (rows,) = client.get(f"/v2.1/{path}").get_json().values()
        assert rows
    assert client.get(f"/v2.1/servers/{IDLE}").status_code == 200
