"""`sgmn explain` as a user types it: what it prints, draws, films and refuses."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from PIL import Image

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.model import checkpoint
from sgmn.model.bundle import Model
from sgmn.model.scoring import LEARNT_TERMS
from sgmn.workflows import evaluation, opening
from tests.command import Run


def guided(model: Model) -> Model:
    """The model with guidance that has learnt something, if only at random."""
    parts = replace(model.network.config.parts, kept=("guidance",))
    network = model.network.with_parts(parts, LEARNT_TERMS)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for guidance in network.parts.guidance.values():
            guidance.gate.fill_(0.1)
            guidance.time_gain.fill_(5.0)
            guidance.prior.weight.normal_()
    return Model(network, model.tokenizer, model.name)


@pytest.fixture
def indexed(run: Run, world: Path, tiny: Callable[[], Model], tmp_path: Path) -> Path:
    return index_of(run, world, guided(tiny()), tmp_path)


def index_of(run: Run, world: Path, model: Model, tmp_path: Path) -> Path:
    checkpoint.save(model, tmp_path / "model")
    ended = run("index", world, "-o", tmp_path / "index", "-m", tmp_path / "model")
    assert ended.status == 0, ended.err
    return tmp_path / "index"


@pytest.fixture
def video(stream: Path) -> Path:
    return stream / "streams" / "s.mp4"


def test_a_span_of_a_video_is_drawn(
    run: Run, video: Path, stream: Path, indexed: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "new" / "out.png", stream / "said.json"
    asked = ("explain", video, "-i", indexed, "--start", 2, "--end", 8)
    ended = run(*asked, "-o", out, "-t", said)
    assert ended.status == 0, ended.err
    for shown in ("product", "score", "picture", "words", "│ 1 │", "│ 2 │", "│ 3 │"):
        assert shown in ended.out
    with Image.open(out) as image:
        assert image.size[0] == 1440 and 600 < image.size[1] < 2000
    silent = tmp_path / "silent.png"
    again = run(*asked, "-o", silent)
    assert again.status == 0 and again.out != ended.out  # what is said weighs
    assert silent.read_bytes() != out.read_bytes()


def test_a_film_lasts_as_long_as_its_clip(
    run: Run, video: Path, indexed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    ended = run("explain", video, "-i", indexed, "-o", out, "--start", 17, "--end", 22.5)
    assert ended.status == 0, ended.err
    with av.open(out) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].duration * film.streams.video[0].time_base == pytest.approx(
            5.5, abs=0.21
        )
    assert frames[0].shape == (720, 1280, 3)


@pytest.mark.parametrize("kind", ["frames", "video"])
def test_it_explains_what_is_evaluated(
    kind: str, run: Run, world: Path, video: Path, indexed: Path, tmp_path: Path
) -> None:
    """The same frames, words and shelf: the same score, to the digits that are shown."""
    shown = {"frames": [str(world / f"p1-{n}.png") for n in range(4)], "video": str(video)}
    said = [{"start": 0, "end": 2, "text": "this is the milk today"}]
    row = {"clip_id": "c", kind: shown[kind], "transcript": said, "product_ids": ["p1"]}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n")
    out = tmp_path / "out.png"
    ended = run("explain", "c", "--dataset", tmp_path, "-i", indexed, "-o", out)
    assert ended.status == 0 and out.is_file(), ended.err
    used = opening.embedder(str(tmp_path / "model"))
    (ranked,) = evaluation.ranked(dataset.read(tmp_path).clips, Index.open(indexed), used)
    first = next(line for line in ended.out.splitlines() if line.startswith("│ 1 │"))
    assert ranked.best[0] in first and f"{ranked.scores[0]:+.3f}" in first
    assert f"the true product p1 comes {ranked.rank}. of 6" in ended.out


def test_a_datasets_clip_knows_its_shop(
    run: Run, world: Path, tiny: Callable[[], Model], tmp_path: Path
) -> None:
    checkpoint.save(tiny(), tmp_path / "model")
    index, out = tmp_path / "index", tmp_path / "out.png"
    for shop in ("a", "b"):
        made = run("index", world, "-o", index, "-m", tmp_path / "model", "--shop", shop)
        assert made.status == 0, made.err
    row = {"clip_id": "c", "frames": [str(world / "p1-0.png")], "shop_id": "b"}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n")
    asked = ("explain", "c", "--dataset", tmp_path, "-i", index, "-o", out)
    ended = run(*asked)
    assert ended.status == 0, ended.err
    assert run(*asked, "--shop", "c").status == 2


def test_a_model_without_parts_is_explained_too(
    run: Run, world: Path, video: Path, tiny: Callable[[], Model], tmp_path: Path
) -> None:
    indexed = index_of(run, world, tiny(), tmp_path)
    for out in (tmp_path / "out.png", tmp_path / "out.mp4"):
        ended = run("explain", video, "-i", indexed, "-o", out, "--end", 3)
        assert ended.status == 0 and out.stat().st_size > 1000, ended.err


def test_a_lone_product_has_no_runner_up(
    run: Run, video: Path, indexed: Path, tmp_path: Path
) -> None:
    assert run("index", "-o", indexed, "--remove", "p0,p1,p2,p3,p4").status == 0
    ended = run("explain", video, "-i", indexed, "-o", tmp_path / "out.png", "--end", 3)
    assert ended.status == 0 and "│ 1 │" in ended.out and "│ 2 │" not in ended.out, ended.err


def test_a_picture_that_is_gone_is_told_and_replaced_by_the_indexs_own(
    run: Run, world: Path, video: Path, tiny: Callable[[], Model], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(world, shop)
    indexed = index_of(run, shop, guided(tiny()), tmp_path)
    asked = ("explain", video, "-i", indexed, "--end", 3, "-o")
    assert run(*asked, tmp_path / "before.png").status == 0
    for path in shop.glob("p?.png"):
        path.unlink()
    ended = run(*asked, tmp_path / "after.png")
    assert ended.status == 0 and ended.err.count("the index's small picture is shown") == 3
    sizes = [Image.open(tmp_path / name).size for name in ("before.png", "after.png")]
    assert sizes[0] == sizes[1]


def refusals(video: Path, world: Path, indexed: Path, tmp: Path) -> dict[str, tuple[Any, ...]]:
    (tmp / "bad.mp4").write_bytes(b"\0" * 100)
    (tmp / "bad.srt").write_bytes(b"\xff\xfe\xff")
    good = ("-i", indexed, "-o", tmp / "out.png")
    return {
        "no such video": (tmp / "none.mp4", *good),
        "a corrupt video": (tmp / "bad.mp4", *good),
        "a corrupt transcript": (video, *good, "-t", tmp / "bad.srt"),
        "a span beyond the video": (video, *good, "--start", 900),
        "a span backwards": (video, *good, "--start", 9, "--end", 3),
        "a time before the video": (video, *good, "--start", -3),
        "no index": (video, "-i", tmp / "none", "-o", tmp / "out.png", "-m", tmp / "model"),
        "no such shop": (video, *good, "--shop", "nobody"),
        "an unknown suffix": (video, "-i", indexed, "-o", tmp / "out.gif"),
        "no suffix": (video, "-i", indexed, "-o", tmp / "out"),
        "a folder as output": (video, "-i", indexed, "-o", tmp / "folder.png"),
        "a file in the way": (video, "-i", indexed, "-o", tmp / "bad.mp4" / "out.png"),
        "no such clip": ("nobody", *good, "--dataset", world),
        "no such dataset": ("c0", *good, "--dataset", tmp / "none"),
        "a span of a dataset's clip": ("c0", *good, "--dataset", world, "--start", 1),
        "another model": (video, *good, "-m", "small"),
    }


@pytest.mark.parametrize("name", list(refusals(Path(), Path(), Path(), Path(tempfile.mkdtemp()))))
def test_bad_input_is_one_line_and_status_2(
    name: str, run: Run, world: Path, indexed: Path, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.png").mkdir()
    ended = run("explain", *refusals(video, world, indexed, tmp_path)[name])
    assert ended.status == 2
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), ended.err
    assert "; " in lines[0], "says no remedy"
    assert not (tmp_path / "out.png").exists()


def test_an_empty_shelf_is_refused(run: Run, video: Path, indexed: Path, tmp_path: Path) -> None:
    assert run("index", "-o", indexed, "--remove", "p0,p1,p2,p3,p4,p5").status == 0
    ended = run("explain", video, "-i", indexed, "-o", tmp_path / "out.png")
    assert ended.status == 2 and len(ended.err.strip().splitlines()) == 1, ended.err
    assert "shop" in ended.err
