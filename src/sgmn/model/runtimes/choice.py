"""Chooses the fastest runtime for a model by a short measurement, and remembers the choice."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch.nn.functional import cosine_similarity

from sgmn.model.bundle import ModelBundle
from sgmn.model.runtimes import ONNX, OPENVINO, OPENVINO_BF16, TORCH
from sgmn.model.runtimes.engines import PACKAGES, has_bf16, is_installed
from sgmn.model.runtimes.opening import open_exported
from sgmn.model.towers import TowerEncoder

BATCH, ROUNDS = 8, 4  # images, and turns of each runtime after the first, which is not counted
MIN_GAIN = 1.1  # a runtime that is not faster than this is not worth another dependency
MIN_BF16_COSINE = 0.999


def choose_runtime(model: ModelBundle) -> str:
    """Return the fastest installed runtime for a model on this CPU.

    The choice is kept in the user's cache folder, until the model, the CPU, the number of threads
    or a version changes. Without another runtime, nothing is measured.
    """
    engines = [name for name in (OPENVINO, OPENVINO_BF16, ONNX) if is_installed(name)]
    if not engines:
        return TORCH
    path, key = choices_path(), describe_machine(model, engines)
    choices = _read_choices(path)
    if key not in choices:
        choices[key] = pick(measure_runtimes(model, engines))
        _write_choices(path, choices)
    return choices[key]


def choices_path() -> Path:
    """The file in the user's cache folder that keeps the choices."""
    return user_cache_path("sgmn") / "runtimes.json"


def describe_machine(model: ModelBundle, engines: list[str]) -> str:
    """What a choice depends on, as one line."""
    packages = sorted({PACKAGES[engine][0] for engine in engines} | {"torch"})
    versions = (f"{package} {version(package)}" for package in packages)
    threads = f"{torch.get_num_threads()} threads"
    return ", ".join([model.fingerprint(), processor_name(), threads, *versions])


def processor_name() -> str:
    """The name of the CPU, as far as the operating system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def measure_runtimes(
    model: ModelBundle, engines: list[str], rounds: int = ROUNDS
) -> dict[str, float]:
    """The least seconds that each runtime takes for a batch of the first canvas, in turns.

    A runtime in bfloat16 is left out if the CPU has none, or if its vectors differ.
    """
    towers: dict[str, TowerEncoder] = {TORCH: model.network.towers}
    usable = [name for name in engines if name != OPENVINO_BF16 or has_bf16()]
    towers |= {name: open_exported(model, name) for name in usable}
    pixels = torch.randn(BATCH, 3, *model.network.config.canvases[0])
    expected = _encode(towers[TORCH], pixels)
    for name in usable:
        if cosine_similarity(_encode(towers[name], pixels), expected).min() < MIN_BF16_COSINE:
            del towers[name]
    times_s: dict[str, list[float]] = {name: [] for name in towers}
    for _ in range(rounds):
        for name, encoder in towers.items():
            start = time.perf_counter()
            _encode(encoder, pixels)
            times_s[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in times_s.items()}


@torch.inference_mode()
def _encode(towers: TowerEncoder, pixels: torch.Tensor) -> torch.Tensor:
    return towers.encode_image(pixels).pooled


def pick(times_s: Mapping[str, float]) -> str:
    """The fastest runtime; PyTorch unless another one is clearly faster.

    >>> pick({"torch": 1.0, "openvino": 0.6, "onnx": 0.7}), pick({"torch": 1.0, "onnx": 0.95})
    ('openvino', 'torch')
    """
    best = min(times_s, key=lambda name: times_s[name])
    return best if times_s[TORCH] >= MIN_GAIN * times_s[best] else TORCH


def _read_choices(path: Path) -> dict[str, str]:
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or damaged: measured again
        return {}
    return choices if isinstance(choices, dict) else {}


def _write_choices(path: Path, choices: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(choices, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
