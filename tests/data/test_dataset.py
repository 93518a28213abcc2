from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.data import dataset
from sgmn.data.dataset import Dataset, clip_line, product_line, read, write_jsonl
from sgmn.errors import RecordError
from sgmn.records import Clip, Product, Segment, Utterance
from tests.media.footage import film, steady

GOOD = {"clip_id": "c", "video": "v.mp4"}


def made(folder: Path, **files: list) -> Path:
    """A dataset folder with the lines given for each `name` of name.jsonl."""
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(RecordError) as caught:
        read(folder)
    return str(caught.value)


def test_every_field_of_a_clip_arrives(tmp_path: Path):
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
    (clip,) = read(made(tmp_path, clips=[row])).clips
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


def test_every_field_of_a_product_and_a_photo_arrives(tmp_path: Path):
    product = {"product_id": "p", "title": "t", "image": "a.jpg", "images": ["b.jpg"]}
    product |= {"shop_id": "s", "category": "c", "attributes": {"x": 1}, "price": 3}
    photo = {"path": "photos/1.jpg", "product_id": "p", "camera": "phone"}
    data = read(made(tmp_path, products=[product], photos=[photo, photo]))
    views = (tmp_path / "a.jpg", (tmp_path / "b.jpg",))
    assert data.products == (Product("p", "t", *views, "s", "c", {"x": 1}, {"price": 3}),)
    assert [p.path for p in data.photos] == [tmp_path / "photos/1.jpg"] * 2
    assert data.photos[0].extra == {"camera": "phone"} and data.photos[0].shop_id == ""


def test_streams_are_read_beside_their_video(tmp_path: Path):
    (tmp_path / "streams").mkdir()
    timeline = [{"start": 0, "end": 5, "product_id": "p"}, {"start": 5, "end": 6}]
    cues = [{"start": 0, "end": 1, "text": "hi"}]
    text = json.dumps({"video": "s1.mp4", "transcript": cues, "timeline": timeline, "host": "Li"})
    (tmp_path / "streams" / "s1.json").write_text(text)
    (stream,) = read(tmp_path).streams
    assert (stream.stream_id, stream.video) == ("s1", tmp_path / "streams" / "s1.mp4")
    assert stream.timeline == (Segment(0.0, 5.0, "p"), Segment(5.0, 6.0, None))
    assert stream.transcript == (Utterance(0.0, 1.0, "hi"),) and stream.extra == {"host": "Li"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start": "two"}, "'start' is 'two'; give seconds, such as 2.5"),
        ({"start": True}, "'start' is True; give seconds"),
        ({"start": 10**400}, "'start' is 1000"),
        ({"start": -1}, "are no span of time"),
        ({"start": 3, "end": 2}, "are no span of time"),
        ({"clip_id": None}, "'clip_id' is missing"),
        ({"clip_id": ""}, "'clip_id' is ''"),
        ({"clip_id": 7}, "'clip_id' is 7; give a text"),
        ({"video": None}, "needs a video or frames"),
        ({"video": ""}, "'video' is ''; give a path"),
        ({"video": "a\0b"}, "'video' is"),
        ({"frames": ["a.jpg"]}, "needs a video or frames, and not both"),
        ({"frames": "a.jpg"}, "'frames' is 'a.jpg'; give a list"),
        ({"frames": ["a.jpg", 3]}, r"'frames[1]' is 3; give a path"),
        ({"product_ids": "p"}, "'product_ids' is 'p'; give a list"),
        ({"product_ids": ["p", None]}, "'product_ids[1]' is None; give a text"),
        ({"transcript": 5}, "'transcript' is 5; give a list of {start, end, text}, or the path"),
        ({"transcript": ["hi"]}, "transcript[0]: is 'hi' and no object"),
        ({"transcript": [{"start": 0, "text": "x"}]}, "transcript[0]: 'end' is missing"),
        ({"transcript": [{"start": 2, "end": 1, "text": "x"}]}, "no span of time"),
        ({"transcript": "nowhere.srt"}, "nowhere.srt"),
        ({"boxes": [[[0, 0, 1]]]}, "'boxes[0]' is [[0, 0, 1]]; give each frame"),
        ({"boxes": [[[0, 0, 2, 1]]]}, "is no box"),
        ({"attributes": [1]}, "'attributes' is [1]; give an object"),
        ({"split": 1}, "'split' is 1; give a text"),
    ],
)
def test_a_bad_field_names_file_line_field_and_remedy(tmp_path: Path, change, says: str):
    message = refusal(made(tmp_path, clips=[GOOD, "", {**GOOD, "clip_id": "d", **change}]))
    assert message.startswith(f"{tmp_path}/clips.jsonl:3: ")
    assert says in message and "\n" not in message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is no JSON"),
        ("[1]", "is [1] and no object"),
        ('{"clip_id": "c", "video": "v", "x": NaN}', "NaN is no JSON number"),
        ('{"clip_id": "c", "video": "v", "x": 1e999}', "1e999 is out of range"),
        ('{"clip_id": "c", "video": "v", "video": "w"}', "'video' is given twice"),
        ('{"clip_id": "\\ud800", "video": "v"}', "is no UTF-8"),
        ("[" * 100_000, "is no JSON"),
        ('{"x": ' + "9" * 5000 + "}", "is no JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, line: str, says: str):
    message = refusal(made(tmp_path, clips=[line]))
    assert "clips.jsonl:1: " in message and says in message


def test_bytes_that_are_no_utf8_spoil_only_their_line(tmp_path: Path):
    good = [json.dumps({**GOOD, "clip_id": name}).encode() for name in ("a", "b")]
    (tmp_path / "clips.jsonl").write_bytes(good[0] + b'\n{"clip_id": "\xff"}\r\n' + good[1])
    data = read(tmp_path, skip_bad=True)
    assert [clip.clip_id for clip in data.clips] == ["a", "b"]
    assert [r.where for r in data.refused] == [f"{tmp_path}/clips.jsonl:2"]
    assert "UTF-8" in str(data.refused[0])


def test_a_byte_order_mark_and_blank_lines_are_no_fault(tmp_path: Path):
    (tmp_path / "clips.jsonl").write_bytes(
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n \n\n"
    )
    assert len(read(tmp_path).clips) == 1


def test_duplicates_are_errors_that_name_the_first(tmp_path: Path):
    message = refusal(made(tmp_path, clips=[GOOD, {**GOOD, "video": "w.mp4"}]))
    assert "clips.jsonl:2: 'c' was given before" in message and "clips.jsonl:1;" in message
    products = [{"product_id": "p", "title": "t"}, {"product_id": "p", "title": "t"}]
    other_shop = {**products[0], "shop_id": "s"}
    assert len(read(made(tmp_path / "b", products=[products[0], other_shop])).products) == 2
    assert "products.jsonl:2: " in refusal(made(tmp_path / "c", products=products))


def test_skipped_lines_are_counted_in_order(tmp_path: Path):
    bad = {**GOOD, "start": "x"}
    folder = made(tmp_path, clips=[bad, GOOD, "{", GOOD], products=[{"product_id": "p"}])
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "a.json").write_text('{"timeline": []}')
    data = read(folder, skip_bad=True)
    assert len(data.clips) == 1 and not data.products and not data.streams
    places = [refused.where.removeprefix(f"{tmp_path}/") for refused in data.refused]
    expected = ["products.jsonl:1", "clips.jsonl:1", "clips.jsonl:3", "clips.jsonl:4"]
    assert places == [*expected, "streams/a.json"]
    assert all(refused.what for refused in data.refused)


