from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.catalogue import lance
from sgmn.errors import IndexingError


def test_a_conflict_with_another_writer_is_retried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lance, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    outcomes: list[Exception | int] = [
        RuntimeError("lance error: Retryable commit conflict for version 4"),
        5,
    ]

    def action() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    path, failure = Path("shop"), "cannot be written"
    assert lance.retry_on_conflict(action, path, failure) == 5
    outcomes[:] = [RuntimeError("no space left, /rust/io.rs:7")]
    with pytest.raises(IndexingError, match=r"^shop: cannot be written \(no space left\); check"):
        lance.retry_on_conflict(action, path, failure)
    outcomes[:] = [RuntimeError("Retryable commit conflict")] * 3
    with pytest.raises(IndexingError, match=r"^shop: is constantly being written by other"):
        lance.retry_on_conflict(action, path, failure)
