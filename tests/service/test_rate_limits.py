"""Too many requests of a key, and too many without one, are answered with 429."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from sgmn.service.rate_limits import TokenBuckets
from sgmn.service.settings import ServiceSettings
from tests.service.conftest import Headers


def test_a_bucket_is_refilled_steadily_and_never_overflows() -> None:
    now_s = [100.0]
    buckets = TokenBuckets(rate_per_s=2.0, size=3, clock=lambda: now_s[0])
    assert [buckets.take("a") for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    assert buckets.take("b") == 0.0  # has a bucket of its own
    now_s[0] += 0.75
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.25]
    now_s[0] += 3600
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_token_can_be_given_back() -> None:
    buckets = TokenBuckets(rate_per_s=1.0, size=1, clock=lambda: 0.0)
    buckets.give_back("a")  # was never used, so it is full already
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 1.0]
    buckets.give_back("a")
    buckets.give_back("a")
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 1.0]


def test_memory_is_bounded_and_zero_is_no_limit() -> None:
    buckets = TokenBuckets(rate_per_s=1.0, size=1, max_buckets=2, clock=lambda: 0.0)
    assert [buckets.take(name) for name in "abab"] == [0.0, 0.0, 1.0, 1.0]
    assert [buckets.take(name) for name in "cba"] == [0.0, 1.0, 0.0]  # a was forgotten
    assert not any(TokenBuckets(rate_per_s=0.0, size=1).take("a") for _ in range(5))


class TestRoutes:
    """A service with low limits, which hardly refill during a test."""

    @pytest.fixture
    def settings(self, settings: ServiceSettings) -> ServiceSettings:
        slow = replace(settings, max_requests_per_s=1e-3, max_failed_logins_per_minute=2)
        return replace(slow, max_requests_at_once=3)

    def test_a_key_that_asks_too_often(
        self, client: TestClient, editor: Headers, other_editor: Headers
    ) -> None:
        answers = [client.get("/v1/catalogues", headers=editor) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert 900 < int(refused.headers["Retry-After"]) <= 1000
        assert refused.json()["title"] == "Too Many Requests"
        assert client.get("/v1/catalogues", headers=other_editor).status_code == 200
        assert {client.get("/healthz", headers=editor).status_code for _ in range(9)} == {200}
        paths = client.get("/openapi.json").json()["paths"]
        assert "429" in paths["/v1/catalogues"]["get"]["responses"]
        assert "429" not in paths["/healthz"]["get"]["responses"]

    def test_requests_without_a_valid_key_and_logins(
        self, client: TestClient, editor: Headers
    ) -> None:
        wrong = {"Authorization": "Bearer sgmn_guess"}
        answers = [client.get("/v1/catalogues", headers=wrong) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        # Somebody else behind the same proxy is not locked out.
        assert client.get("/v1/catalogues", headers=editor).status_code == 200
        key = {"key": editor["Authorization"].removeprefix("Bearer ")}
        same_origin = {"Sec-Fetch-Site": "same-origin"}
        wrong_key = {"key": "sgmn_guess"}
        logins = [
            client.post("/console/login", json=body, headers=same_origin)
            for body in (wrong_key, key, wrong_key, key)
        ]
        assert [login.status_code for login in logins] == [401, 200, 401, 429]
        assert int(logins[-1].headers["Retry-After"]) <= 30
        assert logins[-1].json()["detail"].startswith("There were too many failed logins; try")

    def test_logins_with_a_valid_key_are_requests_of_the_key(
        self, client: TestClient, editor: Headers
    ) -> None:
        key = {"key": editor["Authorization"].removeprefix("Bearer ")}
        same_origin = {"Sec-Fetch-Site": "same-origin"}
        logins = [
            client.post("/console/login", json=key, headers=same_origin).status_code
            for _ in range(4)
        ]
        assert logins == [200, 200, 200, 429]
