"""The job for a GPU machine: packed here, run and gone on with where little is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder

FOLDER = Path(__file__).parents[1] / "scripts" / "gpu"
ABSENT = ("av", "lancedb", "pyarrow", "rich", "typer", "pytorch_metric_learning", "jinja2")
CONFIG = """
[model]
source = "small"
parts = ["emphasis", "guidance"]
canvases = [[64, 48], [48, 48]]

[data]
folders = ["{world}", "{world}"]
frames = 2

[train]
steps = {steps}
batch = 3
ema = 0.9
workers = 0
log_every = 1
threads = 1
device = "cpu"

[loss]
mining = true
triplet = 0.0
"""


@pytest.fixture(scope="module")
def packing() -> ModuleType:
    if not FOLDER.is_dir():
        pytest.skip("scripts/ is not part of a source distribution")
    sys.path.insert(0, str(FOLDER))
    try:
        return import_module("pack")
    finally:
        sys.path.remove(str(FOLDER))


def packed(packing: ModuleType, monkeypatch: pytest.MonkeyPatch, config: Path, *more: str) -> Path:
    path = config.with_suffix(".zip")
    monkeypatch.setattr(sys, "argv", ["pack.py", str(config), str(path), *more])
    packing.main()
    return path


def run(pack: Path, out: Path, minutes: str) -> str:
    """`train.py` in a process that cannot import what a GPU machine does not have."""
    blocked = f"import sys, runpy; sys.modules.update(dict.fromkeys({ABSENT}))"
    start = f"sys.argv[1:] = {[str(pack), str(out), '--minutes', minutes]}"
    code = f"{blocked}; {start}; runpy.run_path({str(FOLDER / 'train.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_packed_run_trains_goes_on_and_comes_home(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    pack = packed(packing, monkeypatch, config)
    assert pack.stat().st_size < 24 * 2**20
    assert "stopped at step 1 of 3" in run(pack, tmp_path / "run", "0.01")
    said = run(pack, tmp_path / "run", "10")
    assert "going on from step 1" in said and "finished at step 3 of 3" in said
    small = tmp_path / "run" / "small"
    assert (small / "model.safetensors").stat().st_size < 16 * 2**20
    found = Embedder(checkpoint.load(small), "cpu").words(["red milk", "green apple"])
    expected = Embedder(checkpoint.load("small"), "cpu").words(["red milk", "green apple"])
    assert (found.said @ expected.said.T).diag().min() > 0.9  # MiniLM, three steps on


def test_minilm_in_bytes_says_the_same(packing: ModuleType) -> None:
    torch.manual_seed(0)
    stored = {"a": torch.randn(8, 384), "b": torch.randn(8), "n": torch.arange(4)[None]}
    sys.path.insert(0, str(FOLDER))
    try:
        again = import_module("train").whole(packing.in_bytes(stored))
    finally:
        sys.path.remove(str(FOLDER))
    assert again.keys() == stored.keys()
    assert torch.equal(again["b"], stored["b"]) and torch.equal(again["n"], stored["n"])
    assert (again["a"] - stored["a"]).abs().max() < 0.02  # half a step of 4 / 127
    assert torch.nn.functional.cosine_similarity(again["a"], stored["a"]).min() > 0.999


def test_the_pack_holds_each_folder_once_and_the_words_it_needs(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    with zipfile.ZipFile(packed(packing, monkeypatch, config, "--side", "16")) as pack:
        tables = json.loads(pack.read("config.json"))
        clips = [json.loads(line) for line in pack.read("data/0/clips.jsonl").splitlines()]
        names = pack.namelist()
    assert tables["data"]["folders"] == ["data/0", "data/0"]
    assert all(f"data/0/{path}" in names for clip in clips for path in clip["frames"])
    assert len(names) == len(set(names))
    model = checkpoint.load("small")
    used = packing.pieces(model.tokenizer, packing.configs.read(config))
    assert set(model.tokenizer("this red milk okay", truncation=False)["input_ids"]) <= used


def test_a_pack_that_is_too_large_is_refused(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    with pytest.raises(SystemExit, match="lower --side"):
        packed(packing, monkeypatch, config, "--most", "1000")
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]  # nothing half-made stays