def test_a_transcript_may_be_a_file(tmp_path: Path):
    (tmp_path / "c.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    (clip,) = read(made(tmp_path, clips=[{**GOOD, "transcript": "c.srt"}])).clips
    assert clip.transcript == (Utterance(1.0, 2.0, "hello"),)


def test_plain_text_lasts_as_long_as_its_clip(tmp_path: Path):
    (tmp_path / "c.txt").write_text("hello all")
    film(tmp_path / "v.mp4", steady(6))
    spans = ({"start": 2, "end": 5}, {"start": 1}, {}, {"video": None, "frames": ["a"], "end": 3})
    clips = [{**GOOD, "clip_id": str(n), "transcript": "c.txt", **s} for n, s in enumerate(spans)]
    said = [clip.transcript[0] for clip in read(made(tmp_path, clips=clips)).clips]
    assert [(u.start, round(u.end, 1), u.text) for u in said] == [
        (2, 5, "hello all"),
        (1, 6, "hello all"),
        (0, 6, "hello all"),
        (0, 3, "hello all"),
    ]


@pytest.mark.parametrize("change", [{}, {"video": None, "frames": ["a.png"]}])
def test_plain_text_of_a_clip_of_unknown_length_is_refused(tmp_path: Path, change: dict):
    (tmp_path / "c.txt").write_text("hello all")
    says = refusal(made(tmp_path, clips=[{**GOOD, **change, "transcript": "c.txt"}]))
    assert "clips.jsonl:1: " in says and "words without times" in says
    assert "give SRT, WebVTT or JSON" in says


def test_plain_text_lasts_as_long_as_its_stream(tmp_path: Path):
    (tmp_path / "streams").mkdir()
    film(tmp_path / "streams" / "s.mp4", steady(6))
    (tmp_path / "streams" / "s.txt").write_text("hello all")
    line = json.dumps({"video": "s.mp4", "transcript": "s.txt"})
    (tmp_path / "streams" / "s.json").write_text(line)
    (said,) = read(tmp_path).streams[0].transcript
    assert (said.start, round(said.end, 1)) == (0, 6)
    (tmp_path / "streams" / "s.mp4").unlink()
    assert "words without times" in refusal(tmp_path)


def test_a_path_that_cannot_be_looked_up_is_refused(tmp_path: Path):
    assert "cannot be looked up (File name too long)" in refusal(tmp_path / ("x" * 300))


def test_a_folder_with_nothing_of_a_dataset_is_refused(tmp_path: Path):
    assert "is no dataset; put at least one of products.jsonl" in refusal(tmp_path)
    assert "is no folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "clips.jsonl").mkdir()
    assert "cannot be read" in refusal(tmp_path)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
FILE = st.text("ab./ é", min_size=1, max_size=9).map(lambda name: f"m/x{name}x")
SCALAR = st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False, width=32)
JSON = st.dictionaries(
    TEXT, SCALAR.filter(lambda x: not isinstance(x, float) or abs(x) < 1e30), max_size=3
)
EXTRA = JSON.map(lambda values: {f"x-{key}": value for key, value in values.items()})
SIDE = st.floats(0, 1)


