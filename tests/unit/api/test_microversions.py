import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from api.microversions import MAXIMUM, MINIMUM, InvalidVersion, Microversion, VersionNotSupported, asked_for


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.53"}, "2.53"),
        ({"OpenStack-API-Version": "identity 3.1, compute 2.30"}, "2.30"),
        ({"OpenStack-API-Version": "identity 3.1"}, "2.1"),
        ({"OpenStack-API-Version": "compute latest"}, "2.96"),
        ({"X-OpenStack-Nova-API-Version": "2.25"}, "2.25"),
        ({"X-OpenStack-Nova-API-Version": "latest"}, "2.96"),
        ({"OpenStack-API-Version": "compute 2.53", "X-OpenStack-Nova-API-Version": "2.25"}, "2.53"),
        ({"OpenStack-API-Version": "volume 3.0", "X-OpenStack-Nova-API-Version": "2.25"}, "2.25"),
    ],
)
def test_negotiates(headers: dict[str, str], expected: str) -> None:
    assert str(asked_for(Headers(headers))) == expected


@pytest.mark.parametrize("text", ["2", "2.x", "02.1", "2.01", "2.1.0", "2.\N{FULLWIDTH DIGIT ONE}", "-2.1"])
def test_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidVersion):
        asked_for(Headers({"OpenStack-API-Version": f"compute {text}"}))


@pytest.mark.parametrize("text", ["2.0", "2.97", "3.1", "1.1"])
def test_refuses_versions_that_are_not_served(text: str) -> None:
    with pytest.raises(VersionNotSupported):
        asked_for(Headers({"OpenStack-API-Version": f"compute {text}"}))


def test_compares_by_number() -> None:
    assert Microversion.parse("2.9") < Microversion.parse("2.10") < MAXIMUM
    assert Microversion.parse("2.1") == MINIMUM


@pytest.mark.parametrize("path", ["/v2.1/servers", "/v2.1/servers/nope", "/v2.1", "/v2.1/"])
def test_every_answer_says_which_version_it_speaks(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"OpenStack-API-Version": "compute 2.53"})
    assert answer.headers["OpenStack-API-Version"] == "compute 2.53"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.53"
    assert answer.headers["Vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


def test_unsupported_version_is_406_in_novas_words(client: FlaskClient) -> None:
    answer = client.get("/v2.1/servers", headers={"OpenStack-API-Version": "compute 2.999"})
    message = "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.96."
    assert (answer.status_code, answer.json) == (406, {"computeFault": {"code": 406, "message": message}})


def test_malformed_version_is_400(client: FlaskClient) -> None:
    answer = client.get("/v2.1/servers", headers={"X-OpenStack-Nova-API-Version": "two"})
    assert answer.status_code == 400
    assert answer.json is not None
    assert "two" in answer.json["badRequest"]["message"]
