"""Give the image tower of a model its shortcut for detail; see `sgmn.model.efficientnet.LiteTower`.

    python tools/train_builtin/add_detail.py MODEL -o OUT

The shortcut adds zero until it is trained, so the vectors of OUT are those of MODEL.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="checkpoint folder, or 'builtin'")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    checkpoint.save(add_detail(checkpoint.load(options.model)), options.output)


def add_detail(model: ModelBundle) -> ModelBundle:
    """A copy of a model whose image tower has the shortcut."""
    config = model.network.config
    towers = config.towers | {"image": config.towers["image"] | {"detail": True}}
    network = SGMN(replace(config, towers=towers))
    network.load_state_dict(network.state_dict() | model.network.state_dict())
    return replace(model, network=network.eval())


if __name__ == "__main__":
    main()
