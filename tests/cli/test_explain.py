"""`sgmn explain`: its table, image, video and errors."""

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
from sgmn.model.bundle import ModelBundle
from sgmn.model.guidance import Guidance
from sgmn.model.scoring import LEARNED_TERMS
from sgmn.workflows import evaluation
from tests.command import RunCommand


def with_random_guidance(model: ModelBundle) -> ModelBundle:
    """Return the model with guidance whose weights are random, so that maps are not uniform."""
    parts = replace(model.network.config.parts, enabled=("guidance",))
    network = model.network.with_parts(parts, LEARNED_TERMS)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for guidance in network.parts.guidance.values():
            assert isinstance(guidance, Guidance)
            guidance.gate.fill_(0.1)
            guidance.time_gain.fill_(5.0)
            guidance.prior.weight.normal_()
    return ModelBundle(network, model.tokenizer, model.name)


def index_with(run: RunCommand, dataset: Path, model: ModelBundle, folder: Path) -> Path:
    checkpoint.save(model, folder / "model")
    result = run("index", dataset, "-o", folder / "index", "-m", folder / "model")
    assert result.status == 0, result.err
    return folder / "index"


@pytest.fixture
def guided_index(
    run: RunCommand, world: Path, tiny: Callable[[], ModelBundle], tmp_path: Path
) -> Path:
    return index_with(run, world, with_random_guidance(tiny()), tmp_path)


