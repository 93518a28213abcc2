"""Transcripts in all formats: reading, writing, errors and round trips."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmn.errors import MediaError
from sgmn.media import transcript
from sgmn.records import Utterance

TMP = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


SRT_ONE = "1\n00:00:01,000 --> 00:00:02,000\nhello\n"


def read(tmp_path, text, name="a.srt", encoding="utf-8", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return [(u.start, u.end, u.text) for u in transcript.read_transcript(path, **options)]


SRT = """1
00:00:01,500 --> 00:00:04,000
hello everyone

2
01:00:05.25 --> 01:00:06.000 X1:40 X2:600
<i>this</i> lime {\\an8}&amp; that
second line
"""


CUES = [(1.5, 4.0, "hello everyone"), (3605.25, 3606.0, "this lime & that second line")]


VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: red }

REGION
id:fred

NOTE
a comment of
two lines

intro
00:01.500 --> 00:04.000 align:start position:0%
<v Ann Lee>hello <c.loud>every</c><00:02.000>one

NOTE one line

01:00:05.250 --> 01:00:06.000
this lime &amp; that<br>second line
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("text", "name"), [(SRT, "a.srt"), (VTT, "a.vtt"), (VTT, "a.txt")])
def test_srt_and_webvtt(tmp_path, text, name, ends, encoding):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    assert read(tmp_path, mark + text.replace("\n", ends), name, encoding) == CUES


def test_srt_without_blank_lines_or_numbers(tmp_path):
    text = "1\n00:00:01,0 --> 00:00:02,0\none\n2\n00:00:03,0 --> 00:00:04,0\n7\n00:05 --> 00:06\nx"
    assert read(tmp_path, text) == [(1, 2, "one"), (3, 4, ""), (5, 6, "x")][::2]


def test_a_blank_line_within_a_cue_loses_no_text(tmp_path):
    text = "1\n00:01,0 --> 00:02,0\none\n\nstill one\n\n2\n00:03,0 --> 00:04,0\ntwo\n"
    assert read(tmp_path, text) == [(1, 2, "one still one"), (3, 4, "two")]
    assert read(tmp_path, text.replace("still", "NOTE")) == [(1, 2, "one NOTE one"), (3, 4, "two")]


def test_cues_are_sorted_by_start_and_keep_their_order_within(tmp_path):
    text = "00:05 --> 00:06\nlast\n\n00:01 --> 00:09\nfirst\n\n00:01 --> 00:02\nsecond\n"
    assert [t for *_, t in read(tmp_path, text)] == ["first", "second", "last"]


def test_cues_without_text_are_omitted(tmp_path):
    assert read(tmp_path, "00:01 --> 00:02\n<i></i>\n\n00:02 --> 00:03\nword\n") == [(2, 3, "word")]


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.json", "a.jsonl", "a.txt", "a"])
@pytest.mark.parametrize("text", ["", " \n\r\n", "\ufeff"])
def test_an_empty_file_has_no_utterances(tmp_path, name, text):
    assert read(tmp_path, text, name) == []
    assert read(tmp_path, "WEBVTT\n\nNOTE nothing said\n", "b.vtt") == []


LIST = [{"start": 1, "end": 2.5, "text": " hello\nall "}, {"start": 0.5, "end": 9, "text": "早"}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps(LIST), "a.json"),
        (json.dumps({"transcript": LIST, "video": "a.mp4"}), "a.json"),
        (json.dumps({"text": "hello", "segments": LIST, "language": "en"}, indent=1), "a.json"),
        ("\n\n".join(map(json.dumps, LIST)), "a.jsonl"),
        ("\r\n".join(map(json.dumps, LIST)), "a.json"),
        (json.dumps(LIST), "a"),
    ],
)
def test_json(tmp_path, text, name):
    assert read(tmp_path, text, name) == [(0.5, 9, "早"), (1, 2.5, "hello all")]


def test_json_of_one_line(tmp_path):
    assert read(tmp_path, json.dumps(LIST[0]), "a.jsonl") == [(1, 2.5, "hello all")]


def test_plain_text_is_one_utterance(tmp_path):
    assert read(tmp_path, "hello\n\n all ", "a.txt", duration_s=60.0) == [(0, 60, "hello all")]
    assert read(tmp_path, "hello", "a.txt") == [(0, transcript.DEFAULT_DURATION_S, "hello")]
    assert read(tmp_path, "hello", "a.txt", duration_s=5.0, start_s=2.0) == [(2, 7, "hello")]


def test_the_duration_is_determined_only_for_plain_text(tmp_path):
    calls = []

    def read_duration() -> float:
        calls.append(True)
        return 9.0

    assert read(tmp_path, SRT_ONE, "a.srt", duration_s=read_duration) == [(1, 2, "hello")]
    assert not calls
    assert read(tmp_path, "hello", "a.txt", duration_s=read_duration) == [(0, 9, "hello")]
    with pytest.raises(
        MediaError, match=r"a\.txt: is plain text without times.*use SRT, WebVTT or"
    ):
        read(tmp_path, "hello", "a.txt", duration_s=0.0)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("1\n00:00:05,0 --> 00:00:04,0\nx", "a.srt", r"line 2 ends at 4\.0 s, before it starts"),
        ("1\n-00:01,0 --> 00:02,0\nx", "a.srt", "line 2 has invalid cue times"),
        ("WEBVTT\n\nNaN --> 00:02.0\nx", "a.vtt", "line 3 has invalid cue times"),
        ("00:99:00,0 --> 00:99:01,0\nx", "a.srt", "line 1 has 60 or more"),
        ("just words\n\n00:01 --> 00:02\nx", "a.srt", "line 1 is text before the first cue"),
        ("just words", "a.srt", "line 1 is text before the first cue"),
        ('[{"start": 2, "end": 1, "text": "x"}]', "a.json", "entry 1 has the times 2 to 1"),
        ('[{"start": -1, "end": 1, "text": "x"}]', "a.json", "entry 1 has the times -1 to 1"),
        ('[{"start": NaN, "end": 1, "text": "x"}]', "a.json", "entry 1 has the times nan to 1"),
        ('[{"start": 0, "end": 1e999, "text": "x"}]', "a.json", "entry 1 has the times 0 to inf"),
        ('[{"start": 0, "end": null, "text": "x"}]', "a.json", "entry 1 has the times 0 to None"),
        ('[{"start": true, "end": 2, "text": "x"}]', "a.json", "entry 1 has the times True to 2"),
        (
            '[{"start": 0, "end": 1%s, "text": "x"}]' % ("0" * 400),
            "a.json",
            "entry 1 has the times",
        ),
        ('[{"start": 0, "end": 1%s, "text": "x"}]' % ("0" * 5000), "a.json", "cannot be read"),
        ('[{"start": 0, "end": 1}]', "a.json", "entry 1 has no text"),
        ('[{"start": 0, "end": 1, "text": "\\ud83d"}]', "a.json", "half a character"),
        ("[3]", "a.json", "entry 1 has no text"),
        ('{"words": []}', "a.json", "has no list"),
        ("[" * 100_000, "a.json", "cannot be read as JSON"),
        ('[\n{"start": 0,\n', "a.json", "line 3 is not valid JSON"),
        ('{"start": 0, "end": 1, "text": "x"}\n{oops', "a.jsonl", "line 2 is not valid JSON"),
        (b"caf\xe9", "a.txt", "is not UTF-8"),
        ("words".encode("utf-16-le"), "a.txt", "null characters"),
        (b"\xff\xfew\x00o", "a.txt", "is not UTF-16"),
    ],
)
def test_invalid_text_is_refused_with_its_line(tmp_path, text, name, message):
    with pytest.raises(MediaError, match=message) as raised:
        read(tmp_path, text, name)
    assert str(raised.value).startswith(str(tmp_path / name)) and raised.value.remedy


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(MediaError, match=r"none\.srt: does not exist"):
        transcript.read_transcript(tmp_path / "none.srt")
    with pytest.raises(MediaError, match="cannot be opened"):
        transcript.read_transcript(tmp_path)


words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)


milliseconds = st.integers(0, 400_000_000)


utterances = st.lists(
    st.tuples(milliseconds, milliseconds, words).map(
        lambda t: Utterance(min(t[:2]) / 1000, max(t[:2]) / 1000, t[2])
    ),
    max_size=8,
)


def normalize(cues):
    """What a file can preserve: sorted, with single spaces, without empty texts."""
    rows = [(u.start, u.end, " ".join(u.text.split())) for u in cues]
    return sorted((u for u in rows if u[2]), key=lambda u: u[0])


@given(utterances)
@TMP
def test_vtt_round_trip(tmp_path, cues):
    assert read(tmp_path, transcript.format_webvtt(cues), "a.vtt") == normalize(cues)


def format_srt(cues):
    """An independent writer of SRT."""

    def clock(s):
        ms = round(s * 1000)
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    return "\n".join(
        f"{i}\n{clock(u.start)} --> {clock(u.end)}\n{' '.join(u.text.split())}\n"
        for i, u in enumerate(cues, 1)
    )


@given(utterances)
@TMP
def test_srt_round_trip(tmp_path, cues):
    marks = dict.fromkeys(map(ord, "<>&{}"))
    plain = [Utterance(u.start, u.end, u.text.translate(marks)) for u in cues]
    assert read(tmp_path, format_srt(plain), "a.srt") == normalize(plain)


@given(utterances)
@TMP
def test_json_round_trip(tmp_path, cues):
    rows = [{"start": u.start, "end": u.end, "text": u.text} for u in cues]
    assert read(tmp_path, json.dumps(rows), "a.json") == normalize(cues)
    if rows:
        assert read(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl") == normalize(cues)


BITS = ["WEBVTT", "\n", "\n\n", "-->", "00:01.0", " --> ", "00:02,5", "1", "<c>"]


BITS += ["[", "{", '"', "x", "NOTE "]


pieces = st.sampled_from(BITS)


@given(
    st.one_of(st.text(), st.binary(), st.lists(pieces, max_size=30).map("".join)),
    st.sampled_from(["a.srt", "a.vtt", "a.json", "a.jsonl", "a.txt", "a"]),
)
@settings(TMP, max_examples=200)
def test_any_text_is_read_or_refused_by_name(tmp_path, text, name):
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        rows = read(tmp_path, raw, name)
    except MediaError as error:
        assert name in str(error)
    else:
        assert all(0 <= start <= end and text for start, end, text in rows)


def test_format_webvtt_by_hand():
    cues = [Utterance(0.0004, 3661.5, "R&D <b>\n--> x")]
    assert transcript.format_webvtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 01:01:01.500\nR&amp;D &lt;b&gt; --&gt; x\n"
    )
