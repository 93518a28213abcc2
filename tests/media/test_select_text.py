"""The text within a time span."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.media import transcript
from sgmn.records import Utterance

words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
milliseconds = st.integers(0, 400_000_000)
utterances = st.lists(
    st.tuples(milliseconds, milliseconds, words).map(
        lambda t: Utterance(min(t[:2]) / 1000, max(t[:2]) / 1000, t[2])
    ),
    max_size=8,
)


TEN = Utterance(10.0, 20.0, "zero one two three four five six seven eight nine")


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (0, 30, TEN.text),
        (10, 20, TEN.text),
        (12, 14, "two three"),
        (12.6, 14.4, "three"),
        (0, 10.5, ""),
        (0, 10.51, "zero"),
        (19.5, 99, "nine"),
        (19.51, 99, ""),
        (20, 30, ""),
        (0, 10, ""),
    ],
)
def test_only_the_words_inside_the_span_are_selected(start_s, end_s, expected):
    assert transcript.select_text([TEN], start_s, end_s) == expected


def test_an_instant_utterance_counts_at_its_start():
    cue = Utterance(5.0, 5.0, "now or never")
    assert transcript.select_text([cue], 5.0, 6.0) == "now or never"
    assert transcript.select_text([cue], 4.0, 5.0) == ""


def test_scripts_without_spaces_are_split_by_character():
    cue = Utterance(0.0, 8.0, "这个青柠很好吃呀")
    assert transcript.select_text([cue], 2.0, 4.0) == "青柠"


def test_utterances_are_joined_by_spaces():
    cues = [Utterance(0, 2, " a b "), Utterance(1, 3, "c d"), Utterance(9, 10, "e")]
    assert transcript.select_text(cues, 0, 2.6) == "a b c d"


@given(utterances, st.lists(st.integers(0, 400_000), min_size=1, max_size=6))
@settings(max_examples=60)
def test_adjacent_spans_select_every_word_once(cues, cuts):
    edges = [0.0, *sorted(cuts), 500_000.0]
    parts = [transcript.select_text([u], a, b) for u in cues for a, b in pairwise(edges)]
    selected = "".join("".join(parts).split())
    assert selected == "".join("".join(u.text for u in cues).split())
