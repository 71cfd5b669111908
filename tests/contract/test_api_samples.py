"""The samples of the docs are what the API takes and answers."""

import json

import pytest
from flask import Flask

from tests.contract.api_samples import DIRECTORY, SAMPLES, replay

#: probes, and pages that say it themselves
WITHOUT_SAMPLE = {"health.healthz", "health.readyz", "v1.show_openapi", "v1.show_openapi_nova", "v1.show_docs"}


def test_every_sample_is_as_the_api_answers(api: Flask, subtests: pytest.Subtests) -> None:
    client = api.test_client()
    for sample in SAMPLES:
        with subtests.test(sample.name):
            assert replay(client, sample) == json.loads(sample.file.read_text()), "stale: run `python -m tests.contract.api_samples`"


def test_every_operation_has_a_sample(api: Flask) -> None:
    rules = api.url_map.bind("localhost")
    shown = {(sample.method, rules.match(sample.path.partition("?")[0], sample.method)[0]) for sample in SAMPLES}
    offered = {
        (method, rule.endpoint)
        for rule in api.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in WITHOUT_SAMPLE
    }
    assert offered - shown == set()


def test_no_sample_is_left_over() -> None:
    assert sorted(DIRECTORY.rglob("*.json")) == sorted(sample.file for sample in SAMPLES)
