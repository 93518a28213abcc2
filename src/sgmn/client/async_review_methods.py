"""The methods of the asynchronous client about reviewing, recordings and training."""

from __future__ import annotations

from sgmn.client import review_calls
from sgmn.client.async_sender import AsyncSender
from sgmn.client.models import Operation
from sgmn.client.review_models import (
    FrameSpan,
    Improvement,
    Improvements,
    RecordedPart,
    ReviewQueue,
    SessionSegment,
)


class AsyncReviewMethods(AsyncSender):
    """Reviewing, recordings, and models trained from reviews."""

    async def get_review_queue(
        self, limit: int = 50, session_id: str | None = None, shop_id: str | None = None
    ) -> ReviewQueue:
        """The segments of the newest sessions that nobody has reviewed, least certain first."""
        return await self._send(review_calls.get_review_queue(limit, session_id, shop_id))

    async def list_segments(self, catalogue_id: str, product_id: str) -> list[SessionSegment]:
        """When a product was on sale, in the newest sessions of its catalogue."""
        return await self._send(review_calls.list_segments(catalogue_id, product_id))

    async def list_frames(self, session_id: str) -> list[FrameSpan]:
        """The parts of a stream whose frames are kept."""
        return await self._send(review_calls.list_frames(session_id))

    async def get_heatmap(self, session_id: str, time_s: float, text: str | None = None) -> bytes:
        """The frame at a time with where the model looks, guided by `text`, as PNG."""
        return await self._send(review_calls.get_heatmap(session_id, time_s, text))

    async def list_recordings(self, session_id: str) -> list[RecordedPart]:
        """The parts of a recording, in order."""
        return await self._send(review_calls.list_recordings(session_id))

    async def get_recording(self, session_id: str, part: int | None = None) -> bytes:
        """A part of a recording as MP4, the newest by default."""
        return await self._send(review_calls.get_recording(session_id, part))

    async def list_improvements(self, catalogue_id: str) -> Improvements:
        """What has been reviewed of a catalogue, and the models trained from it."""
        return await self._send(review_calls.list_improvements(catalogue_id))

    async def start_improvement(self, catalogue_id: str, steps: int | None = None) -> Improvement:
        """Train a model from reviews, and compare it with the one in use."""
        return await self._send(review_calls.start_improvement(catalogue_id, steps))

    async def adopt_improvement(self, catalogue_id: str, improvement_id: str) -> Operation:
        """Use a trained model for searches and new sessions; admins only."""
        return await self._send(review_calls.adopt_improvement(catalogue_id, improvement_id))

    async def revert_improvement(self, catalogue_id: str, improvement_id: str) -> Operation:
        """Use the model before a trained one again; admins only."""
        return await self._send(review_calls.revert_improvement(catalogue_id, improvement_id))
