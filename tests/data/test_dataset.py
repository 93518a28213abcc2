from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest

from sgmn.data.dataset import Dataset, read_dataset
from sgmn.errors import RecordError
from sgmn.records import Clip, Product, Segment, Utterance
from tests.media.footage import frame_times, write_video

CLIP = {"clip_id": "c", "video": "v.mp4"}


def write_dataset(folder: Path, **files: Sequence[object]) -> Path:
    """A dataset folder with a file `name`.jsonl of rows or text lines for each keyword."""
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def read_error(folder: Path) -> str:
    """The message of the error that reading a dataset raises."""
    with pytest.raises(RecordError) as caught:
        read_dataset(folder)
    return str(caught.value)


def test_every_field_of_a_clip_is_read(tmp_path: Path):
    row = {
        "clip_id": "c1",
        "video": "videos/c1.mp4",
        "transcript": [{"start": 1, "end": 2.5, "text": "look here"}],
        "product_ids": ["p1", "p2"],
        "shop_id": "s",
        "start": 1,
        "end": 9.5,
        "boxes": [[[0, 0, 0.5, 1]], []],
        "split": "test",
        "attributes": {"scale": "large"},
        "visible_span": [1, 2],
    }
    (clip,) = read_dataset(write_dataset(tmp_path, clips=[row])).clips
    assert clip == Clip(
        "c1",
        video=tmp_path / "videos/c1.mp4",
        transcript=(Utterance(1.0, 2.5, "look here"),),
        product_ids=("p1", "p2"),
        shop_id="s",
        start=1.0,
        end=9.5,
        boxes=(((0.0, 0.0, 0.5, 1.0),), ()),
        split="test",
        attributes={"scale": "large"},
        extra={"visible_span": [1, 2]},
    )


def test_every_field_of_a_product_and_a_photo_is_read(tmp_path: Path):
    product: dict[str, object] = {
        "product_id": "p",
        "title": "t",
        "image": "a.jpg",
        "images": ["b.jpg"],
    }
    product |= {"shop_id": "s", "category": "c", "attributes": {"x": 1}, "price": 3}
    photo = {"path": "photos/1.jpg", "product_id": "p", "camera": "phone"}
    data = read_dataset(write_dataset(tmp_path, products=[product], photos=[photo, photo]))
    views = (tmp_path / "a.jpg", (tmp_path / "b.jpg",))
    assert data.products == (Product("p", "t", *views, "s", "c", {"x": 1}, {"price": 3}),)
    assert [p.path for p in data.photos] == [tmp_path / "photos/1.jpg"] * 2
    assert data.photos[0].extra == {"camera": "phone"} and data.photos[0].shop_id == ""