@st.composite
def spans(draw) -> tuple[float, float]:
    start, length = draw(st.floats(0, 1e6)), draw(st.floats(0, 1e6))
    return start, start + length


@st.composite
def boxes(draw) -> tuple[float, float, float, float]:
    left, right = sorted((draw(SIDE), draw(SIDE)))
    top, bottom = sorted((draw(SIDE), draw(SIDE)))
    return left, top, right, bottom


@st.composite
def products(draw, root: Path) -> Product:
    images = draw(st.lists(FILE, max_size=3))
    fields = [draw(TEXT), draw(TEXT), draw(JSON), draw(EXTRA)]
    views = (root / "m.jpg", tuple(root / image for image in images))
    return Product(draw(NAME), draw(TEXT), *views, *fields)


@st.composite
def clips(draw, root: Path) -> Clip:
    media = {"video": root / draw(FILE)}
    if draw(st.booleans()):
        media = {"frames": tuple(root / f for f in draw(st.lists(FILE, min_size=1, max_size=3)))}
    start, end = draw(spans())
    return Clip(
        clip_id=draw(NAME),
        transcript=tuple(Utterance(*span, draw(TEXT)) for span in draw(st.lists(spans()))),
        product_ids=tuple(draw(st.lists(NAME, max_size=3))),
        shop_id=draw(TEXT),
        start=start,
        end=draw(st.sampled_from([None, end])),
        boxes=tuple(tuple(row) for row in draw(st.lists(st.lists(boxes(), max_size=2)))),
        split=draw(TEXT),
        attributes=draw(JSON),
        extra=draw(EXTRA),
        **media,
    )


@given(st.data())
def test_what_is_written_is_read_again(tmp_path_factory, data):
    root = tmp_path_factory.getbasetemp() / "round"
    kept = data.draw(st.lists(products(root), max_size=3, unique_by=lambda p: p.key))
    cut = data.draw(st.lists(clips(root), max_size=3, unique_by=lambda clip: clip.clip_id))
    write_jsonl(root / "products.jsonl", (product_line(product, root) for product in kept))
    write_jsonl(root / "clips.jsonl", (clip_line(clip, root) for clip in cut))
    assert read(root) == Dataset(root, tuple(kept), tuple(cut))


def test_media_elsewhere_is_written_with_its_whole_path(tmp_path: Path):
    product = Product("p", image=Path("/elsewhere/p.jpg"))
    assert product_line(product, tmp_path)["image"] == "/elsewhere/p.jpg"
    inside = Product("p", image=tmp_path / "images" / "p.jpg")
    assert product_line(inside, tmp_path)["image"] == "images/p.jpg"


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path):
    path = tmp_path / "products.jsonl"
    write_jsonl(path, [{"a": 1}])
    with pytest.raises(RecordError, match=r"products.jsonl:2: is no JSON"):
        write_jsonl(path, [{"a": 2}, {"a": float("nan")}])
    with pytest.raises(RecordError, match="'title', which is a field of its own"):
        product_line(Product("p", "t", extra={"title": "u"}), tmp_path)
    assert path.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_that_was_read_can_be_sent_to_another_process(tmp_path: Path):
    import pickle

    data = read(made(tmp_path, clips=[GOOD], products=[{"product_id": "p", "title": "t"}]))
    assert pickle.loads(pickle.dumps(data)) == data
    assert isinstance(data, dataset.Dataset)
