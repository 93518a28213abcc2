"""Rows are trained once, on one cache, with the towers frozen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.training.ablation.rows import all_rows, comparison_rows, select_rows
from sgmn.training.ablation.study import prepare_ablation
from sgmn.training.config import RunConfig
from sgmn.training.config_file import read_config
from sgmn.training.run_setup import build_starting_model


@pytest.fixture
def config(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> RunConfig:
    checkpoint.save(tiny(), tmp_path / "tiny")
    path = tmp_path / "run.toml"
    path.write_text(
        f'[model]\nsource = "{tmp_path}/tiny"\nfreeze = "towers"\n'
        f'[data]\nfolders = ["{world}"]\nframes_per_clip = 3\ncached_variants = 2\n'
        "[train]\nsteps = 3\nbatch_size = 6\n[loss]\nhard_negatives = 2\n"
    )
    return read_config(path)


def test_rows_run_once_on_one_cache(config: RunConfig, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = read_dataset(world)
    study, errors = prepare_ablation(config, [("world", data)], out, read_dataset)
    assert not errors
    files = sorted((out / "tokens").rglob("*.safetensors"))
    rows = [row for row in all_rows() if row.name in ("backbone alone", "+ fusion")]
    ranks = {row.name: study.run(row, 0, lambda step: None) for row in rows}
    assert sorted((out / "tokens").rglob("*.safetensors")) == files  # nothing is encoded again
    labeled = [clip.clip_id for clip in data.clips if clip.product_ids]
    for name, found in ranks.items():
        assert found is not None and list(found["world"]) == labeled
        slug = select_rows([name])[0].slug
        answers = json.loads((out / "runs" / slug / "0" / "answers.json").read_text())["world"]
        for clip in (c for c in data.clips if c.product_ids):
            is_first = answers[clip.clip_id][0] in clip.product_ids
            assert is_first == (found["world"][clip.clip_id] == 1)
    marked = {"world": dict.fromkeys(labeled, 1)}
    path = out / "runs" / rows[0].slug / "0" / "ranks.json"
    path.write_text(json.dumps(marked))
    assert study.run(rows[0], 0, lambda step: None) == marked  # read, not run again


def test_rows_are_evaluated_on_the_text_that_they_train_on(
    config: RunConfig, world: Path, tmp_path: Path
) -> None:
    data = read_dataset(world)
    branded = tuple(replace(p, attributes={"brand": "Oro"}) for p in data.products)
    data = replace(data, products=branded)
    config = replace(config, data=replace(config.data, product_text="title+attributes"))
    study, _ = prepare_ablation(config, [("world", data)], tmp_path / "out", lambda _: data)
    titles = [product.title for product in study.validations["world"].products]
    assert titles == [f"{product.title}, Oro" for product in branded]


def test_a_stopped_row_has_no_ranks(config: RunConfig, world: Path, tmp_path: Path) -> None:
    study, _ = prepare_ablation(config, [], tmp_path / "out", read_dataset)
    row = select_rows(["backbone alone"])[0]
    assert study.run(row, 0, lambda step: study.stop()) is None


def test_rows_train_all_their_parts_whatever_the_config_says(
    config: RunConfig, tmp_path: Path
) -> None:
    model = replace(config.model, trainable_parts=("text_context",))  # this row lacks it
    study, _ = prepare_ablation(replace(config, model=model), [], tmp_path / "out", read_dataset)
    trainer = study.build_trainer(select_rows(["backbone alone"])[0], 0, tmp_path / "run")
    assert trainer.network.head.log_logit_scale.requires_grad


def test_a_row_trains_the_parts_and_not_the_towers(config: RunConfig, tmp_path: Path) -> None:
    config = replace(config, loss=replace(config.loss, pair=1.0))
    study, _ = prepare_ablation(config, [], tmp_path / "out", read_dataset)
    trainer = study.build_trainer(select_rows(["+ fusion"])[0], 0, tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert trainer.run()
    changed = {n for n, v in trainer.network.state_dict().items() if not v.equal(before[n])}
    assert changed and not [name for name in changed if name.startswith("towers.")]
    parts = {name.split(".")[1] for name in changed if name.startswith("parts.")}
    assert parts >= {"guidance", "graph", "fusion"}


@pytest.mark.parametrize(
    "name",
    ["SGMN as published", "RICE-style instance contrast", "SEAM-style attention over frames"],
)
def test_published_methods_train_on_the_batches_of_the_other_rows(
    config: RunConfig, world: Path, tmp_path: Path, name: str
) -> None:
    out, data = tmp_path / "out", read_dataset(world)
    study, _ = prepare_ablation(config, [("world", data)], out, read_dataset)
    files = sorted((out / "tokens").rglob("*.safetensors"))
    row = select_rows([name])[0]
    trainer = study.build_trainer(row, 0, tmp_path / "run")
    alone = study.build_trainer(select_rows(["backbone alone"])[0], 0, tmp_path / "alone")
    assert list(trainer.remaining_batches()) == list(alone.remaining_batches())
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    assert trainer.run()
    changed = {n for n, v in trainer.network.state_dict().items() if not v.equal(before[n])}
    assert any(n.startswith("parts.") for n in changed)
    assert all(n.startswith(("parts.", "head.")) for n in changed)
    resumed = study.build_trainer(row, 0, tmp_path / "run")
    assert resumed.resume() and resumed.step == 3
    trained = trainer.network.state_dict()
    assert all(v.equal(trained[n]) for n, v in resumed.network.state_dict().items())
    ranks = study.run(row, 0, lambda step: None)
    assert ranks is not None and any(rank == 1 for rank in ranks["world"].values())
    assert sorted((out / "tokens").rglob("*.safetensors")) == files  # nothing is encoded again


def test_the_row_that_looks_twice_keeps_the_guidance_of_the_source(
    config: RunConfig, world: Path, tmp_path: Path
) -> None:
    rows, data = comparison_rows(), read_dataset(world)
    zero_shot, twice = rows[0], rows[-1]
    with pytest.raises(SettingsError, match="the source has no guidance"):
        prepare_ablation(config, [], tmp_path / "none", read_dataset, rows=rows)
    guided = replace(config.model, parts=("guidance", "graph"), trainable_parts=())
    model = build_starting_model(guided, 7)
    for parameter in model.network.parts.parameters():  # as if trained
        torch.nn.init.normal_(parameter, std=0.02)
    checkpoint.save(model, tmp_path / "guided")
    config = replace(config, model=replace(config.model, source=str(tmp_path / "guided")))
    study, _ = prepare_ablation(
        config, [("world", data)], tmp_path / "out", read_dataset, rows=rows
    )
    trainer = study.build_trainer(twice, 0, tmp_path / "run")
    trained = model.network.parts.state_dict()
    own = {n: v.clone() for n, v in trainer.network.parts.state_dict().items()}
    assert all(own[n].equal(v) for n, v in trained.items() if n.startswith("guidance"))
    assert any(not own[n].equal(v) for n, v in trained.items() if n.startswith("graph"))
    assert trainer.run()
    after = trainer.network.parts.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not value.equal(own[name])}
    assert {"glance", "graph"} <= changed and "guidance" not in changed
    files = sorted((tmp_path / "out" / "tokens").rglob("*.safetensors"))
    ranks = [study.run(zero_shot, seed, lambda step: pytest.fail("trained")) for seed in (0, 1)]
    assert ranks[0] == ranks[1]
    assert sorted((tmp_path / "out" / "tokens").rglob("*.safetensors")) == files  # one cache
