"""Boxes reach the right patches of the right frames, and pull guidance onto them if asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from sgmn.data import dataset
from sgmn.data.dataset import Dataset
from sgmn.errors import SettingsError
from sgmn.model.bundle import Model
from sgmn.model.inputs import Canvas, fit, nearest_canvas
from sgmn.model.network import SGMN
from sgmn.records import Clip, Picture
from sgmn.training import config
from sgmn.training.config import DataConfig, LossConfig, TrainConfig
from sgmn.training.data import boxes
from sgmn.training.data.batches import Batch, Batches
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.example_loader import Contents
from sgmn.training.data.examples import Examples
from sgmn.training.trainer import Trainer

CANVASES = ((160, 120), (160, 160), (120, 240))  # of patches of 20 by 20 pixels
GRIDS = {canvas: (canvas[0] // 20, canvas[1] // 20) for canvas in CANVASES}
TRAIN = TrainConfig(
    steps=2, batch=6, lr=1e-2, workers=0, log_every=1, device="cpu", warmup=0.0, jitter=0.0
)
BOXES = LossConfig(text=0.0, triplet=0.0, pair=0.0, mining=False, box=10.0)
CORNERS = tuple(((x, y, x + 0.5, y + 0.5),) for y in (0.0, 0.5) for x in (0.0, 0.5))


def painted(shape: tuple[int, int], found: boxes.Boxes) -> Picture:
    """Black, and white inside the boxes."""
    height, width = shape
    picture = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom in found:
        rows = slice(round(top * height), round(bottom * height))
        picture[rows, round(left * width) : round(right * width)] = 255
    return picture


def lit(picture: Picture) -> torch.Tensor:
    """Which patches (N,) have a white middle, of a picture on its canvas among black padding."""
    canvas = fit(picture, nearest_canvas(picture, CANVASES), (0, 0, 0))
    return (canvas[0, 10::20, 10::20] > 127).flatten()


def placed(frames: list[list[Picture]], found: list[list[boxes.Boxes]]) -> torch.Tensor:
    return boxes.inside(frames, found, CANVASES, GRIDS)


@pytest.mark.parametrize("shape", [(320, 180), (200, 200), (240, 320), (150, 450)])
def test_patches_inside_boxes_are_those_that_the_tower_sees_there(shape: tuple[int, int]) -> None:
    """Against a picture of the boxes, scaled and padded as any other."""
    two = ((0.01, 0.02, 0.23, 0.97), (0.52, 0.48, 0.84, 0.77))
    for found in [((0.52, 0.23, 0.97, 0.57),), two, ((0.0, 0.0, 1.0, 1.0),), ()]:
        picture = painted(shape, found)
        assert torch.equal(placed([[picture]], [[found]])[0, 0], lit(picture))


def test_a_box_smaller_than_a_patch_is_in_the_patch_around_it(rng: np.random.Generator) -> None:
    square = painted((32, 32), ())
    for x, y in rng.uniform(0, 0.999, (200, 2)):
        middle = int(8 * (y + 5e-4)), int(8 * (x + 5e-4))
        inside = placed([[square]], [[((x, y, x + 1e-3, y + 1e-3),)]])[0, 0].reshape(8, 8)
        assert inside.nonzero().tolist() == [list(middle)]


def test_a_box_without_an_area_holds_nothing() -> None:
    square = painted((32, 32), ())
    assert not placed([[square]], [[((0.0, 0.0, 0.0, 0.0), (0.2, 0.3, 0.9, 0.3))]]).any()


def test_padding_is_inside_no_box() -> None:
    """A photo, a clip of two shapes, and one without a frame: as long and wide as the tokens."""
    whole, high, square = ((0.0, 0.0, 1.0, 1.0),), painted((160, 120), ()), painted((32, 32), ())
    inside = placed([[square], [high, square, high], []], [[], [whole, whole, ()], []])
    assert inside.shape == (3, 3, 64)
    assert not inside[0].any() and not inside[2].any()
    assert inside[1, 0, :48].all() and not inside[1, 0, 48:].any()
    assert inside[1, 1].all() and not inside[1, 2].any()
    assert placed([[]], [[]]).shape == (1, 1, 0)


def test_a_frame_takes_the_boxes_of_its_time(tmp_path: Path) -> None:
    rows = tuple(((0.0, 0.0, 1.0, (n + 1) / 10),) for n in range(10))
    cut = Clip("c", video=tmp_path / "v.mp4", start=2.0, end=7.0, boxes=rows)
    found = boxes.at_times(cut, (2.0, 2.2, 2.3, 3.0, 4.6, 6.99), rate_hz=1.0)
    assert [rows.index(one) for one in found] == [0, 0, 1, 2, 5, 9]
    disk = Clip("d", frames=(tmp_path / "f.png",) * 10, boxes=rows)
    assert boxes.at_times(disk, [n / 4.0 for n in range(10)], rate_hz=4.0) == rows
    half = replace(disk, boxes=rows[:5])
    assert boxes.at_times(half, (0.0, 4.0, 9.0), rate_hz=1.0) == (rows[0], rows[2], rows[4])
    assert boxes.at_times(replace(disk, boxes=()), (0.0, 1.0), 1.0) == ((), ())


def of_clips(data: Dataset, clips: tuple[Clip, ...]) -> Examples:
    return Examples([replace(data, clips=clips)])


def test_frames_keep_their_own_boxes_when_some_are_dropped(world: Path) -> None:
    data = dataset.read(world)
    clip = replace(data.clips[0], boxes=CORNERS)
    wear = replace(TRAIN, drop_frames=0.9)
    made = Contents(of_clips(data, (clip,)), DataConfig((world,), frames=3), wear, 32)
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in clip.frames]
    counts = set()
    for seed in range(40):
        content, found = made.boxed(clip, 0.0, np.random.default_rng(seed))
        places = [next(n for n, p in enumerate(pictures) if np.array_equal(p, frame))
                  for frame in content.frames]  # fmt: skip
        assert found == tuple(CORNERS[place] for place in places)
        counts.add(len(places))
    assert counts == {1, 2, 3}


def filmed(path: Path) -> tuple[boxes.Boxes, ...]:
    """Five seconds of a white square that goes down a dark picture; its boxes twice a second."""
    tops = [n / 60 for n in range(31)]  # of a height of 0.4
    with av.open(path, "w") as video:
        track = video.add_stream("libx264", rate=6)
        track.width, track.height, track.pix_fmt = 36, 60, "yuv420p"
        for top in tops[:30]:
            picture = painted((60, 36), ((0.25, top, 0.75, top + 0.4),))
            video.mux(track.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        video.mux(track.encode())
    return tuple(((0.25, tops[3 * n], 0.75, tops[3 * n] + 0.4),) for n in range(10))


def test_boxes_follow_what_moves_through_a_video(world: Path, tmp_path: Path) -> None:
    """From any start on, the patches inside are the bright ones of the frame that was drawn."""
    data, every = dataset.read(world), filmed(tmp_path / "v.mp4")
    for start in (0.0, 2.0):
        rows = every[round(2 * start) :]
        clip = replace(
            data.clips[0], frames=(), video=tmp_path / "v.mp4", start=start, end=5.0, boxes=rows
        )
        sampling = DataConfig((world,), frames=3, rate_hz=2.0)
        made = Contents(of_clips(data, (clip,)), sampling, replace(TRAIN, drop_frames=0.0), 60)
        content, found = made.boxed(clip, 0.0, np.random.default_rng(1))
        assert len(set(found)) == 3
        inside = placed([list(content.frames)], [list(found)])[0]
        for frame, seen in zip(content.frames, inside, strict=True):
            bright = lit(frame)
            assert (bright & seen).sum() >= 0.8 * (bright | seen).sum() > 0


def guided(model: Model) -> Model:
    parts = replace(model.network.config.parts, kept=("guidance",))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = model.network.with_parts(parts, ("text",))
    return Model(network, model.tokenizer, model.name)


@pytest.fixture
def run(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> Callable[..., Trainer]:
    """A run on three clips and the world's photos; each frame is white in another corner."""
    data = dataset.read(world)
    frames = tuple(tmp_path / f"{place}.png" for place in range(4))
    for path, corner in zip(frames, CORNERS, strict=True):
        Image.fromarray(painted((32, 32), corner)).save(path)

    def make(
        loss: LossConfig, found: tuple[boxes.Boxes, ...] = CORNERS, name: str = "run"
    ) -> Trainer:
        clips = tuple(replace(clip, frames=frames, boxes=found) for clip in data.clips)
        examples = Examples([replace(data, clips=clips)], clip_times=8)
        model = guided(tiny())
        model.network.towers.requires_grad_(False)
        batches = Batches(examples, model.preparation, DataConfig((world,), frames=4), TRAIN)
        return Trainer(model, batches, TRAIN, tmp_path / name, loss)

    return make


