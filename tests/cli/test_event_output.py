"""Files and threads of the event outputs when one of them cannot be opened."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.command import RunCommand


@pytest.mark.parametrize(
    "webhook_options",
    [
        ("--webhook", "ftp://shop.example/"),
        ("--webhook", "http://127.0.0.1:9/", "--webhook-secret-env", "SGMN_TEST_UNSET"),
    ],
)
def test_an_invalid_webhook_leaves_the_events_file_unchanged(
    run: RunCommand, shared_index: Path, tmp_path: Path, webhook_options: tuple[str, ...]
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"schema": "sgmn.event/1"}\n')
    result = run(
        "watch", "tcp://127.0.0.1:9", "-i", shared_index, "--events", events, *webhook_options
    )
    assert result.status == 2
    assert events.read_text() == '{"schema": "sgmn.event/1"}\n'


def test_no_webhook_thread_remains_if_opening_the_index_fails(
    run: RunCommand, tmp_path: Path
) -> None:
    result = run(
        *("watch", "tcp://127.0.0.1:9", "-i", tmp_path / "missing"),
        *("--events", tmp_path / "events.jsonl", "--webhook", "http://127.0.0.1:9/"),
    )
    assert result.status == 2 and "missing" in result.err
    assert not [thread for thread in threading.enumerate() if thread.name == "webhook"]
