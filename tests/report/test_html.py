"""The report page: whole, safe and of one file; its strip, colours and verdicts; its findings."""

from __future__ import annotations

import doctest
import io
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import Recognition
from sgmn.live.timeline import segments
from sgmn.records import Segment, Utterance
from sgmn.report import formatting
from sgmn.report import html as pages
from sgmn.report.drawing import heat_levels, tinted
from sgmn.report.html import Finding, KeyFrame, Page, differences, heat_uri, html, verdict
from sgmn.report.segment_details import confidence, findings, key_frame

DIFFERS = {"class": "differs"}
VOID = {"meta", "img", "link", "br", "hr", "input"}
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=alert(1)>"


def jpeg(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 30), colour).save(file, "JPEG")
    return file.getvalue()


FRAME = KeyFrame(4.0, jpeg((9, 9, 9)), np.eye(4))
PAGE = Page(
    name="stream.mp4",
    duration_s=40.0,
    facts={"Model": "builtin"},
    findings=(
        Finding(Segment(0, 10, "a", 0.9), FRAME, (("b", 0.07), (None, 0.03)), "the red one"),
        Finding(Segment(10, 20, None, 0.6)),
        Finding(Segment(20, 40, "b", 0.8), None, (("a", 0.2),), "now the other"),
    ),
    titles={"a": "Red milk", "b": "Green milk", "c": "Blue milk"},
    pictures={"a": jpeg((200, 0, 0)), "b": jpeg((0, 200, 0)), "c": jpeg((0, 0, 200))},
    times=np.arange(1.0, 40.0, 2.0),
    confidence=np.linspace(0, 1, 20),
    truth=(Segment(0, 12, "a"), Segment(12, 20, None), Segment(20, 40, "c")),
    right=0.4,
    damage=("stream.mp4: a frame is corrupt",),
)


class Read(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = attributes.items()
        return [found for name, found in self.elements if name == tag and wanted <= found.items()]


def lane(read: Read, label: str) -> list[tuple[float, float, str]]:
    """Start and end in percent, and colour, of the bars of a lane."""
    names = [dict(found).get("aria-label", "") for _, found in read.elements]
    first = next(i for i, name in enumerate(names) if label in name)
    rest = next((i for i in range(first + 1, len(names)) if names[i]), len(names))
    bars = [f for tag, f in read.elements[first:rest] if tag == "svg" and f.get("class") == "hue"]
    places = [(float(b["x"][:-1]), float(b["width"][:-1]), b["style"]) for b in bars]
    return [(x, x + width, style) for x, width, style in places]


def test_every_element_is_closed_and_every_picture_is_in_the_page_and_named() -> None:
    read = Read(html(PAGE))
    assert not read.open
    pictures = read.all("img")
    assert len(pictures) > 6 and all(found["alt"].strip() for found in pictures)
    for found in (*pictures, *read.all("image")):
        address = found.get("src") or found["href"]
        kind, _, content = address.partition(";base64,")
        assert kind in ("data:image/jpeg", "data:image/png")
        Image.open(io.BytesIO(b64decode(content, validate=True))).load()


def test_nothing_is_fetched_and_nothing_runs() -> None:
    text = html(PAGE)
    read = Read(text)
    for _, found in read.elements:
        for name in ("src", "href"):
            assert found.get(name, "#").startswith(("#", "data:image/")), found
        assert not [name for name in found if name.startswith("on")]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in read.elements}
    assert "url(" not in text and "@import" not in text and "http" not in text.replace("http-", "")
    targets = {found["href"][1:] for found in read.all("a")}
    assert targets and targets <= {found.get("id") for _, found in read.elements}


@pytest.mark.parametrize("place", ["title", "words", "name", "fact", "damage", "id"])
def test_what_strangers_wrote_is_shown_and_never_obeyed(place: str) -> None:
    first = PAGE.findings[0]
    hostile = {
        "title": replace(PAGE, titles={"a": HOSTILE}),
        "words": replace(PAGE, findings=(replace(first, said=HOSTILE),)),
        "name": replace(PAGE, name=HOSTILE),
        "fact": replace(PAGE, facts={HOSTILE: HOSTILE}),
        "damage": replace(PAGE, damage=(HOSTILE,)),
        "id": replace(PAGE, findings=(Finding(Segment(0, 9, HOSTILE)),)),
    }[place]
    read = Read(html(hostile))
    assert not read.open and HOSTILE in read.text
    assert not read.all("script") and not read.all("img", src="x")


def test_the_strip_is_drawn_to_scale_and_a_product_keeps_its_colour() -> None:
    read = Read(html(PAGE))
    found, truth = lane(read, "was found"), lane(read, "in truth")
    assert [bar[:2] for bar in found] == [(0, 25), (50, 100)]  # nothing on sale has no bar
    assert [bar[:2] for bar in truth] == [(0, 30), (50, 100)]
    assert found[0][2] == truth[0][2]
    assert len({found[0][2], found[1][2], truth[1][2]}) == 3
    marks = [(float(f["x"][:-1]), float(f["width"][:-1])) for f in read.all("rect", **DIFFERS)]
    assert marks == [(25, 5), (50, 50)]


