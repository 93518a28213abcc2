"""How fast are the towers of a model in each runtime, and how near are their vectors to PyTorch's?

    python benchmarks/runtimes.py [--model builtin] [--batch 8] [--rounds 12] [--json FILE]

Image tower: a batch of images on the first canvas. Text tower: a batch of texts of 16 tokens. The
runtimes take turns, on one thread unless --threads says otherwise, and each round yields one ratio
to PyTorch of CPU seconds, which other work on the machine hardly changes; the median counts.
With --int8 FOLDER, the image tower in int8, calibrated on the pictures of the folder, takes part.
FILE gets {"ratio": {runtime: times as fast as PyTorch}, …}.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.runtimes import OPENVINO_BF16, TORCH, engines
from sgmn.model.runtimes.choice import processor_name
from sgmn.model.runtimes.loading import load_towers
from sgmn.model.towers import TowerEncoder
from sgmn.workflows.export import export_model

TOKENS, WARM_UP_ROUNDS = 16, 2
Encode = Callable[[TowerEncoder], Tensor]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    model = checkpoint.load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        towers = open_runtimes(model, options.int8, Path(folder) / "int8")
        report = compare(model, towers, options.batch, options.rounds)
    report |= {"processor": processor_name(), "threads": options.threads, "batch": options.batch}
    print_report(report)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin", help="a model, as for `sgmn index`")
    parser.add_argument("--batch", type=int, default=8, help="images or texts at once")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each runtime")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each runtime")
    parser.add_argument("--int8", type=Path, help="pictures that calibrate int8")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def open_runtimes(
    model: ModelBundle, pictures: Path | None, folder: Path
) -> dict[str, TowerEncoder]:
    """The towers in each runtime that is installed and that the CPU supports."""
    names = [name for name in engines.PACKAGES if engines.is_installed(name)]
    if OPENVINO_BF16 in names and not engines.has_bf16():
        names.remove(OPENVINO_BF16)
    towers = {name: load_towers(model, name) for name in (TORCH, *names)}
    if pictures is not None:
        export_model(model, folder, pictures)
        towers["int8"] = load_towers(model, str(folder))
    return towers


def compare(
    model: ModelBundle, towers: Mapping[str, TowerEncoder], batch: int, rounds: int
) -> dict[str, Any]:
    """Ratios, rates per second and least cosines of both towers."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, *model.network.config.canvases[0], generator=generator)
    ids = torch.randint(1000, 2000, (batch, TOKENS), generator=generator)
    mask = torch.ones_like(ids, dtype=torch.bool)
    images = measure(towers, lambda tower: tower.encode_image(pixels).pooled, batch, rounds)
    texts = measure(towers, lambda tower: tower.encode_text(ids, mask).pooled, batch, rounds)
    return {"ratio": images["ratio"], "images": images, "texts": texts}


def measure(
    towers: Mapping[str, TowerEncoder], encode: Encode, batch: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Let the runtimes take turns; the ratios are taken round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in towers}
    vectors: dict[str, Tensor] = {}
    with torch.inference_mode():
        for _ in range(rounds + WARM_UP_ROUNDS):
            for name, tower in towers.items():
                start = time.process_time()
                vectors[name] = encode(tower)
                seconds[name].append(time.process_time() - start)
    kept = {name: values[WARM_UP_ROUNDS:] for name, values in seconds.items()}
    cosines = {n: cosine_similarity(v, vectors[TORCH]).min().item() for n, v in vectors.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(kept[TORCH], values, strict=True))
        for name, values in kept.items()
    }
    rates = {name: batch / statistics.median(values) for name, values in kept.items()}
    return {"ratio": ratios, "per_second": rates, "least_cosine": cosines}


def print_report(report: Mapping[str, Any]) -> None:
    print(f"{report['processor']}, {report['threads']} thread(s), batches of {report['batch']}")
    print(f"{'tower':<8}{'runtime':<16}{'per CPU s':>11}{'ratio':>8}{'least cosine':>15}")
    for kind in ("images", "texts"):
        part = report[kind]
        for name, ratio in part["ratio"].items():
            rate, cosine = part["per_second"][name], part["least_cosine"][name]
            print(f"{kind:<8}{name:<16}{rate:>11.1f}{ratio:>8.2f}{cosine:>15.7f}")


if __name__ == "__main__":
    main()