@torch.no_grad()
def share_inside(network: SGMN, batch: Batch) -> torch.Tensor:
    """How much of α lies inside the boxes, for each frame that has one, as training sees it."""
    assert batch.inside is not None
    torch.manual_seed(0)
    found = network.train().parts.look(network.tokens(batch.clips), "clips")
    return (found.patch_weights * batch.inside).sum(-1)[batch.inside.any(-1)]


def test_some_steps_move_attention_onto_the_boxes(run: Callable[..., Trainer]) -> None:
    trainer = run(BOXES)
    batch = trainer.batches[0]
    before = share_inside(trainer.network, batch)
    for _ in range(3):
        trainer._learn([batch])
    after = share_inside(trainer.network, batch)
    assert after.mean() > before.mean() + 0.1
    without = run(replace(BOXES, box=0.0), name="without")
    without._learn([replace(batch, inside=None)])
    assert share_inside(without.network, batch).mean() < after.mean() - 0.05


def test_the_report_names_the_loss(run: Callable[..., Trainer], tmp_path: Path) -> None:
    run(BOXES).run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(line["parts"]["box"] > 0 for line in lines)


def test_a_batch_tells_what_is_inside_and_else_stays_as_it_was(
    run: Callable[..., Trainer],
) -> None:
    """Photos have no boxes; the pictures are those of a batch without any."""
    batches = run(BOXES).batches
    batch, places = batches[0], batches.places(0, _in_order)
    batch = batches[(0, places, ())]
    items = [batches.examples.items[place] for place in places]
    assert batch.inside is not None
    boxed = batch.inside.any(-1).any(-1).tolist()
    assert boxed == [isinstance(item, Clip) for item in items]
    batches.grids = None
    plain = batches[(0, places, ())]
    assert plain.inside is None
    for (rows, pixels), (other, others) in zip(
        batch.clips.pictures.groups, plain.clips.pictures.groups, strict=True
    ):
        assert torch.equal(rows, other) and torch.equal(pixels, others)


