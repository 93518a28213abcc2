"""Whether something is presented: the saliency of windows against what is usual in the stream."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from math import inf, nan

import numpy as np
import pytest
import torch

from sgmn.errors import SettingsError
from sgmn.live.events import segments_from_events
from sgmn.live.evidence import TimelineSettings, compute_evidence
from sgmn.live.presence import START_WINDOWS, PresenceFilter, compute_presence
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer, read_saliency
from sgmn.live.session import Session, events_from_result
from sgmn.model.scoring import ClipVectors
from sgmn.records import Utterance
from tests.live.color_streams import (
    SETTINGS,
    ColorEmbedder,
    ColorStream,
    build_recognizer,
    color_sequence,
)

WEIGHTED = replace(SETTINGS, presence_weight=2.0, saliency_drop=0.5, usual_saliency=1.0)


def test_presence_by_hand() -> None:
    presence = PresenceFilter(WEIGHTED)
    usual = (START_WINDOWS * 1.0 + 4.0) / (START_WINDOWS + 1)
    assert presence.push(4.0) == pytest.approx(2 * (4 - usual + 0.5))
    assert presence.push(nan) == 0  # and what is usual stays
    usual = (START_WINDOWS * 1.0 + 4.0 - 3.0) / (START_WINDOWS + 2)
    assert presence.push(-3.0) == pytest.approx(2 * (-3 - usual + 0.5))


def test_what_is_usual_follows_the_stream() -> None:
    saliency = np.repeat([1.0, -6.0], 400)
    odds = compute_presence(saliency, WEIGHTED)
    assert odds is not None
    assert odds[0] == odds[399] == 1.0 and odds[400] < -12
    assert odds[-1] == pytest.approx(1.0, abs=1.2) and (np.diff(odds[400:]) > 0).all()


def test_presence_counts_against_nothing_and_for_no_product() -> None:
    scores = np.array([[2.0, 1.0, 0.0]])
    settings = replace(WEIGHTED, nothing_threshold=0.2)
    rows = [compute_evidence(scores, settings, np.array([odds]))[0] for odds in (-3.0, 0.0, 3.0)]
    share = settings.hop_s / settings.window_s
    for row, odds in zip(rows, (-3.0, 0.0, 3.0), strict=True):
        lead = (row[0] - row[3]) / share
        assert lead == pytest.approx((rows[1][0] - rows[1][3]) / share + odds)
        assert row[0] - row[1] == pytest.approx(share * 1.0)
    np.testing.assert_array_equal(rows[1], compute_evidence(scores, settings)[0])


def test_clips_without_frames_have_no_saliency() -> None:
    image = torch.eye(3)[:2]
    has_image = torch.tensor([True, False])
    clips = ClipVectors(
        image[:, None], has_image[:, None].float(), image, has_image, image, has_image
    )
    assert str(read_saliency(clips)) == "[nan, nan]"  # of a model without guidance
    assert str(read_saliency(replace(clips, saliency=torch.tensor([2.5, 1.0])))) == "[2.5, nan]"


@pytest.mark.parametrize("weight, found", [(0.0, ["red"]), (40.0, ["red", None, "red"])])
def test_nothing_is_on_sale_while_words_name_a_product_that_nobody_shows(
    weight: float, found: list[str | None]
) -> None:
    # The words keep naming the product while the frames go black.
    settings = replace(WEIGHTED, presence_weight=weight, nothing_threshold=0.01)
    recognizer = build_recognizer(ColorEmbedder())
    recognizer = StreamRecognizer(recognizer.embedder, recognizer.shelf, settings)
    stream = ColorStream(color_sequence(("red", 40), ("black", 30), ("red", 30)))
    words = [Utterance(float(start), start + 2.0, "red") for start in range(0, 100, 2)]
    beliefs: list[str | None] = []
    result = Session(recognizer, lag_s=200.0).run(
        stream, words, on_window=lambda update: beliefs.append(update.belief.product_id)
    )
    assert [segment.product_id for segment in result.segments] == found
    assert [product for product, _ in groupby(beliefs)] == found


def test_a_result_has_the_evidence_and_the_events_of_its_saliency() -> None:
    settings = TimelineSettings(nothing_threshold=0.2, presence_weight=4.0)
    saliency = np.where((np.arange(30) >= 10) & (np.arange(30) < 20), -9.0, 0.0)
    times_s, scores = np.arange(1.0, 61.0, 2.0), np.tile([3.0, 0, 0], (30, 1))
    result = RecognitionResult((), 60.0, times_s, scores, ("a", "b", "c"), saliency=saliency)
    events = segments_from_events(events_from_result(result, settings, lag_s=100.0))
    assert [segment.product_id for segment in events] == ["a", None, "a"]
    expected = compute_evidence(scores, settings, compute_presence(saliency, settings))
    np.testing.assert_array_equal(result.compute_evidence(settings), expected)
    unknown = replace(result, saliency=None)
    events = segments_from_events(events_from_result(unknown, settings, lag_s=100.0))
    assert [segment.product_id for segment in events] == ["a"]


@pytest.mark.parametrize(
    "name, value", [("presence_weight", -1.0), ("saliency_drop", inf), ("usual_saliency", nan)]
)
def test_impossible_settings_are_rejected(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        TimelineSettings(**{name: value})
