"""Generated requests to a running service: every answer is as its OpenAPI document says."""

from __future__ import annotations

import re
import sys

import pytest

from tests.tools.scripts import import_tool

fuzz = import_tool("service_fuzz")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_few_hundred_generated_requests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--examples", "2", "--phases", "examples,fuzzing"]
    monkeypatch.setattr(sys, "argv", ["service_fuzz.py", *arguments])
    status = fuzz.main()
    output = capsys.readouterr().out
    assert status == 0, output
    found = re.search(r"(\d+) requests, all answers as described", output)
    assert found is not None and int(found[1]) > 150, output