def _in_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Clips and photos in turn: the first 24 items are clips."""
    return np.argsort(np.arange(count) % 24, kind="stable")


def test_the_mask_has_the_shape_of_the_tokens(run: Callable[..., Trainer]) -> None:
    trainer = run(BOXES)
    tokens = trainer.network.tokens(trainer.batches[0].clips)
    inside = trainer.batches[0].inside
    assert inside is not None and inside.shape == tokens.patch_mask.shape
    assert not (inside & ~(tokens.patch_mask & tokens.present.unsqueeze(-1))).any()


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    trainer.run()
    return trainer.network.state_dict()


def test_without_weight_boxes_change_nothing(
    run: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the weights learnt nor what is computed: no canvas is looked at, no box placed."""

    def refused(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(SGMN, "grid", refused)
    monkeypatch.setattr(boxes, "at_times", refused)
    monkeypatch.setattr(boxes, "inside", refused)
    off = replace(BOXES, box=0.0)
    with_boxes, bare = weights(run(off, CORNERS, "boxed")), weights(run(off, (), "bare"))
    assert all(torch.equal(value, bare[name]) for name, value in with_boxes.items())


def test_canvases_are_looked_at_as_in_evaluation(
    run: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Norms that keep running means, as some towers have, must not learn from an empty canvas."""
    modes, grid = [], SGMN.grid

    def noted(network: SGMN, canvas: Canvas) -> tuple[int, int]:
        modes.append(network.training)
        return grid(network, canvas)

    monkeypatch.setattr(SGMN, "grid", noted)
    trainer = run(BOXES)
    assert set(trainer.batches.grids or {}) == set(trainer.network.config.canvases)
    assert modes == [False] * len(trainer.network.config.canvases)


def test_a_model_without_guidance_learns_as_without_boxes(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    data = dataset.read(world)
    clips = tuple(replace(clip, boxes=CORNERS) for clip in data.clips)
    model = tiny()
    sampling = DataConfig((world,), frames=2)
    batches = Batches(of_clips(data, clips), model.preparation, sampling, TRAIN)
    trainer = Trainer(model, batches, TRAIN, tmp_path, BOXES)
    assert trainer.batches.grids is None
    assert set(trainer._learn([batches[0]])[0].parts) == {"score"}


def test_cached_tokens_and_boxes_are_refused(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.toml"
    text = f'[model]\nfreeze = "towers"\n[data]\nfolders = ["{world}"]\n[loss]\nbox = 0.1\n'
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"run\.toml \[loss\].*'box' is 0\.1.*set box = 0"):
        config.read(path)
    path.write_text(text.replace("towers", "text"))
    assert config.read(path).loss.box == 0.1
    model, examples = guided(tiny()), Examples([dataset.read(world)])
    batches = CachedBatches(examples, model, DataConfig((world,)), TRAIN, tmp_path / "tokens")
    with pytest.raises(SettingsError, match="a cache of tokens holds no boxes"):
        Trainer(model, batches, TRAIN, tmp_path / "run", BOXES)


def test_weights_below_zero_are_refused() -> None:
    with pytest.raises(SettingsError, match="'box' is -1"):
        LossConfig(box=-1)
