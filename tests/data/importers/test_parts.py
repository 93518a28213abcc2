"""Parts of an import: finished only if complete, and merged without repetitions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgmn.data.importers.parts import PartWriter, count_issues, merge_rows, read_counts


def test_a_part_with_an_error_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), PartWriter(tmp_path, "a") as part:
        part.add_clip({"clip_id": "1"})
        raise ZeroDivisionError
    assert read_counts(tmp_path, "a") is None
    with PartWriter(tmp_path, "a") as part:  # again, from its start
        part.counts["clips"] += 1
        part.add_clip({"clip_id": "2"})
    assert read_counts(tmp_path, "a") == {"clips": 1}
    assert merge_rows(tmp_path, ["a"], "clips", tmp_path / "clips.jsonl") == (1, 0)


def test_rows_of_one_key_are_written_once_and_those_without_a_key_always(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with PartWriter(tmp_path, name) as part:
            part.add_clip({"clip_id": "same", "part": name})
            part.add_issue("missing images", "row 1", "no image", key="image 1")
            part.add_issue("missing frames", "row 1", "no frame")
    output = tmp_path / "out" / "clips.jsonl"
    assert merge_rows(tmp_path, ["b", "a"], "clips", output) == (1, 1)
    assert json.loads(output.read_text()) == {"clip_id": "same", "part": "b"}
    assert merge_rows(tmp_path, ["a", "b"], "issues", output) == (3, 1)
    assert count_issues(output) == {"missing images": 1, "missing frames": 2}