def test_the_strip_has_room_for_a_truth_that_goes_on() -> None:
    longer = replace(PAGE, truth=(Segment(0, 80, "a"),))
    assert [bar[:2] for bar in lane(Read(html(longer)), "was found")] == [(0, 12.5), (25, 50)]


def test_the_curve_goes_through_the_confidence_of_each_window() -> None:
    read = Read(html(PAGE))
    lines = [found["points"].split() for found in read.all("polyline")]
    assert len(lines) == 3
    first, last = ([tuple(map(float, p.split(","))) for p in line] for line in lines[::2])
    assert first[0][0] == 0 and last[-1] == (1000, 0)  # sure at the end: at the top
    assert first[1] == (25, 100)  # 1 s of 40, where the confidence is 0
    assert first[3] == pytest.approx((125, 100 * (1 - PAGE.confidence[2])), abs=0.1)


def test_cards_tell_right_from_wrong_and_show_the_true_product() -> None:
    text = html(PAGE)
    cards = [part.split("</article>")[0] for part in text.split("<article")[1:]]
    assert len(cards) == 3
    assert "as the truth has it" in cards[0] and "right for 80% of it" in cards[1]
    assert "not what the truth has" in cards[2] and "Blue milk" in cards[2]
    assert pages.data_uri(PAGE.pictures["c"]) in cards[2]
    assert pages.data_uri(PAGE.pictures["c"]) not in cards[0]
    assert "Green milk" in cards[0] and "7%" in cards[0] and "the red one" in cards[0]
    assert "90% sure" in cards[0] and "0:00 – 0:10" in cards[0]
    assert "40%" in text and "a frame is corrupt" in text


def test_without_a_truth_there_is_nothing_of_it() -> None:
    text = html(replace(PAGE, truth=(), right=None))
    assert "truth" not in text.lower() and "of the time right" not in text


def test_a_page_of_little_is_a_page() -> None:
    alone = Finding(Segment(0, 0, "unknown"))
    bare = replace(PAGE, findings=(alone,), truth=(), right=None, duration_s=0.0, pictures={})
    read = Read(html(bare))
    assert not read.open and "unknown" in read.text and "No frame can be read here" in read.text


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    assert "a?b" in html(replace(PAGE, name="a\udcffb")).encode().decode()


def test_a_verdict_leaves_out_slivers_and_what_the_truth_does_not_cover() -> None:
    truth = [Segment(0, 5, "a"), Segment(5, 5.5, "b"), Segment(5.5, 8, "c"), Segment(8, 9, "a")]
    said = verdict(Segment(0, 10, "a"), truth)
    assert said is not None and said.right == pytest.approx(6 / 9)
    assert said.instead == (("c", 2.5),)
    assert verdict(Segment(20, 30, "a"), truth) is None


def test_differences_count_what_was_not_found_as_nothing() -> None:
    assert differences([], [Segment(0, 4, None), Segment(4, 9, "a")]) == [(4, 9)]
    assert differences([Segment(0, 9, "a")], [Segment(2, 4, "a")]) == []


@pytest.mark.parametrize("module", [pages, formatting])
def test_the_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted


def under_heat(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture with its map laid over it, as a browser does it."""
    laid = Image.open(io.BytesIO(b64decode(heat_uri(heat).split(",")[1])))
    assert laid.mode == "RGBA" and laid.size == heat.shape[::-1]
    found = Image.alpha_composite(Image.fromarray(picture).convert("RGBA"), laid)
    return np.asarray(found.convert("RGB")).astype(int)


def test_a_heat_map_looks_as_it_is_drawn_elsewhere(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    heat = rng.dirichlet(np.full(48, 0.3)).reshape(6, 8)
    drawn = tinted(picture.astype(float), heat_levels(heat)).astype(int)
    assert np.abs(under_heat(picture, heat) - drawn).max() <= 3  # of 255: a PNG holds whole ones


def test_heat_maps_are_on_one_scale() -> None:
    """An even look glows nowhere, a faint look less than a sharp one."""
    grey = np.full((4, 4, 3), 128, np.uint8)
    sharp = np.zeros((4, 4))
    sharp[0, 0] = 1.0
    hot, warm, even, nowhere = (
        under_heat(grey, heat)
        for heat in (sharp, 0.2 * sharp + 0.05, np.full((4, 4), 1 / 16), np.zeros((4, 4)))
    )
    assert hot[0, 0].sum() > warm[0, 0].sum() > warm[1, 1].sum()
    assert np.ptp(even) == 0 and np.array_equal(even, nowhere)
    assert hot[1, 1].max() < 128  # what is cold is dimmed, and still to be seen
    assert hot[1, 1].min() > 64


# Findings: a recognition of the stream that shows p0 and, from 20 s on, p3.
SETTINGS = TimelineSettings(nothing_threshold=0.0)
IDS = ("p0", "p3", "p5")
SAID = (Utterance(1, 4, "first words"), Utterance(30, 33, "later words"))


def recognition(surest_s: float = 27.0) -> Recognition:
    times = np.arange(1.0, 40.0, 2.0)
    scores = np.zeros((20, 3))
    scores[:10, 0] = scores[10:, 1] = 3.0
    scores[:, 2] = 1.0
    scores[times == surest_s, 1] = 5.0
    found = segments(times, scores, IDS, SETTINGS, (0.0, 40.0))
    assert [s.product_id for s in found] == ["p0", "p3"]
    return Recognition(found, 40.0, times, scores, IDS)


def test_findings_hold_the_frame_of_the_surest_moment_and_the_words_of_the_time(
    stream: Path,
) -> None:
    first, second = findings(recognition(), stream / "streams" / "s.mp4", SAID, SETTINGS)
    assert first.said == "first words" and second.said == "later words"
    assert first.frame and second.frame and second.frame.time_s == 27.0
    means = [np.asarray(Image.open(io.BytesIO(f.frame.jpeg))).mean((0, 1)) for f in (first, second)]
    assert means[0] == pytest.approx((200, 30, 30), abs=15)
    assert means[1] == pytest.approx((200, 90, 90), abs=15)


def test_rivals_share_what_the_segment_is_not_sure_of(stream: Path) -> None:
    first, _ = findings(recognition(), stream / "streams" / "s.mp4", settings=SETTINGS)
    names = [name for name, _ in first.others]
    assert names[0] == first.segment.runner_up == "p5" and "p0" not in names
    assert len(set(names)) == len(names) == 3 and None in names
    total = first.segment.confidence + sum(share for _, share in first.others)
    assert total == pytest.approx(1.0)


def test_time_with_nothing_on_sale_has_findings_too(stream: Path) -> None:
    often = TimelineSettings(switch_cost=1.0, nothing_threshold=0.5)
    shown = recognition()
    scores = np.vstack([shown.scores[:10] * 3, np.zeros((10, 3))])
    found = segments(shown.times, scores, IDS, often, (0.0, 40.0))
    assert [s.product_id for s in found] == ["p0", None]
    idle = replace(shown, segments=found, scores=scores)
    second = findings(idle, stream / "streams" / "s.mp4", SAID, often)[1]
    assert None not in [name for name, _ in second.others] and second.said == "later words"
    assert second.segment.confidence + sum(share for _, share in second.others) == pytest.approx(1)
    assert (confidence(idle, often)[10:] > 0.5).all()


def test_confidence_is_each_windows_own(stream: Path) -> None:
    shares = confidence(recognition(), SETTINGS)
    usual = np.exp(3) / np.exp([3, 1, 0]).sum()
    assert shares[0] == pytest.approx(usual) and shares[-1] == pytest.approx(usual)
    assert shares.argmax() == 13  # 27 s
    assert shares.shape == (20,) and shares[13] == pytest.approx(
        np.exp(5) / np.exp([5, 1, 0]).sum()
    )


def test_a_key_frame_is_small_and_within_reach(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (960, 640), (60 * number, 0, 0)).save(tmp_path / f"{number}.png")
    shown = key_frame(tmp_path, 1.5, 5.0)
    assert shown and shown.time_s == 2.0 and shown.heat is None
    assert Image.open(io.BytesIO(shown.jpeg)).size == (480, 320)
    last = key_frame(tmp_path, 6.0, 5.0)
    assert last and last.time_s == 3.0
    assert key_frame(tmp_path, 20.0, 5.0) is None
    assert key_frame(tmp_path / "none.mp4", 2.0, 5.0) is None


def test_findings_show_where_the_model_looks_while_what_is_said(stream: Path) -> None:
    heard = []

    def look(picture: Any, /, said: str) -> Any:
        heard.append(said)
        return np.ones(picture.shape[:2])

    made = findings(recognition(), stream / "streams" / "s.mp4", SAID, SETTINGS, look)
    assert heard[0] == "first words" and heard[1].startswith("later")
    for one in made:
        assert one.frame and one.frame.heat is not None
        width, height = Image.open(io.BytesIO(one.frame.jpeg)).size
        assert one.frame.heat.shape == (height, width)


def test_the_page_of_findings_names_its_frames(stream: Path) -> None:
    found = recognition()
    made = findings(found, stream / "streams" / "s.mp4", SAID, SETTINGS)
    text = html(replace(PAGE, findings=made, times=found.times, confidence=confidence(found)))
    assert "Surest at 0:27" in text and "later words" in text
