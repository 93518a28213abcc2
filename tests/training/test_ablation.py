"""Rows add and leave out one thing each; figures are over clips, paired."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgmn.data import dataset
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.model.parts import PARTS
from sgmn.model.scoring import LEARNT_TERMS
from sgmn.training import ablation
from sgmn.training.ablation import Ranks, chosen, lines, markdown, rows
from sgmn.training.ablation_setup import prepared
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.token_cache import file_hash


def test_each_row_differs_from_its_reference_in_one_thing() -> None:
    every = {row.name: row for row in rows()}
    assert not every["backbone alone"].parts and not every["backbone alone"].terms
    full = every["+ fusion"]
    assert set(full.parts) == set(PARTS) and set(full.terms) == set(LEARNT_TERMS) and full.mining
    for row in every.values():
        if row.reference:
            other = every[row.reference]
            changed = [
                set(row.parts) != set(other.parts),
                set(row.terms) != set(other.terms),
                row.mining != other.mining,
            ]
            both = row.name.endswith("instance matching")  # a part that makes, a term that counts
            assert sum(changed) == 1 + both, row.name
    left_out = [row for row in every.values() if row.name.startswith("−")]
    assert len(left_out) == 9 and all(row.reference == "+ fusion" for row in left_out)
    assert len({row.slug for row in every.values()}) == len(every)


def test_unknown_rows_are_refused() -> None:
    with pytest.raises(SettingsError, match="'hard mining' is no row"):
        chosen(["hard mining"])
    assert [row.name for row in chosen(["+ fusion"])] == ["+ fusion"]


def test_figures_are_means_over_seeds_and_tests_over_clips() -> None:
    clips = [f"c{n}" for n in range(20)]
    worse: Ranks = {"val": dict.fromkeys(clips, 2)}
    better: Ranks = {"val": dict.fromkeys(clips, 1)}
    missed: Ranks = {"val": dict.fromkeys(clips)}
    found = {"backbone alone": [worse, worse], "+ text score": [better, missed]}
    first, second = lines(found, rows()[:2])
    assert (first.recall, second.recall, second.gain) == (0, 50, 50)
    assert second.mrr == 0.5 and second.p < 0.001 and second.clips == 20 and second.seeds == 2
    text = markdown([first, second])
    assert "| + text score | 50.0 (50.0–50.0) | 0.500 | backbone alone | +50.0" in text


@pytest.fixture
def config(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> Path:
    checkpoint.save(tiny(), tmp_path / "tiny")
    path = tmp_path / "run.toml"
    path.write_text(
        f'[model]\nsource = "{tmp_path}/tiny"\nfreeze = "towers"\n'
        f'[data]\nfolders = ["{world}"]\nframes = 3\nvariants = 2\n'
        "[train]\nsteps = 3\nbatch = 6\n[loss]\nhard = 2\n"
    )
    return path


def test_rows_run_once_on_one_cache(config: Path, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = dataset.read(world)
    ready, damage = prepared(config, [("world", data)], out, dataset.read)
    assert not damage
    files = sorted((out / "tokens").rglob("*.safetensors"))
    wanted = [row for row in rows() if row.name in ("backbone alone", "+ fusion")]
    found = {row.name: [ready.run(row, 0, lambda p: None)] for row in wanted}
    assert sorted((out / "tokens").rglob("*.safetensors")) == files  # nothing encoded again
    labelled = [clip.clip_id for clip in data.clips if clip.product_ids]
    for (ranks,) in found.values():
        assert ranks is not None and list(ranks["world"]) == labelled
    marked = {"world": dict.fromkeys(labelled, 1)}
    path = out / "runs" / wanted[0].slug / "0" / "ranks.json"
    path.write_text(json.dumps(marked))
    assert ready.run(wanted[0], 0, lambda p: None) == marked  # read, not run again
    ablation.write(lines({"backbone alone": [marked]}, wanted), out)
    assert "backbone alone" in (out / "table.md").read_text()


def test_rows_learn_with_all_that_they_have(config: Path, tmp_path: Path) -> None:
    """Whatever the config lets learn by itself, which a row may not even have."""
    config.write_text(config.read_text().replace("[model]", '[model]\nlearn = ["reading"]'))
    ready, _ = prepared(config, [], tmp_path / "out", dataset.read)
    trainer = ready._trainer(chosen(["backbone alone"])[0], 0, tmp_path / "run")
    assert trainer.network.head.log_scale.requires_grad


def test_other_sayings_in_the_same_file_are_encoded_anew(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    told = tmp_path / "told.jsonl"
    names = []
    for saying in ("it is red", "it is red", "it is green"):
        told.write_text(json.dumps({"product_id": "p2", "told": [saying]}))
        file_hash.cache_clear()  # which remembers files for as long as a process runs
        data = DataConfig((world,), sayings=(told,))
        examples = Examples([dataset.read(world)])
        batches = CachedBatches(examples, tiny(), data, TrainConfig(), tmp_path / "tokens")
        names.append(batches._clip_name(examples.photos["", "p2"][0], 0))
    assert names[0] == names[1] != names[2]


def test_a_row_trains_the_parts_and_not_the_towers(config: Path, tmp_path: Path) -> None:
    ready, _ = prepared(config, [], tmp_path / "out", dataset.read)
    ready = replace(ready, config=replace(ready.config, loss=replace(ready.config.loss, pair=1.0)))
    full = chosen(["+ fusion"])[0]
    trainer = ready._trainer(full, 0, tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert trainer.run()
    changed = {n for n, v in trainer.network.state_dict().items() if not v.equal(before[n])}
    assert changed and not [name for name in changed if name.startswith("towers.")]
    assert {name.split(".")[1] for name in changed if name.startswith("parts.")} >= {
        "guidance",
        "graph",
        "fusion",
    }