def test_the_video_of_a_stream_is_relative_to_its_file(tmp_path: Path):
    (tmp_path / "streams").mkdir()
    timeline = [{"start": 0, "end": 5, "product_id": "p"}, {"start": 5, "end": 6}]
    cues = [{"start": 0, "end": 1, "text": "hi"}]
    text = json.dumps({"video": "s1.mp4", "transcript": cues, "timeline": timeline, "host": "Li"})
    (tmp_path / "streams" / "s1.json").write_text(text)
    (stream,) = read_dataset(tmp_path).streams
    assert (stream.stream_id, stream.video) == ("s1", tmp_path / "streams" / "s1.mp4")
    assert stream.timeline == (Segment(0.0, 5.0, "p"), Segment(5.0, 6.0, None))
    assert stream.transcript == (Utterance(0.0, 1.0, "hi"),) and stream.extra == {"host": "Li"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "two"}, "'start' is 'two'; pass seconds, such as 2.5"),
        ({"start": True}, "'start' is True; pass seconds"),
        ({"start": 10**400}, "'start' is 1000"),
        ({"start": -1}, "are not a valid time span"),
        ({"start": 3, "end": 2}, "are not a valid time span"),
        ({"clip_id": None}, "'clip_id' is missing"),
        ({"clip_id": ""}, "'clip_id' is ''"),
        ({"clip_id": 7}, "'clip_id' is 7; pass a string"),
        ({"video": None}, "needs either a video or frames"),
        ({"video": ""}, "'video' is ''; pass a path"),
        ({"video": "a\0b"}, "'video' is"),
        ({"frames": ["a.jpg"]}, "needs either a video or frames"),
        ({"frames": "a.jpg"}, "'frames' is 'a.jpg'; pass a list"),
        ({"frames": ["a.jpg", 3]}, r"'frames[1]' is 3; pass a path"),
        ({"product_ids": "p"}, "'product_ids' is 'p'; pass a list"),
        ({"product_ids": ["p", None]}, "'product_ids[1]' is None; pass a string"),
        ({"transcript": 5}, "'transcript' is 5; pass a list of {start, end, text}, or the path"),
        ({"transcript": ["hi"]}, "transcript[0]: is 'hi', not an object"),
        ({"transcript": [{"start": 0, "text": "x"}]}, "transcript[0]: 'end' is missing"),
        ({"transcript": [{"start": 2, "end": 1, "text": "x"}]}, "not a valid time span"),
        ({"transcript": "nowhere.srt"}, "nowhere.srt"),
        ({"boxes": [[[0, 0, 1]]]}, "'boxes[0]' is [[0, 0, 1]]; pass a list of [left"),
        ({"boxes": [[[0, 0, 2, 1]]]}, "is not a valid box"),
        ({"attributes": [1]}, "'attributes' is [1]; pass an object"),
        ({"split": 1}, "'split' is 1; pass a string"),
    ],
)
def test_an_invalid_field_is_reported_with_file_line_field_and_remedy(
    tmp_path: Path, change: dict[str, object], message: str
):
    clips = [CLIP, "", {**CLIP, "clip_id": "d", **change}]
    error = read_error(write_dataset(tmp_path, clips=clips))
    assert error.startswith(f"{tmp_path}/clips.jsonl:3: ")
    assert message in error and "\n" not in error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "is [1], not an object"),
        ('{"clip_id": "c", "video": "v", "x": NaN}', "NaN is not a JSON number"),
        ('{"clip_id": "c", "video": "v", "x": 1e999}', "1e999 is out of range"),
        ('{"clip_id": "c", "video": "v", "video": "w"}', "'video' occurs twice"),
        ('{"clip_id": "\\ud800", "video": "v"}', "is not UTF-8"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"x": ' + "9" * 5000 + "}", "is not valid JSON"),
    ],
)
def test_a_line_that_is_not_a_json_object_is_an_error(tmp_path: Path, line: str, message: str):
    error = read_error(write_dataset(tmp_path, clips=[line]))
    assert "clips.jsonl:1: " in error and message in error


def test_bytes_that_are_not_utf8_invalidate_only_their_line(tmp_path: Path):
    valid = [json.dumps({**CLIP, "clip_id": name}).encode() for name in ("a", "b")]
    (tmp_path / "clips.jsonl").write_bytes(valid[0] + b'\n{"clip_id": "\xff"}\r\n' + valid[1])
    data = read_dataset(tmp_path, skip_invalid=True)
    assert [clip.clip_id for clip in data.clips] == ["a", "b"]
    assert [r.where for r in data.rejected_rows] == [f"{tmp_path}/clips.jsonl:2"]
    assert "UTF-8" in str(data.rejected_rows[0])


def test_a_byte_order_mark_and_blank_lines_are_accepted(tmp_path: Path):
    (tmp_path / "clips.jsonl").write_bytes(
        b"\xef\xbb\xbf" + json.dumps(CLIP).encode() + b"\r\n \n\n"
    )
    assert len(read_dataset(tmp_path).clips) == 1


def test_the_error_for_a_duplicate_names_the_first_row(tmp_path: Path):
    message = read_error(write_dataset(tmp_path, clips=[CLIP, {**CLIP, "video": "w.mp4"}]))
    assert "clips.jsonl:2: 'c' is already listed" in message and "clips.jsonl:1;" in message
    products = [{"product_id": "p", "title": "t"}, {"product_id": "p", "title": "t"}]
    other_shop = {**products[0], "shop_id": "s"}
    assert (
        len(
            read_dataset(write_dataset(tmp_path / "b", products=[products[0], other_shop])).products
        )
        == 2
    )
    assert "products.jsonl:2: " in read_error(write_dataset(tmp_path / "c", products=products))


