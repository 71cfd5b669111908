"""The samples of the docs are what the API takes and answers."""

import json

import pytest
from flask import Flask

from tests.contract.api_samples import DIRECTORY, SAMPLES, replay


def test_every_sample_is_as_the_api_answers(api: Flask, subtests: pytest.Subtests) -> None:
    client = api.test_client()
    for sample in SAMPLES:
        with subtests.test(sample.name):
            assert replay(client, sample) == json.loads(sample.file.read_text()), "stale: run `python -m tests.contract.api_samples`"


def test_no_sample_is_left_over() -> None:
    assert sorted(DIRECTORY.rglob("*.json")) == sorted(sample.file for sample in SAMPLES)
