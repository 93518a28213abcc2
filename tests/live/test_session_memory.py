"""What stays in memory while a session runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch

from sgmn.live.presence import ScoredWindow
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import Session
from sgmn.live.windows import Window
from sgmn.media.live_source import LiveFrame
from sgmn.media.live_transcript import LiveTranscript
from sgmn.records import Utterance
from tests.live.color_streams import ColorEmbedder, ColorStream, build_recognizer


def live_objects(kind: type) -> list[Any]:
    """Return all objects of exactly this type that are alive."""
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is kind]


class WeakTime(float):
    """A time that can be referenced weakly."""


@pytest.fixture
def references() -> list[Any]:
    """Weak references to the times, images and scores of a session."""
    return []


def test_memory_does_not_grow_with_the_stream(references: list[Any]) -> None:
    """Only events may accumulate between two moments; here there are none."""

    class TrackedStream(ColorStream):
        def __iter__(self) -> Iterator[LiveFrame]:
            for frame in super().__iter__():
                tracked = replace(frame, time_s=WeakTime(frame.time_s))
                references.extend((ref(tracked.time_s), ref(tracked.rgb)))
                yield tracked

    class TrackedRecognizer(StreamRecognizer):
        def score_windows(self, *arguments: Any, **named: Any) -> Iterator[ScoredWindow]:
            for scored in super().score_windows(*arguments, **named):
                references.append(ref(scored.logits))
                yield scored

    alive: dict[int, list[int]] = {}

    def count(number: int) -> None:
        if number in (100, 800):
            tensors, windows = live_objects(torch.Tensor), live_objects(Window)
            tracked = sum(thing() is not None for thing in references)
            alive[number] = [tracked, len(windows), sum(tensor.nbytes for tensor in tensors)]

    recognizer = build_recognizer(ColorEmbedder(), kind=TrackedRecognizer)
    result = Session(recognizer).run(TrackedStream(["red"] * 801, count))
    assert len(result.events) == 2 and len(references) > 1900
    assert alive[100] == alive[800] and alive[100][0] < 20


def test_images_are_discarded_where_only_text_counts() -> None:
    embedder, longest = ColorEmbedder(), list[int]()

    def count(number: int) -> None:
        if number == 300:
            longest.append(max(map(len, filter(is_image_list, live_objects(list)))))

    Session(build_recognizer(embedder, ("text",))).run(ColorStream(["red"] * 301, count))
    assert embedder.image_count == 0 and longest[0] < 20


def is_image_list(things: list[Any]) -> bool:
    return bool(things) and all(isinstance(o, np.ndarray) and o.ndim == 3 for o in things)


def test_old_utterances_of_a_live_transcript_are_discarded() -> None:
    transcript, lengths = LiveTranscript(), list[int]()

    def speak(number: int) -> None:
        transcript.add(Utterance(number, number + 0.5, f"word{number}"))
        lengths.append(len(transcript))

    Session(build_recognizer(ColorEmbedder())).run(ColorStream([""] * 200, speak), transcript)
    assert max(lengths) < 20
