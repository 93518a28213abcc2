"""The whole service with everything that it does at once, killed at random moments."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.service.streams.crashes import CrashRound, check_events


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_whatever_is_killed(
    tmp_path: Path, stream_index: Path, long_video: Path, long_events: list[tuple[Any, ...]]
) -> None:
    model = stream_index.parent / "model"
    crash_round = CrashRound(tmp_path, stream_index, model, long_video, Random(5), last_window=130)
    try:
        rows = crash_round.run(["service", "worker", "consumer"])
    finally:
        crash_round.service.kill()  # what is left after a failure
    check_events(rows, long_events)
    assert len(crash_round.kills) == 3
