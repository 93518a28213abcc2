"""The methods about reviewing, recordings and training, of both clients."""

from __future__ import annotations

import asyncio

import pytest
from starlette.testclient import TestClient

from sgmn.client import ApiError, AsyncClient, Client, FrameSpan, RecordedPart, retries
from sgmn.service.context import ServiceContext
from tests.service.conftest import Headers
from tests.service.imports.shop import Shop
from tests.service.isolation.world import MARK, Target, build_target


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of 503 is final: no encoder will start."""
    monkeypatch.setattr(retries, "ATTEMPTS", 1)


@pytest.fixture
def target(client: TestClient, context: ServiceContext, editor: Headers) -> Target:
    return build_target(Shop(client, context, editor))


def test_what_waits_for_a_review_and_when_a_product_was_on_sale(
    target: Target, sgmn: Client
) -> None:
    session, catalogue = target.ids["session_id"], target.ids["catalogue_id"]
    queue = sgmn.get_review_queue(session_id=session)
    assert queue.total == 1 and sgmn.get_review_queue(shop_id="shop-z").items == []
    [waiting] = queue.items
    assert (waiting.session_id, waiting.catalogue_id) == (session, catalogue)
    assert (waiting.segment.start, waiting.segment.end) == (5.0, 20.0)  # the review ends at 5
    assert waiting.segment.alternatives[0].product_id == f"{MARK}-2"
    on_sale = sgmn.list_segments(catalogue, f"{MARK}-1")
    assert [(one.segment.start, one.segment.verdict) for one in on_sale] == [
        (0.0, "confirmed"),
        (5.0, None),
    ]
    assert {one.session_id for one in on_sale} == {session}
    assert sgmn.list_segments(catalogue, f"{MARK}-2") == []


def test_frames_and_recordings(target: Target, sgmn: Client) -> None:
    session = target.ids["session_id"]
    [span] = sgmn.list_frames(session)
    assert isinstance(span, FrameSpan) and span.start <= 3.0 <= span.end
    assert sgmn.list_recordings(session) == [RecordedPart(1, 0.0, 2.0, True, len(MARK))]
    assert sgmn.get_recording(session) == sgmn.get_recording(session, 1) == MARK.encode()
    with pytest.raises(ApiError, match="404"):
        sgmn.get_recording(session, 2)
    with pytest.raises(ApiError, match="503 The encoder does not run here"):
        sgmn.get_heatmap(session, 3.0, "red milk")


def test_words_of_a_stream(target: Target, sgmn: Client) -> None:
    words = [{"start": 0.0, "end": 1.0, "text": "red milk"}]
    with pytest.raises(ApiError, match="409 The session has ended"):
        sgmn.add_utterances(target.ids["session_id"], words)


def test_improvements(target: Target, sgmn: Client) -> None:
    catalogue, trained = target.ids["catalogue_id"], target.ids["improvement_id"]
    improvements = sgmn.list_improvements(catalogue)
    assert improvements.model_id is None and improvements.reviewed.products == 1
    [shown] = improvements.items
    assert (shown.id, shown.is_adopted, shown.is_over) == (trained, False, True)
    with pytest.raises(ApiError, match="409 There are"):
        sgmn.start_improvement(catalogue, steps=10)
    with pytest.raises(ApiError, match="409 The catalogue does not use this model"):
        sgmn.revert_improvement(catalogue, trained)
    operation = sgmn.adopt_improvement(catalogue, trained)
    assert (operation.kind, operation.is_over) == ("adopt", False)


def test_the_asynchronous_client_sends_the_same(
    target: Target, sgmn: Client, service: str, secret: str
) -> None:
    session, catalogue = target.ids["session_id"], target.ids["catalogue_id"]

    async def check() -> None:
        async with AsyncClient(service, secret) as client:
            assert await client.get_review_queue() == sgmn.get_review_queue()
            product = f"{MARK}-1"
            segments = sgmn.list_segments(catalogue, product)
            assert await client.list_segments(catalogue, product) == segments
            assert await client.list_frames(session) == sgmn.list_frames(session)
            assert await client.list_recordings(session) == sgmn.list_recordings(session)
            assert await client.get_recording(session) == MARK.encode()
            assert await client.list_improvements(catalogue) == sgmn.list_improvements(catalogue)
            for call in (client.adopt_improvement, client.revert_improvement):
                with pytest.raises(ApiError, match="404"):
                    await call(catalogue, "op_" + "a" * 26)
            with pytest.raises(ApiError, match="409"):
                await client.start_improvement(catalogue)
            with pytest.raises(ApiError, match="503"):
                await client.get_heatmap(session, 3.0)

    asyncio.run(check())
