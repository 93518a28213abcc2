"""Growing transcripts: order, duplicates, threads and windows."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sgmn.live.windows import cut_windows
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.transcript import select_text
from sgmn.records import Utterance

SECONDS = st.integers(0, 40).map(lambda n: n / 2)
UTTERANCES = st.lists(
    st.builds(
        lambda start, duration, text: Utterance(start, start + duration, text),
        SECONDS,
        SECONDS,
        st.sampled_from(["one", "two three", "four"]),
    ),
    max_size=12,
)


def texts(utterances: Iterable[Utterance]) -> list[str]:
    return [u.text for u in utterances]


@given(UTTERANCES)
def test_utterances_are_sorted_and_duplicates_are_ignored(utterances: list[Utterance]) -> None:
    transcript = LiveTranscript()
    for utterance in [*utterances, *utterances[:3]]:
        transcript.add(utterance)
    expected = sorted(dict.fromkeys(utterances), key=lambda u: u.start)
    assert list(transcript) == expected and len(transcript) == len(expected)
    assert list(reversed(transcript)) == expected[::-1]
    assert [transcript[i] for i in range(len(transcript))] == expected
    assert transcript[1:3] == tuple(expected[1:3])


def test_empty_utterances_are_ignored() -> None:
    transcript = LiveTranscript(
        [Utterance(0, 1, " "), Utterance(1, 2, "lime"), Utterance(2, 3, "")]
    )
    assert texts(transcript) == ["lime"]


@given(UTTERANCES, SECONDS, SECONDS)
def test_discarding_the_past_keeps_the_text_from_then_on(
    utterances: list[Utterance], time_s: float, length_s: float
) -> None:
    transcript = LiveTranscript(utterances)
    before = list(transcript)
    transcript.discard_before(time_s)
    assert select_text(transcript, time_s, time_s + length_s) == select_text(
        before, time_s, time_s + length_s
    )
    assert set(before) - set(transcript) == {u for u in before if u.end < time_s}


def test_iteration_covers_the_utterances_present_at_its_start() -> None:
    transcript = LiveTranscript([Utterance(0, 1, "one"), Utterance(2, 3, "three")])
    iterator = iter(transcript)
    assert next(iterator).text == "one"
    transcript.add(Utterance(1, 2, "two"))
    transcript.discard_before(10.0)
    assert texts(iterator) == ["three"] and texts(transcript) == []


def test_threads_may_add_while_others_read_and_discard() -> None:
    transcript = LiveTranscript()
    unsorted: list[tuple[float, float]] = []

    def add_many(thread_number: int) -> None:
        for i in range(500):
            start = 100 + (i * 7 + thread_number) % 500
            transcript.add(Utterance(start, 700, f"{thread_number}-{i}"))

    threads = [threading.Thread(target=add_many, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        starts = [u.start for u in transcript]
        unsorted += [pair for pair in pairwise(starts) if pair[0] > pair[1]]
        transcript.add(Utterance(0, 1, "early"))
        transcript.discard_before(50.0)
    assert not unsorted
    assert sorted(texts(transcript)) == sorted(f"{k}-{i}" for k in range(4) for i in range(500))


def test_windows_use_the_utterances_that_have_arrived() -> None:
    transcript = LiveTranscript()
    utterances = [Utterance(1, 2, "lime"), Utterance(5, 6, "red")]

    def times() -> Iterator[float]:
        for second in range(10):
            for utterance in utterances:
                if utterance.end == second:
                    transcript.add(utterance)
            yield float(second)

    windows = list(cut_windows(times(), transcript, window_s=4.0, hop_s=2.0))
    expected = list(cut_windows(map(float, range(10)), utterances, window_s=4.0, hop_s=2.0))
    assert windows == expected and {w.text for w in windows} == {"", "lime", "red"}
