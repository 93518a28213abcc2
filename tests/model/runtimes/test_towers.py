"""Exported towers give the vectors of PyTorch, for any number of images and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.runtimes import engines, opening
from sgmn.model.runtimes.exporting import Export, export_towers
from sgmn.model.runtimes.towers import ExportedTowers, check_equal
from sgmn.model.tokens import ImageTokens
from sgmn.records import ClipContent
from tests.conftest import noise
from tests.model.part_cases import build_tiny_lite, enable_all_parts

ENGINES = ("openvino", "onnx")
TEXTS = ["red milk", "", "today we have green apple juice for you", "hello"]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of this test run; exports are shared by its tests."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="module")
def lite(backbone: Callable[[str], Path]) -> ModelBundle:
    return build_tiny_lite(backbone("bert"), fine_patches=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_vectors_equal_those_of_pytorch(
    engine: str, tiny: Callable[[], Any], rng: np.random.Generator
) -> None:
    model = tiny()
    plain, fast = Embedder(model, "cpu"), Embedder(model, "cpu", runtime=engine)
    images = [noise(rng, *size) for size in ((40, 30), (32, 32), (20, 90), (64, 48), (33, 31))]
    expected, found = plain.encode_images(images), fast.encode_images(images)
    assert cosine_similarity(expected.pooled, found.pooled).min() > 0.9999
    assert torch.allclose(expected.patches, found.patches, atol=1e-4)
    assert torch.equal(expected.patch_positions, found.patch_positions)
    texts, found_texts = plain.encode_texts(TEXTS), fast.encode_texts(TEXTS)
    assert torch.allclose(texts.pooled, found_texts.pooled, atol=1e-5)
    assert torch.equal(texts.word_mask, found_texts.word_mask)
    assert torch.allclose(texts.words, found_texts.words, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_towers_of_the_built_in_family_do_not_depend_on_the_batch(
    engine: str, lite: ModelBundle, rng: np.random.Generator
) -> None:
    embedder = Embedder(lite, "cpu", runtime=engine)
    images = [noise(rng, 50, 30) for _ in range(7)]
    together = embedder.encode_images(images).pooled
    alone = torch.cat([embedder.encode_images([image]).pooled for image in images])
    expected = Embedder(lite, "cpu").encode_images(images).pooled
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together, expected, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_fine_patches_equal_those_of_pytorch(
    engine: str, lite: ModelBundle, rng: np.random.Generator
) -> None:
    model = enable_all_parts(lite)
    images = [noise(rng, 50, 30), noise(rng, 30, 30)]
    expected = Embedder(model, "cpu").encode_images(images).fine_patches
    found = Embedder(model, "cpu", runtime=engine).encode_images(images).fine_patches
    assert expected.shape == (2, 24, 56) and (expected[1, 16:] == 0).all()
    assert torch.allclose(found, expected, atol=1e-4)
    export = Export.read(opening.find_cached_export(model))
    assert export.image_outputs == ("pooled", "patches", "fine_patches")


@pytest.mark.parametrize("engine", ENGINES)
def test_fine_patches_of_a_closer_canvas_equal_those_of_pytorch(
    engine: str, lite: ModelBundle, rng: np.random.Generator
) -> None:
    model = enable_all_parts(lite)
    model.network.config = replace(model.network.config, fine_canvas=(112, 112))
    images, vectors = [noise(rng, 50, 30), noise(rng, 30, 30)], list[ImageTokens]()
    for runtime in ("torch", engine):
        embedder = Embedder(model, "cpu", runtime=runtime)
        vectors.append(embedder.encode_images(images, compares_patches=True))
        assert embedder.encode_images(images).fine_patches.shape[1] == 0
    expected, found = (tokens.fine_patches for tokens in vectors)
    assert expected.shape == (2, 49, 56)
    assert torch.allclose(found, expected, atol=1e-4)
    folder = opening.find_cached_export(model)
    assert Export.read(folder).fine_canvas == (112, 112) and (folder / "fine.onnx").is_file()


def test_wrong_fine_patches_are_noticed(lite: ModelBundle, tmp_path: Path) -> None:
    model = enable_all_parts(lite)
    model.network.config = replace(model.network.config, fine_canvas=(112, 112))
    export_towers(model, tmp_path / "export")
    towers = ExportedTowers(tmp_path / "export", engines.file_opener("onnx", 1))
    check_equal(towers, model.network.towers)
    towers.encode_fine = lambda pixels: model.network.towers.encode_fine(pixels.flip(-1))  # type: ignore[method-assign]
    with pytest.raises(CheckpointError, match=r"fine\.onnx: the exported tower has a cosine"):
        check_equal(towers, model.network.towers)


def test_an_export_from_before_fine_canvases_is_read(lite: ModelBundle, tmp_path: Path) -> None:
    export_towers(lite, tmp_path / "export")
    path = tmp_path / "export" / "export.json"
    content = json.loads(path.read_text())
    assert content.pop("fine_canvas") is None
    path.write_text(json.dumps(content))
    assert Export.read(tmp_path / "export").fine_canvas is None


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_pretrained_pairs_can_be_exported(
    family: str, backbone: Callable[[str], Path], tmp_path: Path
) -> None:
    model = checkpoint.load(backbone(family))
    export_towers(model, tmp_path / "export")
    towers = ExportedTowers(tmp_path / "export", engines.file_opener("onnx", 1))
    check_equal(towers, model.network.towers)


def test_clips_are_scored_alike(tiny: Callable[[], Any], rng: np.random.Generator) -> None:
    clip = ClipContent((noise(rng), noise(rng)), "red milk")
    expected = Embedder(tiny(), "cpu").encode_clips([clip])
    found = Embedder(tiny(), "cpu", runtime="openvino").encode_clips([clip])
    assert torch.allclose(expected.image, found.image, atol=1e-4)
    assert torch.allclose(expected.text, found.text, atol=1e-4)


def test_the_export_of_a_model_is_kept(lite: ModelBundle) -> None:
    first = opening.open_exported(lite, "openvino")
    folder = opening.find_cached_export(lite)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(path.name for path in times if path.suffix != ".checked") == [
        "export.json",
        "image-64x64.onnx",
        "image-96x64.onnx",
        "text.onnx",
    ]
    second = opening.open_exported(lite, "openvino")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    assert first.export == second.export == Export.read(folder)
    assert lite.fingerprint() == first.export.fingerprint and lite.fingerprint() in folder.name


def test_an_export_that_differs_is_refused(
    lite: ModelBundle, backbone: Callable[[str], Path]
) -> None:
    towers = opening.open_exported(lite, "onnx")
    other = build_tiny_lite(backbone("bert"), 6)
    with pytest.raises(CheckpointError, match=r"image-96x64\.onnx: .* cosine of"):
        check_equal(towers, other.network.towers)


def test_a_canvas_that_was_not_exported_is_named(lite: ModelBundle) -> None:
    towers = opening.open_exported(lite, "onnx")
    with pytest.raises(CheckpointError, match=r"has no canvas \(32, 32\)"):
        towers.encode_image(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other", "format_version": 1}'])
def test_a_damaged_export_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"export\.json: .*`sgmn export`"):
        Export.read(tmp_path)


def test_an_unknown_runtime_is_refused(tiny: Callable[[], Any]) -> None:
    with pytest.raises(SettingsError, match="'runtime' is 'tensorrt'; choose from 'torch'"):
        Embedder(tiny(), runtime="tensorrt")


def test_a_missing_package_is_named(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.PACKAGES, "openvino", ("a_missing_package", "onnx"))
    with pytest.raises(SettingsError, match=r"needs a_missing_package, which .*sgmn\[openvino\]"):
        Embedder(tiny(), runtime="openvino")