def test_a_span_of_a_video_is_drawn(
    run: RunCommand, video: Path, transcript: Path, guided_index: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "out.png"
    arguments = ("explain", video, "-i", guided_index, "--start", 2, "--end", 8)
    result = run(*arguments, "-o", output, "-t", transcript)
    assert result.status == 0, result.err
    for text in ("product", "score", "image", "text", "│ 1 │", "│ 2 │", "│ 3 │"):
        assert text in result.out
    with Image.open(output) as image:
        assert image.size[0] == 1440 and 600 < image.size[1] < 2000
    silent = tmp_path / "silent.png"
    again = run(*arguments, "-o", silent)
    assert again.status == 0 and again.out != result.out  # the transcript changes the scores
    assert silent.read_bytes() != output.read_bytes()


def test_a_video_is_as_long_as_its_clip(
    run: RunCommand, video: Path, guided_index: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    result = run("explain", video, "-i", guided_index, "-o", output, "--start", 17, "--end", 22.5)
    assert result.status == 0, result.err
    with av.open(output) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        track = container.streams.video[0]
        assert track.duration is not None and track.time_base is not None
        assert float(track.duration * track.time_base) == pytest.approx(5.5, abs=0.21)
    assert frames[0].shape == (720, 1280, 3)


@pytest.mark.parametrize("kind", ["frames", "video"])
def test_the_explained_score_is_the_evaluated_score(
    kind: str, run: RunCommand, world: Path, video: Path, guided_index: Path, tmp_path: Path
) -> None:
    """The same frames, text and shelf give the same score, to the printed digits."""
    media = {"frames": [str(world / f"p1-{n}.png") for n in range(4)], "video": str(video)}
    utterances = [{"start": 0, "end": 2, "text": "this is the milk today"}]
    row = {"clip_id": "c", kind: media[kind], "transcript": utterances, "product_ids": ["p1"]}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n")
    output = tmp_path / "out.png"
    result = run("explain", "c", "--dataset", tmp_path, "-i", guided_index, "-o", output)
    assert result.status == 0 and output.is_file(), result.err
    index = Index.open(guided_index, str(tmp_path / "model"))
    clips = dataset.read_dataset(tmp_path).clips
    (ranked,) = evaluation.rank_clips(clips, index, index.embedder)
    first = next(line for line in result.out.splitlines() if line.startswith("│ 1 │"))
    assert ranked.best[0] in first and f"{ranked.scores[0]:+.3f}" in first
    assert f"The true product p1 has rank {ranked.rank} of 6." in result.out


def test_a_clip_of_a_dataset_has_a_shop(
    run: RunCommand, world: Path, tiny: Callable[[], ModelBundle], tmp_path: Path
) -> None:
    checkpoint.save(tiny(), tmp_path / "model")
    index, output = tmp_path / "index", tmp_path / "out.png"
    for shop in ("a", "b"):
        created = run("index", world, "-o", index, "-m", tmp_path / "model", "--shop", shop)
        assert created.status == 0, created.err
    row = {"clip_id": "c", "frames": [str(world / "p1-0.png")], "shop_id": "b"}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n")
    arguments = ("explain", "c", "--dataset", tmp_path, "-i", index, "-o", output)
    result = run(*arguments)
    assert result.status == 0, result.err
    assert run(*arguments, "--shop", "c").status == 2


def test_a_model_without_parts_is_explained_too(
    run: RunCommand, world: Path, video: Path, tiny: Callable[[], ModelBundle], tmp_path: Path
) -> None:
    index = index_with(run, world, tiny(), tmp_path)
    for output in (tmp_path / "out.png", tmp_path / "out.mp4"):
        result = run("explain", video, "-i", index, "-o", output, "--end", 3)
        assert result.status == 0 and output.stat().st_size > 1000, result.err


def test_a_single_product_has_no_runner_up(
    run: RunCommand, video: Path, guided_index: Path, tmp_path: Path
) -> None:
    assert run("index", "-o", guided_index, "--remove", "p0,p1,p2,p3,p4").status == 0
    result = run("explain", video, "-i", guided_index, "-o", tmp_path / "out.png", "--end", 3)
    assert result.status == 0 and "│ 1 │" in result.out and "│ 2 │" not in result.out, result.err


def test_a_missing_product_image_is_replaced_by_the_thumbnail_of_the_index(
    run: RunCommand, world: Path, video: Path, tiny: Callable[[], ModelBundle], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(world, shop)
    index = index_with(run, shop, with_random_guidance(tiny()), tmp_path)
    arguments = ("explain", video, "-i", index, "--end", 3, "-o")
    assert run(*arguments, tmp_path / "before.png").status == 0
    for path in shop.glob("p?.png"):
        path.unlink()
    result = run(*arguments, tmp_path / "after.png")
    assert result.status == 0
    assert result.err.count("showing the thumbnail of the index instead") == 3
    sizes = [Image.open(tmp_path / name).size for name in ("before.png", "after.png")]
    assert sizes[0] == sizes[1]


def error_cases(video: Path, world: Path, index: Path, tmp: Path) -> dict[str, tuple[Any, ...]]:
    (tmp / "bad.mp4").write_bytes(b"\0" * 100)
    (tmp / "bad.srt").write_bytes(b"\xff\xfe\xff")
    valid = ("-i", index, "-o", tmp / "out.png")
    return {
        "no such video": (tmp / "none.mp4", *valid),
        "a corrupt video": (tmp / "bad.mp4", *valid),
        "a corrupt transcript": (video, *valid, "-t", tmp / "bad.srt"),
        "a span beyond the video": (video, *valid, "--start", 900),
        "an end before the start": (video, *valid, "--start", 9, "--end", 3),
        "a negative start": (video, *valid, "--start", -3),
        "no index": (video, "-i", tmp / "none", "-o", tmp / "out.png", "-m", tmp / "model"),
        "no such shop": (video, *valid, "--shop", "nobody"),
        "an unknown suffix": (video, "-i", index, "-o", tmp / "out.gif"),
        "no suffix": (video, "-i", index, "-o", tmp / "out"),
        "a folder as output": (video, "-i", index, "-o", tmp / "folder.png"),
        "a file as folder": (video, "-i", index, "-o", tmp / "bad.mp4" / "out.png"),
        "no such clip": ("nobody", *valid, "--dataset", world),
        "no such dataset": ("c0", *valid, "--dataset", tmp / "none"),
        "a span of a dataset's clip": ("c0", *valid, "--dataset", world, "--start", 1),
        "another model": (video, *valid, "-m", "small"),
    }


@pytest.mark.parametrize("name", list(error_cases(*[Path(tempfile.mkdtemp())] * 4)))
def test_invalid_input_is_one_line_and_status_2(
    name: str, run: RunCommand, world: Path, guided_index: Path, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.png").mkdir()
    result = run("explain", *error_cases(video, world, guided_index, tmp_path)[name])
    assert result.status == 2
    lines = result.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), result.err
    assert "; " in lines[0], "the message names no remedy"
    assert not (tmp_path / "out.png").exists()


def test_an_empty_index_is_refused(
    run: RunCommand, video: Path, guided_index: Path, tmp_path: Path
) -> None:
    assert run("index", "-o", guided_index, "--remove", "p0,p1,p2,p3,p4,p5").status == 0
    result = run("explain", video, "-i", guided_index, "-o", tmp_path / "out.png")
    assert result.status == 2 and len(result.err.strip().splitlines()) == 1, result.err
    assert "shop" in result.err
