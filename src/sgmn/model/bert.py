"""BERT (Devlin et al. 2019, arXiv 1810.04805) as a text tower.

The modules have the names of those in `transformers`, so the weights of either load into the other.
Importing `transformers` takes longer than everything else that `sgmn watch` does to start.

Axes: M texts, L tokens, D dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MODEL_TYPE = "bert"
Config = Mapping[str, Any]  # a config of `transformers` as in JSON
# Settings of a config that this module does not implement unless they have these values.
_FIXED = {
    "model_type": MODEL_TYPE,
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


class Hidden(NamedTuple):
    """The output of the tower: (M, L, D)."""

    last_hidden_state: Tensor


def is_supported(config: Config) -> bool:
    """Whether `BertTower` computes what `transformers` computes with this config."""
    return all(config.get(name, value) == value for name, value in _FIXED.items())


class BertTower(nn.Module):
    """Maps token ids (M, L) to token vectors (M, L, D).

    Args:
        config: A config for which `is_supported` is true.
    """

    supports_gradient_checkpointing = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.config = SimpleNamespace(hidden_size=size)
        self.embeddings = Embeddings(config)
        layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.encoder = nn.ModuleDict({"layer": layers})
        # Not used, but part of the published weights and of the fingerprint of a model.
        self.pooler = nn.ModuleDict({"dense": nn.Linear(size, size)})
        self._recomputes = False
        self._initialize(config.get("initializer_range", 0.02))

    def _initialize(self, std: float) -> None:
        """Draw the weights as BERT does; those of the layers of PyTorch would be far larger."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            words = self.embeddings.word_embeddings
            words.weight[words.padding_idx] = 0.0

    def gradient_checkpointing_enable(self, options: Mapping[str, Any]) -> None:
        """Recompute activations in the backward pass; `options` are those of `transformers`."""
        self._recomputes, self._options = True, options

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Hidden:
        """Encode token ids (M, L); the mask (M, L) is 0 at padding, which no token attends to."""
        mask = attention_mask.bool()[:, None, None]
        hidden = self.embeddings(input_ids)
        for layer in self.encoder["layer"].children():
            if self._recomputes and self.training:
                hidden = checkpoint(layer, hidden, mask, **self._options)
            else:
                hidden = layer(hidden, mask)
        return Hidden(hidden)


class Embeddings(nn.Module):
    """The sum of the vectors of tokens, positions and the first segment, normalized."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size, padding = config["hidden_size"], config["pad_token_id"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], size, padding)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], size)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], size)
        self.LayerNorm = nn.LayerNorm(size, config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, ids: Tensor) -> Tensor:
        """Embed token ids (M, L)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        vectors = self.word_embeddings(ids) + self.token_type_embeddings(torch.zeros_like(ids))
        vectors = self.LayerNorm(vectors + self.position_embeddings(positions))
        embedded: Tensor = self.dropout(vectors)
        return embedded


class Layer(nn.Module):
    """A transformer layer that normalizes each sum (post-norm)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = nn.ModuleDict(
            {"self": SelfAttention(config), "output": Residual(size, config)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, inner)})
        self.output = Residual(inner, config)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Update token vectors (M, L, D)."""
        attended = self.attention["output"](self.attention["self"](hidden, mask), hidden)
        inner = functional.gelu(self.intermediate["dense"](attended))
        updated: Tensor = self.output(inner, attended)
        return updated


class SelfAttention(nn.Module):
    """Scaled dot-product attention of several heads, without its output projection."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.dropout = config["attention_probs_dropout_prob"]
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attend from all tokens (M, L, D) to those in the mask (M, 1, 1, L)."""
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, mask, dropout)
        return attended.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """Projects (M, L, `inner`) to (M, L, D), adds the input of the block, and normalizes."""

    def __init__(self, inner: int, config: Config) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.dense = nn.Linear(inner, size)
        self.LayerNorm = nn.LayerNorm(size, config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Add the projection of `hidden` to `residual`."""
        total: Tensor = self.LayerNorm(self.dropout(self.dense(hidden)) + residual)
        return total
