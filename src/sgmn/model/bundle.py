"""A network with its tokenizer and its origin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch

from sgmn.model.inputs import Preprocessor
from sgmn.model.network import SGMN, NetworkConfig

FORMAT = "sgmn-checkpoint"
FORMAT_VERSION = 3  # 3 adds the localizer of guidance


@dataclass(frozen=True)
class ModelBundle:
    """A network, ready for use.

    Attributes:
        network: The network.
        tokenizer: The tokenizer of its text tower.
        name: The folder or hub name of the model.
        calibration: Settings that were fitted to the trained model, as plain tables; see
            `sgmn.model.calibration`. They change neither weights nor fingerprint.
    """

    network: SGMN
    tokenizer: Any
    name: str
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """Prepares images and texts as input of the network."""
        config = self.network.config
        return Preprocessor(
            config.canvases,
            config.fill_color,
            self.tokenizer,
            config.max_tokens,
            config.fine_canvas,
        )

    def fingerprint(self) -> str:
        """Return 16 hex digits that identify the weights and the config of the network."""
        digest = hashlib.sha256(config_to_json(self.network.config).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy())  # NumPy has no bfloat16
        return digest.hexdigest()[:16]


def config_to_json(config: NetworkConfig, calibration: Mapping[str, Any] | None = None) -> str:
    """Return the content of config.json, which is deterministic."""
    # What a config does not have is left out: models from before it keep their fingerprints.
    network = {name: value for name, value in asdict(config).items() if value is not None}
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, "network": network}
    if calibration:
        content["calibration"] = {name: dict(table) for name, table in calibration.items()}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
