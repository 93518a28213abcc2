"""Let late interaction of a model compare patches of 16 instead of 32 pixels.

    python tools/train_builtin/add_fine_patches.py MODEL -o OUT

The image tower has these patches already; the layers that compare them are new and untrained. See
`fine_patches` in `sgmn.model.towers`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN

SEED = 0  # of the new layers
LATE = 1.0  # weight in the score: enough for them to learn when late interaction is reliable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="checkpoint folder, or 'builtin'")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    checkpoint.save(add_fine_patches(checkpoint.load(options.model)), options.output)


def add_fine_patches(model: ModelBundle) -> ModelBundle:
    """A copy of a model with fine patches and new layers where their number of channels differs."""
    config = model.network.config
    towers = config.towers | {"image": config.towers["image"] | {"fine_patches": True}}
    torch.manual_seed(SEED)
    network = SGMN(replace(config, towers=towers))
    target = network.state_dict()
    kept = {
        name: tensor
        for name, tensor in model.network.state_dict().items()
        if target[name].shape == tensor.shape
    }
    network.load_state_dict(target | kept | {"head.late": torch.tensor(LATE)})
    return replace(model, network=network.eval())


if __name__ == "__main__":
    main()
