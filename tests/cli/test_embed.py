"""`sgmn embed`: a row for each clip, with the vectors that a ranking compares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest

from sgmn.data.dataset import read_dataset
from sgmn.errors import SgmnError
from sgmn.media.content_loader import load_clip_content
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.workflows.clip_embeddings import EmbeddingJob
from tests.command import RunCommand


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a table, in their order."""
    rows: list[dict[str, Any]] = lancedb.connect(folder).open_table("clips").to_arrow().to_pylist()
    return rows


@pytest.fixture
def dataset(world: Path, tmp_path: Path) -> Path:
    """A dataset with a clip without transcript, and a last one that cannot be read."""
    folder = tmp_path / "dataset"
    shutil.copytree(world, folder)
    clips = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    clips[1].pop("transcript")
    clips.append({"clip_id": "broken", "frames": ["broken.png"], "product_ids": ["p0"]})
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "clips.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    return folder


def test_each_clip_that_can_be_read_gets_its_vectors(
    run: RunCommand, dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    result = run("embed", dataset, "-o", tmp_path / "table", "-m", model_folder)
    clips = read_dataset(dataset).clips
    assert result.status == 2 and "broken.png" in result.err
    assert f"clips: 1 of {len(clips)} cannot be read" in result.err
    rows = read_rows(tmp_path / "table")
    assert [row["clip_id"] for row in rows] == [clip.clip_id for clip in clips[:-1]]
    assert [row["product_ids"] for row in rows] == [[*clip.product_ids] for clip in clips[:-1]]
    embedder = Embedder(checkpoint.load(model_folder))
    contents = [load_clip_content(clip, max_side=embedder.max_side) for clip in clips[:-1]]
    vectors = embedder.encode_clips(contents)
    found = np.array([row["image"] for row in rows])
    np.testing.assert_allclose(found, vectors.image, atol=1e-5)
    assert [row["text"] is not None for row in rows] == vectors.has_text.tolist()
    assert rows[1]["text"] is None and rows[0]["text"] is not None


def test_the_next_run_adds_what_is_missing(
    run: RunCommand, dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    table, lines = tmp_path / "table", (dataset / "clips.jsonl").read_text().splitlines()[:-1]
    (dataset / "clips.jsonl").write_text("\n".join(lines[:2]) + "\n")
    assert run("embed", dataset, "-o", table, "-m", model_folder).status == 0
    first = read_rows(table)
    (dataset / "clips.jsonl").write_text("\n".join(lines) + "\n")
    result = run("embed", dataset, "-o", table, "-m", model_folder)
    assert result.status == 0 and f"2 of {len(lines)} clips are in the table already" in result.out
    rows = read_rows(table)
    assert rows[:2] == first and len(rows) == len(lines)


def test_a_table_keeps_the_vectors_of_one_model(
    run: RunCommand, dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    (dataset / "clips.jsonl").write_text((dataset / "clips.jsonl").read_text().split("\n")[0])
    assert run("embed", dataset, "-o", table, "-m", model_folder).status == 0
    result = run("embed", dataset, "-o", table, "-m", "small")
    assert result.status == 2 and "but the model in use is small" in result.err
    assert len(read_rows(table)) == 1


def test_what_has_no_clips_is_refused(run: RunCommand, dataset: Path, tmp_path: Path) -> None:
    result = run("embed", dataset, "-o", tmp_path / "table", "--split", "nowhere")
    assert result.status == 2 and "has no clips to embed" in result.err
    assert not (tmp_path / "table").exists()


def test_a_machine_with_another_model_is_refused(model_folder: Path) -> None:
    job = EmbeddingJob(str(model_folder), "of another model", "torch")
    with pytest.raises(SgmnError, match="is another model on the node"):
        job.open()
