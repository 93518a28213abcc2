"""A network and what it needs to be used: its tokenizer, and where it came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch

from sgmn.model.inputs import Preprocessor
from sgmn.model.network import SGMN, NetworkConfig

FORMAT = "sgmn-checkpoint"
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Model:
    """A network with its tokenizer; `name` is the folder or hub name that it came from."""

    network: SGMN
    tokenizer: Any
    name: str

    @cached_property
    def preparation(self) -> Preprocessor:
        """How this network wants its input."""
        config = self.network.config
        return Preprocessor(config.canvases, config.fill, self.tokenizer, config.max_tokens)

    def fingerprint(self) -> str:
        """Sixteen hex digits that change with any weight or setting."""
        digest = hashlib.sha256(config_json(self.network.config).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
        return digest.hexdigest()[:16]


def config_json(config: NetworkConfig) -> str:
    """The text of config.json: the same for the same config."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION}
    return json.dumps({**head, "network": asdict(config)}, indent=1, sort_keys=True) + "\n"
