"""`sgmn export`: files that other programs can use with ONNX Runtime alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from sgmn.errors import CheckpointError
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.workflows.export import MAX_PICTURES, find_pictures
from tests.command import RunCommand
from tests.conftest import noise


@pytest.fixture
def stored(tiny: Callable[[], Any], tmp_path: Path) -> Path:
    """The folder of a tiny checkpoint."""
    checkpoint.save(tiny(), tmp_path / "model")
    return tmp_path / "model"


def make_pictures(folder: Path, rng: np.random.Generator, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(noise(rng, 40, 30)).save(folder / f"{number}.png")
    return folder


def normalize(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def test_another_program_encodes_images_and_texts(
    stored: Path, run: RunCommand, rng: np.random.Generator, tmp_path: Path
) -> None:
    """What docs/how-to/runtimes.md shows: NumPy, tokenizers and ONNX Runtime, without sgmn."""
    result = run("export", str(stored), str(tmp_path / "out"))
    assert result.status == 0 and "image tower (32x24, 32x32) and text tower" in result.out
    export = json.loads((tmp_path / "out" / "export.json").read_text())
    [file] = [c["file"] for c in export["canvases"] if (c["height"], c["width"]) == (32, 32)]
    images = [noise(rng, 32, 32) for _ in range(3)]
    pixels = (np.stack(images) / 255 - export["mean"]) / export["std"]
    session = onnxruntime.InferenceSession(tmp_path / "out" / file)
    [pooled] = session.run(["pooled"], {"pixels": pixels.transpose(0, 3, 1, 2).astype(np.float32)})
    embedder = Embedder(checkpoint.load(stored), "cpu")
    assert np.allclose(normalize(pooled), embedder.encode_images(images).pooled, atol=1e-4)

    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer" / "tokenizer.json"))
    texts = ["red milk", "green apple juice today"]
    tokenizer.enable_padding()
    tokenizer.enable_truncation(export["max_tokens"])
    tokens = tokenizer.encode_batch(texts)
    session = onnxruntime.InferenceSession(tmp_path / "out" / export["text"]["file"])
    ids = np.array([t.ids for t in tokens])
    mask = np.array([t.attention_mask for t in tokens], bool)
    [pooled] = session.run(["pooled"], {"ids": ids, "mask": mask})
    assert np.allclose(normalize(pooled), embedder.encode_texts(texts).pooled, atol=1e-4)


def test_int8_is_calibrated_on_pictures(
    stored: Path, run: RunCommand, rng: np.random.Generator, tmp_path: Path
) -> None:
    pictures = make_pictures(tmp_path / "pictures", rng, 12)
    out = tmp_path / "out"
    result = run("export", str(stored), str(out), "--int8", "--pictures", str(pictures))
    assert result.status == 0
    assert re.search(
        r"int8: calibrated on 9 pictures; on 3 others, median cosine to float32 (0\.9|1\.0)\d+, "
        r"least (0\.9|1\.0)\d+, same nearest picture 100\.0%\n",
        result.out,
    )
    model = checkpoint.load(stored)
    images = [noise(rng, 40, 30) for _ in range(2)]
    found = Embedder(model, "cpu", runtime=str(out)).encode_images(images).pooled
    assert torch.cosine_similarity(found, Embedder(model).encode_images(images).pooled).min() > 0.95


def test_an_export_of_another_model_is_refused(
    stored: Path, run: RunCommand, backbone: Callable[[str], Path], tmp_path: Path
) -> None:
    assert run("export", str(stored), str(tmp_path / "out")).status == 0
    other = checkpoint.load(backbone("clip"))
    with pytest.raises(CheckpointError, match=r"out: was exported from model .*, not from"):
        Embedder(other, "cpu", runtime=str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--int8",), "sgmn: --int8: needs --pictures; pass both, or neither"),
        (("--pictures", "."), "sgmn: --pictures: needs --int8; pass both, or neither"),
        (("--int8", "--pictures", "nowhere"), "nowhere: is not a folder"),
        (("--int8", "--pictures", "few"), "few: has 3 pictures, but int8 needs 10 or more"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: tuple[str, ...],
    error: str,
    stored: Path,
    run: RunCommand,
    rng: np.random.Generator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "few", rng, 3)
    result = run("export", str(stored), "out", *arguments)
    assert result.status == 2 and error in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_kept(stored: Path, run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    result = run("export", str(stored), str(tmp_path / "out"))
    assert result.status == 2 and "out: already exists; choose another folder" in result.err
    assert list((tmp_path / "out").iterdir()) == []


def test_many_pictures_are_chosen_evenly(tmp_path: Path) -> None:
    for number in range(2 * MAX_PICTURES + 100):
        (tmp_path / f"{number:04}.jpg").touch()
    chosen = [int(path.stem) for path in find_pictures(tmp_path)]
    assert len(chosen) == MAX_PICTURES == len(set(chosen))
    assert chosen[0] == 0 and chosen[-1] >= 2 * MAX_PICTURES + 95
