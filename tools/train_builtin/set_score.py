"""Write the weight and floor of the text score, and the temperature, into a model's weights.

    python tools/train_builtin/set_score.py MODEL -o OUT --text-ratio 0.5 --floor 0.65
      --temperature 0.6 [--weight glance=1.5 ...] [--late-floor 0.55] [--fine-side 320]
      [--timeline FILE]

With `--weight instances=0` the model loses this part. With `--fine-side` second glances and shop
images are encoded once more on a square canvas of this side for late interaction.
The values of a recipe are measured once, by `sgmn calibrate` on a dataset of `compose_dataset.py`,
and then fixed. They become part of the weights, because later stages of the training start from
them; `sgmn calibrate` itself stores such values beside the weights. FILE is a TOML file with the
timeline settings that the checkpoint stores.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

import torch

from sgmn.live.evidence import timeline_settings
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import calibrated_network
from sgmn.model.scoring import ScoreWeights
from sgmn.settings import read_toml

IMAGE_TERMS = ("match", "instances", "glance", "late")


def main() -> None:
    options = parse_arguments()
    model = checkpoint.load(options.model)
    model = set_image_terms(model, dict(options.weight), options.late_floor)
    model = set_score(model, options.text_ratio, options.floor, options.temperature)
    if options.fine_side is not None:
        canvas = options.fine_side, options.fine_side
        model.network.config = replace(model.network.config, fine_canvas=canvas)
    if options.timeline is not None:
        settings = timeline_settings(model, read_toml(options.timeline), options.timeline)
        model = replace(model, calibration={"timeline": asdict(settings)})
    checkpoint.save(model, options.output)
    print(f"{options.output}: text weight {float(model.network.head.text.detach()):.3f}")


@torch.no_grad()
def set_image_terms(
    model: ModelBundle, weights: dict[str, float], late_floor: float
) -> ModelBundle:
    """A copy of a model with other weights of image terms, without instances if theirs is 0.

    Args:
        model: its weights are changed.
        weights: as multiples of the weight of the mean image.
        late_floor: of late interaction, a cosine; -1 for none.
    """
    for name, value in weights.items():
        getattr(model.network.head, name).fill_(value)
    config = replace(model.network.config, late_score_floor=late_floor)
    model.network.config = config
    if weights.get("instances") == 0:
        enabled = tuple(part for part in config.parts.enabled if part != "instances")
        terms = tuple(term for term in config.terms if term != "instances")
        network = model.network.with_parts(replace(config.parts, enabled=enabled), terms)
        model = replace(model, network=network)
    return model


def set_score(
    model: ModelBundle, text_ratio: float, floor: float, temperature: float
) -> ModelBundle:
    """A copy of a model with other weights of its score.

    Args:
        model: it keeps its weights.
        text_ratio: weight of the text term as a ratio to that of all image terms.
        floor: of the text term, a cosine; -1 for none.
        temperature: divides the logits.
    """
    text_weight = text_ratio * image_weight(model.network.head())
    score = {"temperature": temperature, "text_weight": text_weight, "text_score_floor": floor}
    network = calibrated_network(replace(model, calibration={"score": score}))
    return replace(model, network=network, calibration={})


def image_weight(weights: ScoreWeights) -> float:
    """The weights of all image terms together."""
    return 1 + sum(float(getattr(weights, name).detach()) for name in IMAGE_TERMS)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--text-ratio", type=float, required=True)
    parser.add_argument("--floor", type=float, default=-1.0, help="a cosine; -1 for none")
    parser.add_argument("--late-floor", type=float, default=-1.0, help="a cosine; -1 for none")
    parser.add_argument("--fine-side", type=int, help="pixels; default: as in MODEL")
    parser.add_argument("--weight", type=_parse_weight, action="append", default=[])
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits")
    parser.add_argument("--timeline", type=Path, help="TOML file with timeline settings")
    return parser.parse_args()


def _parse_weight(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in IMAGE_TERMS:
        raise argparse.ArgumentTypeError(f"use one of {', '.join(IMAGE_TERMS)}")
    return name, float(value)


if __name__ == "__main__":
    main()
