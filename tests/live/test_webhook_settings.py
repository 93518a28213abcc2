"""Waits between attempts, and settings that are impossible."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sgmn.errors import SettingsError
from sgmn.live.webhook import Webhook, WebhookSettings
from tests.live.webhook_server import (
    QUICK,
    WebhookServer,
    send_all,
)


def test_backoff_doubles_up_to_the_maximum_and_jitter_subtracts_up_to_a_half() -> None:
    settings = WebhookSettings(initial_backoff_s=0.5, max_backoff_s=3.0)
    assert [settings.backoff_s(n, 1.0) for n in (1, 2, 3, 4, 5, 5000)] == [0.5, 1, 2, 3, 3, 3]
    assert [settings.backoff_s(n, 0.0) for n in (1, 2, 3, 4)] == [0.25, 0.5, 1, 1.5]


def test_each_wait_has_its_own_jitter(
    serve: Callable[..., WebhookServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    jitters: list[float] = []
    original = WebhookSettings.backoff_s

    def record_jitter(self: WebhookSettings, failures: int, jitter: float) -> float:
        jitters.append(jitter)
        return original(self, failures, jitter)

    monkeypatch.setattr(WebhookSettings, "backoff_s", record_jitter)
    send_all(Webhook(serve(500, 500, 500, 500).url, settings=QUICK), 1)
    assert len(jitters) == len(set(jitters)) == 4 and all(0 <= jitter <= 1 for jitter in jitters)


@pytest.mark.parametrize(
    "name, value",
    [
        ("timeout_s", 0.0),
        ("timeout_s", float("inf")),
        ("attempts", 0),
        ("initial_backoff_s", 0.0),
        ("max_backoff_s", 0.1),
        ("queue_size", 0),
    ],
)
def test_impossible_settings_are_rejected(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        WebhookSettings(**{name: value})  # type: ignore[arg-type]
