"""The public API: what `import sgmn` offers, lazily, and that the README's example runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sgmn

FRAME = np.random.default_rng(0).integers(0, 255, (48, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def model() -> sgmn.Model:
    return sgmn.load("small", device="cpu")


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_every_public_name_resolves_and_has_a_docstring_with_an_example() -> None:
    for name in sgmn.__all__:
        assert ">>> " in getattr(sgmn, name).__doc__, name
        assert name in dir(sgmn)
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        _ = sgmn.Recogniser  # type: ignore[attr-defined]


def test_importing_sgmn_imports_neither_torch_nor_av_nor_lancedb() -> None:
    loaded = run_python("import sgmn, sys; print(*sys.modules)").split()
    assert "sgmn" in loaded
    assert {"torch", "av", "lancedb", "numpy", "transformers"}.isdisjoint(loaded)


def test_records_are_imported_without_torch() -> None:
    loaded = run_python("import sgmn, sys; sgmn.Product; print(*sys.modules)").split()
    assert "sgmn.records" in loaded and "torch" not in loaded


def test_package_is_typed() -> None:
    assert (Path(sgmn.__file__).parent / "py.typed").is_file()


def test_vectors_have_length_1_and_one_row_per_item(model: sgmn.Model) -> None:
    images = model.encode_image([FRAME, FRAME[::-1].copy()])
    assert images.shape == (2, model.dim) and images.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.encode_image(FRAME), images[0], atol=1e-5)
    texts = model.encode_text(["a red mug", "a blue mug"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.encode_text("a red mug"), texts[0], atol=1e-5)
    assert not model.encode_text("").any()


def test_clips_and_products_share_the_space_of_images(model: sgmn.Model) -> None:
    # A fresh model is mean pooling, so a clip of one frame is that frame.
    frame = model.encode_image(FRAME)
    np.testing.assert_allclose(model.encode_clip([FRAME, FRAME]), frame, atol=1e-5)
    np.testing.assert_allclose(model.encode_product([FRAME], "mug"), frame, atol=1e-5)


def test_a_missing_file_is_named(model: sgmn.Model, tmp_path: Path) -> None:
    with pytest.raises(sgmn.SgmnError, match=r"nowhere\.jpg"):
        model.encode_image(tmp_path / "nowhere.jpg")


def test_readme_example(
    world: Path,
    stream: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readme = Path(__file__).parents[1] / "README.md"
    if not readme.is_file():
        pytest.skip("README.md is not part of this distribution")
    code = readme.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    sgmn.Index.create(tmp_path / "shop.index", "small").add(world)
    subtitles = "1\n00:00:00,000 --> 00:00:02,000\nhello everyone\n"
    (tmp_path / "stream.srt").write_text(subtitles, encoding="utf-8")
    shutil.copyfile(stream / "streams" / "s.mp4", tmp_path / "stream.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(len(line.split()) >= 4 for line in lines)


@pytest.fixture(scope="module")
def builtin_index(world: Path, tmp_path_factory: pytest.TempPathFactory) -> sgmn.Index:
    """The built-in model has guidance, so what is said changes what is seen."""
    index = sgmn.Index.create(tmp_path_factory.mktemp("index") / "shop.index")
    index.add(world)
    return index


def test_what_is_said_guides_the_vector_of_a_clip(builtin_index: sgmn.Index) -> None:
    model = sgmn.Model(builtin_index.embedder)
    silent, spoken = model.encode_clip([FRAME]), model.encode_clip([FRAME], "a red mug")
    assert 1e-6 < np.abs(silent - spoken).max() < 1


def test_watch_uses_the_transcript_unless_text_is_left_out(
    builtin_index: sgmn.Index, stream: Path
) -> None:
    source, words = stream / "streams" / "s.mp4", stream / "transcript.json"
    silent = sgmn.watch(source, builtin_index).scores
    spoken = sgmn.watch(source, builtin_index, transcript=words).scores
    utterances = [
        sgmn.Utterance(1, 5, "hello this is the red milk"),
        sgmn.Utterance(21, 25, "today we have apple"),
    ]
    listed = sgmn.watch(source, builtin_index, utterances).scores
    image_only = sgmn.watch(source, builtin_index, words, modalities=("image",)).scores
    assert np.abs(spoken - silent).max() > 0.01
    np.testing.assert_allclose(listed, spoken)
    without = sgmn.watch(source, builtin_index, modalities=("image",)).scores
    np.testing.assert_array_equal(image_only, without)
