"""The tokenizer of BERT by the library `tokenizers`, without the slow import of `transformers`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Encoding, Tokenizer, normalizers

from sgmn.errors import CheckpointError, error_reason

TOKENIZER, CONFIG, SPECIAL = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
_CLASSES = {"BertTokenizer", "BertTokenizerFast"}
# What a config says about the normalizer, its name there, and its default.
_NORMALIZER = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}
_UNLIMITED = int(1e30)  # `model_max_length` in `transformers` if a config has none


def read_tokenizer(folder: Path) -> WordPieceTokenizer | None:
    """Read the tokenizer of a folder; None if `transformers` would not read it to the same effect.

    It would not if it is no tokenizer of BERT, or if its two files contradict each other. Raises
    CheckpointError for files that cannot be read.
    """
    if not (folder / TOKENIZER).is_file() or not (folder / CONFIG).is_file():
        return None
    config = _read_config(folder / CONFIG)
    if config.get("tokenizer_class") not in _CLASSES:
        return None
    tokenizer = _read(folder)
    agrees = isinstance(tokenizer.normalizer, normalizers.BertNormalizer) and all(
        config.get(key, default) == getattr(tokenizer.normalizer, name)
        for key, (name, default) in _NORMALIZER.items()
    )
    return WordPieceTokenizer(folder, tokenizer, config) if agrees else None


class WordPieceTokenizer:
    """What this project uses of the tokenizers of `transformers`, under the same names.

    Args:
        folder: The folder of its files.
        tokenizer: The content of tokenizer.json, without padding and truncation.
        config: The content of tokenizer_config.json.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, config: Mapping[str, Any]) -> None:
        self.model_max_length = int(config.get("model_max_length", _UNLIMITED))
        added = tokenizer.get_added_tokens_decoder()
        self.all_special_ids = [number for number, token in added.items() if token.special]
        self.pad_token_id = tokenizer.token_to_id(config.get("pad_token", "[PAD]"))
        self._folder, self._tokenizer = folder, tokenizer

    def __call__(
        self,
        texts: str | Sequence[str],
        *,
        max_length: int | None = None,
        truncation: bool = False,
        padding: bool = False,
        add_special_tokens: bool = True,
        return_tensors: str | None = None,
        **_: bool,
    ) -> dict[str, Any]:
        """Tokenize one text or several.

        Args:
            texts: One text, whose lists are returned as they are, or N texts.
            max_length: The length of a piece; by default the `model_max_length`.
            truncation: Whether to split texts into pieces of this length.
            padding: Whether to pad all pieces to the length of the longest.
            add_special_tokens: Whether to add [CLS] and [SEP].
            return_tensors: "pt" for tensors (M, L) instead of lists; None for lists.

        Returns:
            The "input_ids", "attention_mask" and "offset_mapping" of M pieces, and with
            `truncation` the place of the text of each ("overflow_to_sample_mapping").
        """
        self._split_at((max_length or self.model_max_length) if truncation else None)
        batch = [texts] if isinstance(texts, str) else list(texts)
        encoded = self._tokenizer.encode_batch(batch, add_special_tokens=add_special_tokens)
        pieces = [[encoding, *encoding.overflowing] for encoding in encoded]
        fields = self._to_fields(list(chain.from_iterable(pieces)), padding)
        owners = [place for place, split in enumerate(pieces) for _ in split]
        fields["overflow_to_sample_mapping"] = owners
        if return_tensors == "pt":
            return {name: torch.tensor(values) for name, values in fields.items()}
        if isinstance(texts, str) and not truncation:
            return {name: values[0] for name, values in fields.items()}
        return fields

    def _split_at(self, length: int | None) -> None:
        current = self._tokenizer.truncation
        if length is None:
            self._tokenizer.no_truncation()
        elif current is None or current["max_length"] != length:
            self._tokenizer.enable_truncation(length)

    def _to_fields(self, pieces: Sequence[Encoding], padding: bool) -> dict[str, Any]:
        longest = max((len(piece) for piece in pieces), default=0) if padding else 0
        missing = [max(0, longest - len(piece)) for piece in pieces]
        pairs = list(zip(pieces, missing, strict=True))
        return {
            "input_ids": [piece.ids + [self.pad_token_id] * gap for piece, gap in pairs],
            "attention_mask": [piece.attention_mask + [0] * gap for piece, gap in pairs],
            "offset_mapping": [piece.offsets + [(0, 0)] * gap for piece, gap in pairs],
        }

    def save_pretrained(self, folder: str) -> None:
        """Write the tokenizer into a folder, which `transformers` can read too."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        _read(self._folder).save(str(Path(folder) / TOKENIZER))
        for name in (CONFIG, SPECIAL):
            if (self._folder / name).is_file():
                shutil.copyfile(self._folder / name, Path(folder) / name)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"cannot be read ({error_reason(error)})"
        raise CheckpointError(message, path, "restore the file") from error
    if not isinstance(config, dict):
        raise CheckpointError("is not a JSON object", path, "restore the file")
    return config


def _read(folder: Path) -> Tokenizer:
    """The tokenizer of a folder, without the padding and truncation that are stored with it."""
    path = folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other class
        raise CheckpointError(f"cannot be read ({error})", path, "restore the file") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
