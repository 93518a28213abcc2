"""Invalid input of the commands: one line on standard error, status 2, a remedy."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.command import RunCommand


def error_cases(world: Path, model: Path, index: Path, tmp: Path) -> dict[str, tuple[Any, ...]]:
    _write_inputs(world, model, tmp)
    ablate = ("ablate", tmp / "valid.toml", "-o", tmp / "a", "--evaluate-on")
    video = tmp / "video.mp4"
    return {
        "no such video": ("watch", tmp / "none.mp4", "-i", index),
        "a corrupt video": ("watch", tmp / "bad.mp4", "-i", index),
        "a corrupt transcript": ("watch", video, "-i", index, "-t", tmp / "bad.srt"),
        "no index": ("watch", video, "-i", tmp / "none", "-m", model),
        "another model": ("watch", video, "-i", index, "-m", "small"),
        "no such shop": ("watch", video, "-i", index, "--shop", "nobody"),
        "no such modality": ("watch", video, "-i", index, "--modalities", "sound"),
        "no dataset": ("check", tmp / "none"),
        "no catalogue": ("index", tmp / "none", "-o", tmp / "i", "-m", model),
        "neither catalogue nor removal": ("index", "-o", tmp / "i", "-m", model),
        "no model": ("index", world, "-o", tmp / "i", "-m", tmp / "none"),
        "no report": ("compare", tmp / "none.json", tmp / "none.json"),
        "an unknown key": ("train", tmp / "bad.toml", "-o", tmp / "run"),
        "a folder as output": ("watch", video, "-i", index, "-o", tmp),
        "a report below a file": (
            "watch",
            video,
            "-i",
            index,
            "--html",
            tmp / "bad.mp4" / "r.html",
        ),
        "a timeline below a file": ("watch", video, "-i", index, "-o", tmp / "bad.mp4" / "t.json"),
        "a run below a file": ("train", tmp / "valid.toml", "-o", tmp / "bad.mp4" / "run"),
        "no such device": ("train", tmp / "device.toml", "-o", tmp / "run"),
        "clips without a catalogue": (*ablate, tmp / "bare"),
        "no such row": (*ablate, world, "--row", "+ magic"),
        "no attention to draw": (
            *(*ablate, world, "--baselines", "--row", "SGMN as published"),
            *("--sheet", tmp / "sheet.html"),
        ),
        "nothing to evaluate": ("evaluate", tmp / "empty", "-i", index),
        "nothing to index": ("index", tmp / "empty", "-o", tmp / "i", "-m", model),
        "a very long path": ("check", "x" * 300),
        "invalid ratios": ("synth", tmp / "world", "--split-ratios", "half"),
        "no such split": ("synth", tmp / "world", "--only-split", "vla"),
        "no such world": ("synth", tmp / "world", "--config", "atlantis"),
        "no shops": ("synth", tmp / "world", "--shops", 0),
    }


def _write_inputs(world: Path, model: Path, tmp: Path) -> None:
    (tmp / "bad.mp4").write_bytes(b"\0" * 100)
    (tmp / "bad.srt").write_bytes(b"\xff\xfe\xff")
    (tmp / "bad.toml").write_text("[train]\nstep = 3\n")
    valid = f'[model]\nsource = "{model}"\n[data]\nfolders = ["{world}"]\n[train]\nsteps = 1\n'
    (tmp / "valid.toml").write_text(valid + "workers = 0\n")
    (tmp / "device.toml").write_text(valid + 'device = "foo"\n')
    (tmp / "empty").mkdir(exist_ok=True)
    (tmp / "empty" / "products.jsonl").write_text("")
    (tmp / "bare").mkdir(exist_ok=True)
    clip = {"clip_id": "c", "video": str(tmp / "bad.mp4"), "product_ids": ["p"]}
    (tmp / "bare" / "clips.jsonl").write_text(json.dumps(clip) + "\n")


@pytest.mark.parametrize("name", list(error_cases(*[Path(tempfile.mkdtemp())] * 4)))
def test_invalid_input_is_one_line_and_status_2(
    name: str,
    run: RunCommand,
    world: Path,
    model_folder: Path,
    shared_index: Path,
    video: Path,
    tmp_path: Path,
) -> None:
    shutil.copy(video, tmp_path / "video.mp4")
    result = run(*error_cases(world, model_folder, shared_index, tmp_path)[name])
    assert result.status == 2
    lines = result.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), result.err
    assert "; " in lines[0], "the message names no remedy"
