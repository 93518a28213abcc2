"""Average the weights of two models of one architecture.

    python tools/train_builtin/average.py BEFORE AFTER --share 0.4 -o OUT

The average of a model and what further training has made of it is often better than both, on what
it has learned and on what it knew before (Wortsman et al., Robust fine-tuning of zero-shot models,
CVPR 2022; docs/decisions/027). Settings that are not weights are those of BEFORE.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import calibrated_network


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--share", type=float, required=True, help="of AFTER, 0..1")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    models = checkpoint.load(options.before), checkpoint.load(options.after)
    checkpoint.save(average(*models, options.share), options.output)


def average(before: ModelBundle, after: ModelBundle, share: float) -> ModelBundle:
    """The average of two models, in which the second has this share.

    Both scores are calibrated before, so that the average needs no calibration of the score.
    """
    network, other = calibrated_network(before), calibrated_network(after)
    weights, others = network.state_dict(), other.state_dict()
    if weights.keys() != others.keys():
        raise SystemExit(f"other weights: {sorted(weights.keys() ^ others.keys())}")
    mixed = {name: _mix(weights[name], others[name], share) for name in weights}
    # The towers are shared with BEFORE, which keeps its own.
    network.load_state_dict(mixed, assign=True)
    calibration = {name: v for name, v in before.calibration.items() if name != "score"}
    return replace(before, network=network, calibration=calibration)


def _mix(weight: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    if torch.equal(weight, other):  # exactly as it was: a frozen tower need not be stored
        return weight
    return (1 - share) * weight + share * other


if __name__ == "__main__":
    main()
