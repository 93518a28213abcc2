"""Run configs: read by name or path, with datasets of the command line, checked as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.configs import packaged_configs, resolve
from sgmn.errors import SettingsError
from sgmn.training.config_file import read_config


def test_packaged_configs_are_read_by_name_relative_to_the_current_directory() -> None:
    assert read_config("own-pairs").data.folders == (Path("my-shop"),)


def test_paths_in_other_files_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own-pairs.toml"
    path.write_text(resolve("own-pairs").read_text(encoding="utf-8"))
    assert read_config(path).data.folders == (tmp_path / "my-shop",)


def test_datasets_of_the_caller_replace_those_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = read_config("own-pairs", [Path("shop"), Path("/other")])
    assert run.data.folders == (tmp_path / "shop", Path("/other"))
    assert run.model.source == read_config("own-pairs").model.source


def test_changes_replace_values_of_the_config() -> None:
    changes = (
        "train.steps=50",
        "model.source=/models/clip",
        'model.parts=["graph"]',
        "loss.text=1",
    )
    run = read_config("lpr4m-clip-b32", changes=changes)
    assert (run.train.steps, run.train.batch_size) == (50, 128)
    assert (run.model.source, run.model.parts) == ("/models/clip", ("graph",))
    assert run.loss.text == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps=50", "'steps=50': is no change of a config; write TABLE.KEY=VALUE"),
        ("train.steps", "'train.steps': is no change of a config"),
        ("train.step=50", r"own-pairs.toml \[train\]: unknown key 'step'; did you mean 'steps'"),
        ("train.steps=many", "'steps' is 'many'; use an integer"),
        ("trian.steps=50", r"unknown table \[trian\]; did you mean 'train'"),
    ],
)
def test_invalid_changes_are_refused(change: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_config("own-pairs", changes=[change])


def test_packaged_configs_are_described() -> None:
    configs = packaged_configs("train")
    assert {"ablation", "own-pairs", "lpr4m-clip-b32", "movingfashion-clip-b32"} <= set(configs)
    assert set(packaged_configs("world")) == {"demo"}
    assert all(text and not text.startswith("#") for text in configs.values())


def test_a_file_takes_precedence_over_a_packaged_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("demo").parent != tmp_path
    Path("demo").write_text("[data]\nfolders = ['here']\n")
    assert read_config("demo").data.folders == (Path("here"),)


@pytest.mark.parametrize("name", ["own-pair", "folder/own-pairs", "none.toml"])
def test_unknown_configs_are_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(
        SettingsError, match=f"^{name}: no such config.*ablation, baselines, demo.*own-pairs"
    ):
        resolve(name)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            "[data]\nframes_per_clip = 0",
            "'drop_transcript_prob' is 0.5.*set drop_transcript_prob = 0",
        ),
        (
            "[data]\nframes_per_clip = 0\n[model]\nfreeze = 'towers'",
            "'freeze' is .*set freeze = \"text\"",
        ),
        (
            "[model]\nparts = []\n[loss]\ntext_reliability = 1.0",
            "'text_reliability' is 1.0.*add \"text_pooling\"",
        ),
        *(
            (
                f"[model]\nparts = ['guidance', 'glance']\n{more}",
                "'trainable_parts' is .*freeze the guidance too",
            )
            for more in (
                "freeze = 'towers'",
                "freeze = 'towers'\ntrainable_parts = ['glance', 'guidance']",
            )
        ),
        (
            "[model]\nparts = ['guidance', 'glance']\nfreeze = 'text'",
            "'grounding' is 0.0.*set it above 0",
        ),
        (
            "[model]\nparts = ['glance']\nfreeze = 'towers'\ntrainable_parts = ['glance']",
            "'parts' is .*add \"guidance\"",
        ),
    ],
)
def test_conflicting_settings_are_refused(tables: str, message: str, tmp_path: Path) -> None:
    text = tables if "[data]" in tables else f"{tables}\n[data]"
    (tmp_path / "run.toml").write_text(text.replace("[data]", '[data]\nfolders = ["here"]'))
    with pytest.raises(SettingsError, match=message) as error:
        read_config(tmp_path / "run.toml")
    assert "run.toml" in str(error.value)