def test_skipped_rows_are_listed_in_order(tmp_path: Path):
    invalid = {**CLIP, "start": "x"}
    folder = write_dataset(
        tmp_path, clips=[invalid, CLIP, "{", CLIP], products=[{"product_id": "p"}]
    )
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "a.json").write_text('{"timeline": []}')
    data = read_dataset(folder, skip_invalid=True)
    assert len(data.clips) == 1 and not data.products and not data.streams
    places = [issue.where.removeprefix(f"{tmp_path}/") for issue in data.rejected_rows]
    expected = ["products.jsonl:1", "clips.jsonl:1", "clips.jsonl:3", "clips.jsonl:4"]
    assert places == [*expected, "streams/a.json"]
    assert all(issue.message for issue in data.rejected_rows)


def test_a_transcript_may_be_a_file(tmp_path: Path):
    (tmp_path / "c.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    (clip,) = read_dataset(write_dataset(tmp_path, clips=[{**CLIP, "transcript": "c.srt"}])).clips
    assert clip.transcript == (Utterance(1.0, 2.0, "hello"),)


def test_plain_text_spans_its_clip(tmp_path: Path):
    (tmp_path / "c.txt").write_text("hello all")
    write_video(tmp_path / "v.mp4", frame_times(6))
    spans: list[dict[str, object]] = [
        {"start": 2, "end": 5},
        {"start": 1},
        {},
        {"video": None, "frames": ["a"], "end": 3},
    ]
    clips = [{**CLIP, "clip_id": str(n), "transcript": "c.txt", **s} for n, s in enumerate(spans)]
    utterances = [
        clip.transcript[0] for clip in read_dataset(write_dataset(tmp_path, clips=clips)).clips
    ]
    assert [(u.start, round(u.end, 1), u.text) for u in utterances] == [
        (2, 5, "hello all"),
        (1, 6, "hello all"),
        (0, 6, "hello all"),
        (0, 3, "hello all"),
    ]


@pytest.mark.parametrize("change", [{}, {"video": None, "frames": ["a.png"]}])
def test_plain_text_of_a_clip_of_unknown_duration_is_an_error(
    tmp_path: Path, change: dict[str, object]
):
    (tmp_path / "c.txt").write_text("hello all")
    error = read_error(write_dataset(tmp_path, clips=[{**CLIP, **change, "transcript": "c.txt"}]))
    assert "clips.jsonl:1: " in error and "of the video is unknown" in error
    assert "use SRT, WebVTT or JSON" in error


def test_plain_text_spans_its_stream(tmp_path: Path):
    (tmp_path / "streams").mkdir()
    write_video(tmp_path / "streams" / "s.mp4", frame_times(6))
    (tmp_path / "streams" / "s.txt").write_text("hello all")
    line = json.dumps({"video": "s.mp4", "transcript": "s.txt"})
    (tmp_path / "streams" / "s.json").write_text(line)
    (utterance,) = read_dataset(tmp_path).streams[0].transcript
    assert (utterance.start, round(utterance.end, 1)) == (0, 6)
    (tmp_path / "streams" / "s.mp4").unlink()
    assert "of the video is unknown" in read_error(tmp_path)


def test_a_path_that_cannot_be_looked_up_is_an_error(tmp_path: Path):
    assert "cannot be accessed (File name too long)" in read_error(tmp_path / ("x" * 300))


def test_a_folder_without_any_part_of_a_dataset_is_an_error(tmp_path: Path):
    assert "is not a dataset; add at least one of products.jsonl" in read_error(tmp_path)
    assert "is not a folder; pass a dataset folder" in read_error(tmp_path / "nowhere")
    (tmp_path / "clips.jsonl").mkdir()
    assert "cannot be read" in read_error(tmp_path)


def test_a_dataset_can_be_sent_to_another_process(tmp_path: Path):
    data = read_dataset(
        write_dataset(tmp_path, clips=[CLIP], products=[{"product_id": "p", "title": "t"}])
    )
    assert pickle.loads(pickle.dumps(data)) == data
    assert isinstance(data, Dataset)
