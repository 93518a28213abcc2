"""The page on which methods are compared, and the clips that it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgmn.records import Clip, Product
from sgmn.report.comparison_sheet import SheetClip, write_sheet
from sgmn.workflows.comparison import CLIPS, select_clips


def test_the_page_shows_answers_and_marks_true_products(tmp_path: Path) -> None:
    products = [Product("a", title="<Red> mug"), Product("b", title="Blue mug")]
    image = np.full((40, 20, 3), 99, np.uint8)
    frames = [(image, np.full((4, 2), 0.125)), (image, None)]
    clip = SheetClip("c1", 'the "red" one', frames, frozenset("a"), {"ours & theirs": products})
    write_sheet(tmp_path / "sheet.html", "Mugs", [clip], {("", "b"): image}, "ours & theirs")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "<td>&lt;Red&gt; mug ✓</td>" in page and 'alt="Blue mug"' in page
    assert "ours &amp; theirs" in page and "the &quot;red&quot; one" in page
    assert '<img class="true"' not in page and "http" not in page
    assert "where <b>ours &amp; theirs</b> looks" in page
    write_sheet(tmp_path / "empty.html", "Mugs", [], {}, "ours")
    assert "right, or wrong, on the same clips" in (tmp_path / "empty.html").read_text()


def test_clips_on_which_methods_disagree_are_selected_from_the_whole_dataset() -> None:
    ids = [f"c{i}" for i in range(60)]
    clips = [Clip(i, video=Path("v.mp4"), product_ids=("p",)) for i in ids]
    right, wrong = dict.fromkeys(ids, ("p", "q")), dict.fromkeys(ids, ("q", "p"))
    assert not select_clips(clips, {"a": right, "b": right}) and not select_clips([], {"a": {}})
    chosen = select_clips(clips, {"a": right, "b": wrong})
    assert len(chosen) == CLIPS and chosen[-1].clip_id == "c55"
    wrong["c7"] = ("p", "q")
    assert "c7" not in [clip.clip_id for clip in select_clips(clips[5:9], {"a": right, "b": wrong})]
