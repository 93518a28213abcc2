"""The HTML report: valid, safe, in one file; its timeline, colors and comparisons."""

from __future__ import annotations

import doctest
import io
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.records import Segment
from sgmn.report import formatting, truth_comparison
from sgmn.report.html import (
    KeyFrame,
    SegmentDetails,
    WatchReport,
    data_uri,
    render_html,
)

DIFFERS = {"class": "differs"}
VOID = {"meta", "img", "link", "br", "hr", "input"}
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=alert(1)>"


def jpeg(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 30), color).save(file, "JPEG")
    return file.getvalue()


FRAME = KeyFrame(4.0, jpeg((9, 9, 9)), np.eye(4))
REPORT = WatchReport(
    name="stream.mp4",
    duration_s=40.0,
    facts={"Model": "builtin"},
    details=(
        SegmentDetails(Segment(0, 10, "a", 0.9), FRAME, (("b", 0.07), (None, 0.03)), "the red one"),
        SegmentDetails(Segment(10, 20, None, 0.6)),
        SegmentDetails(Segment(20, 40, "b", 0.8), None, (("a", 0.2),), "now the other"),
    ),
    titles={"a": "Red milk", "b": "Green milk", "c": "Blue milk"},
    product_images={"a": jpeg((200, 0, 0)), "b": jpeg((0, 200, 0)), "c": jpeg((0, 0, 200))},
    times_s=np.arange(1.0, 40.0, 2.0),
    confidence=np.linspace(0, 1, 20),
    truth=(Segment(0, 12, "a"), Segment(12, 20, None), Segment(20, 40, "c")),
    accuracy=0.4,
    damage=("stream.mp4: a frame is corrupt",),
)


class ParsedPage(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags and self.open_tags.pop() == tag, f"unexpected </{tag}>"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def find_all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            element
            for name, element in self.elements
            if name == tag and attributes.items() <= element.items()
        ]


def bars_of_lane(page: ParsedPage, label: str) -> list[tuple[float, float, str]]:
    """Return start and end in percent, and color, of the bars of a lane."""
    names = [attributes.get("aria-label", "") for _, attributes in page.elements]
    first = next(i for i, name in enumerate(names) if label in name)
    rest = next((i for i in range(first + 1, len(names)) if names[i]), len(names))
    bars = [f for tag, f in page.elements[first:rest] if tag == "svg" and f.get("class") == "hue"]
    places = [(float(b["x"][:-1]), float(b["width"][:-1]), b["style"]) for b in bars]
    return [(x, x + width, style) for x, width, style in places]


def test_elements_are_closed_and_images_are_embedded_with_an_alternative_text() -> None:
    page = ParsedPage(render_html(REPORT))
    assert not page.open_tags
    images = page.find_all("img")
    assert len(images) > 6 and all(image["alt"].strip() for image in images)
    for image in (*images, *page.find_all("image")):
        address = image.get("src") or image["href"]
        kind, _, content = address.partition(";base64,")
        assert kind in ("data:image/jpeg", "data:image/png")
        Image.open(io.BytesIO(b64decode(content, validate=True))).load()


def test_the_page_fetches_nothing_and_runs_no_scripts() -> None:
    text = render_html(REPORT)
    page = ParsedPage(text)
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert "url(" not in text and "@import" not in text and "http" not in text.replace("http-", "")
    targets = {link["href"][1:] for link in page.find_all("a")}
    assert targets and targets <= {attributes.get("id") for _, attributes in page.elements}


@pytest.mark.parametrize("field", ["title", "transcript", "name", "fact", "damage", "id"])
def test_third_party_text_is_escaped(field: str) -> None:
    first = REPORT.details[0]
    hostile = {
        "title": replace(REPORT, titles={"a": HOSTILE}),
        "transcript": replace(REPORT, details=(replace(first, transcript=HOSTILE),)),
        "name": replace(REPORT, name=HOSTILE),
        "fact": replace(REPORT, facts={HOSTILE: HOSTILE}),
        "damage": replace(REPORT, damage=(HOSTILE,)),
        "id": replace(REPORT, details=(SegmentDetails(Segment(0, 9, HOSTILE)),)),
    }[field]
    page = ParsedPage(render_html(hostile))
    assert not page.open_tags and HOSTILE in page.text
    assert not page.find_all("script") and not page.find_all("img", src="x")


def test_the_timeline_is_to_scale_and_a_product_keeps_its_color() -> None:
    page = ParsedPage(render_html(REPORT))
    recognized, truth = bars_of_lane(page, "Recognized"), bars_of_lane(page, "Ground truth")
    assert [bar[:2] for bar in recognized] == [(0, 25), (50, 100)]  # no bar if nothing is on sale
    assert [bar[:2] for bar in truth] == [(0, 30), (50, 100)]
    assert recognized[0][2] == truth[0][2]
    assert len({recognized[0][2], recognized[1][2], truth[1][2]}) == 3
    marks = [(float(f["x"][:-1]), float(f["width"][:-1])) for f in page.find_all("rect", **DIFFERS)]
    assert marks == [(25, 5), (50, 50)]


def test_the_timeline_covers_a_ground_truth_that_is_longer() -> None:
    longer = replace(REPORT, truth=(Segment(0, 80, "a"),))
    assert [bar[:2] for bar in bars_of_lane(ParsedPage(render_html(longer)), "Recognized")] == [
        (0, 12.5),
        (25, 50),
    ]


def test_the_curve_goes_through_the_confidence_of_each_window() -> None:
    page = ParsedPage(render_html(REPORT))
    lines = [line["points"].split() for line in page.find_all("polyline")]
    assert len(lines) == 3
    first, last = ([tuple(map(float, p.split(","))) for p in line] for line in lines[::2])
    assert first[0][0] == 0 and last[-1] == (1000, 0)  # certain at the end: at the top
    assert first[1] == (25, 100)  # 1 s of 40, where the confidence is 0
    assert first[3] == pytest.approx((125, 100 * (1 - REPORT.confidence[2])), abs=0.1)


def test_segments_show_how_they_compare_with_the_ground_truth() -> None:
    text = render_html(REPORT)
    cards = [part.split("</article>")[0] for part in text.split("<article")[1:]]
    assert len(cards) == 3
    assert "matches the ground truth" in cards[0] and "correct for 80% of the segment" in cards[1]
    assert "differs from the ground truth" in cards[2] and "Blue milk" in cards[2]
    assert data_uri(REPORT.product_images["c"]) in cards[2]
    assert data_uri(REPORT.product_images["c"]) not in cards[0]
    assert "Green milk" in cards[0] and "7%" in cards[0] and "the red one" in cards[0]
    assert "90% average confidence" in cards[0] and "0:00 – 0:10" in cards[0]
    assert "40%" in text and "a frame is corrupt" in text


def test_without_a_ground_truth_the_page_does_not_mention_it() -> None:
    text = render_html(replace(REPORT, truth=(), accuracy=None))
    assert "truth" not in text.lower() and "of the time correct" not in text


def test_a_minimal_report() -> None:
    alone = SegmentDetails(Segment(0, 0, "unknown"))
    bare = replace(
        REPORT, details=(alone,), truth=(), accuracy=None, duration_s=0.0, product_images={}
    )
    page = ParsedPage(render_html(bare))
    assert not page.open_tags and "unknown" in page.text and "No frame available" in page.text


def test_a_name_that_is_not_valid_unicode() -> None:
    assert "a?b" in render_html(replace(REPORT, name="a\udcffb")).encode().decode()


@pytest.mark.parametrize("module", [formatting, truth_comparison])
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted
