"""Models are pushed to a hub and loaded by their name: the real client, a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sgmn
from sgmn.errors import SgmnError
from sgmn.model import checkpoint
from sgmn.model.hub import push
from sgmn.training.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.model_card import complete_card, read_report, write_card
from tests.model.hub_server import Hub, run_hub

PUSH_AND_LOAD = """
import numpy, sgmn, sgmn.cli, sys
path = sys.argv.pop(1)
try:
    sgmn.cli.main()
except SystemExit as ended:
    assert not ended.code
numpy.save(path, sgmn.load("user/mugs").encode_text("a red mug"))
"""
REPORT = {"overall": {"recall": {"1": {"value": 0.25}, "5": {"value": 0.5}}, "mrr": {"value": 0.4}}}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with run_hub("secret") as server:
        yield server


@pytest.fixture
def folder(tiny: Callable[[], Any], tmp_path: Path) -> Path:
    path = tmp_path / "mugs" / "checkpoint"
    checkpoint.save(tiny(), path)
    run = RunConfig(
        ModelConfig(source="small"),
        DataConfig((Path("/home/me/shops/mugs"),)),
        TrainConfig(steps=7),
    )
    command = ["sgmn", "train", "/home/me/my run.toml", "-o", "runs/mugs"]
    write_card(path, run, "9 examples of 3 products", command, "7 of 7 steps.")
    return path


def run(hub: Hub, tmp_path: Path, *args: str, token: str = "secret") -> Any:
    """Run Python with the address of the hub; the client reads it when it is imported."""
    settings = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
    environment = os.environ | settings | {"HF_TOKEN": token, "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, *args], env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_a_pushed_model_is_loaded_by_its_name(hub: Hub, folder: Path, tmp_path: Path) -> None:
    (folder / "secret.txt").write_text("not for others")
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    options = ["--license", "mit", "--report", str(tmp_path / "report.json"), "--private"]
    command = ["push", str(folder), "user/mugs", *options]
    pushed = run(hub, tmp_path, "-c", PUSH_AND_LOAD, str(tmp_path / "hub.npy"), *command)
    assert pushed.returncode == 0, pushed.stderr
    assert f"{hub.address}/user/mugs" in pushed.stdout and "user/mugs" in hub.private
    files = hub.files["user/mugs"]
    assert {"README.md", "config.json", "model.safetensors"} <= set(files)
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert "secret.txt" not in files and any(name.startswith("tokenizer/") for name in files)
    card = files["README.md"].decode()
    assert "license: mit" in card and "| R@1 | 25.0 |" in card and "license: other" not in card
    local = sgmn.load(folder, "cpu").encode_text("a red mug")
    np.testing.assert_allclose(np.load(tmp_path / "hub.npy"), local, atol=1e-6)


def test_a_refused_push_is_one_line(hub: Hub, folder: Path, tmp_path: Path) -> None:
    command = ["-m", "sgmn.cli", "push", str(folder), "user/other"]
    refused = run(hub, tmp_path, *command, token="wrong")
    assert refused.returncode == 2 and "user/other" not in hub.files
    assert "the hub did not accept it" in refused.stderr and "HF_TOKEN" in refused.stderr
    assert "Traceback" not in refused.stderr and "secret" not in refused.stderr
    with pytest.raises(SgmnError, match="is no checkpoint"):
        push(tmp_path, "user/other")


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sgmn; sgmn.load('user/other')"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    loaded = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "user/other: cannot be downloaded: the model hub cannot be reached" in loaded.stderr
    assert "pass the folder of a copy of the model" in loaded.stderr


def test_cards_tell_data_command_and_settings_without_paths_of_this_machine(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sgmn\nlicense: other\n") and "# mugs\n" in card
    assert "- `shops/mugs`" in card and "9 examples of 3 products." in card
    assert "sgmn train 'me/my run.toml' -o runs/mugs" in card and "/home" not in card
    assert "| `[train] steps` | `7` |" in card and "batch_size" not in card
    once = complete_card(card, "mit", REPORT)
    again = complete_card(once, "apache-2.0", {"overall": {"recall": {}, "mrr": {"value": 0.9}}})
    assert "| MRR | 0.900 |" in again and "R@1" not in again and "Not evaluated" not in once
    assert again.count("## Use") == again.count("## License") == 1 and "license: mit" not in again


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(SgmnError, match="is no report"):
        read_report(tmp_path / "report.json")
