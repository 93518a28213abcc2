"""Subtitles are written while utterances arrive, and can be read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.errors import MediaError, SgmnError
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.subtitle_writer import SubtitleWriter
from sgmn.media.transcript import read_transcript
from sgmn.records import Utterance

UTTERANCES = (
    Utterance(0.5, 2.25, "salt & <pepper>"),
    Utterance(3600.0, 3661.001, "the\nred   mug"),
)


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".VTT"])
def test_subtitles_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "folder" / f"a{suffix}"
    with SubtitleWriter(path) as writer:
        for count, utterance in enumerate(UTTERANCES, start=1):
            writer.write(utterance)
            assert len(read_transcript(path)) == count  # before the file is closed
    expected = [(u.start, u.end) for u in UTTERANCES]
    transcript = read_transcript(path)
    assert [(u.start, u.end) for u in transcript] == expected
    assert transcript[1].text == "the red mug"
    if suffix != ".srt":  # SRT has no escapes, so that <pepper> reads as a tag
        assert transcript[0].text == "salt & <pepper>"


def test_srt_numbers_its_cues(tmp_path: Path) -> None:
    with SubtitleWriter(tmp_path / "a.srt") as writer:
        for utterance in UTTERANCES:
            writer.write(utterance)
    assert (tmp_path / "a.srt").read_text() == (
        "1\n00:00:00,500 --> 00:00:02,250\nsalt & <pepper>\n\n"
        "2\n01:00:00,000 --> 01:01:01,001\nthe red mug\n"
    )


def test_no_utterances_make_a_valid_file(tmp_path: Path) -> None:
    SubtitleWriter(tmp_path / "a.vtt").close()
    assert read_transcript(tmp_path / "a.vtt") == ()


def test_a_live_transcript_passes_each_utterance_on_once() -> None:
    added: list[Utterance] = []
    transcript = LiveTranscript(on_add=added.append)
    for utterance in (*UTTERANCES, UTTERANCES[0], Utterance(1.0, 2.0, " ")):
        transcript.add(utterance)
    assert added == list(UTTERANCES)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SgmnError, match=r"\.srt.*\.vtt"):
        SubtitleWriter(tmp_path / "a.txt")


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MediaError, match="cannot be written"):
        SubtitleWriter(tmp_path / "file" / "a.srt")
