"""Pushes checkpoints to a model hub, and pulls them, by the client of Hugging Face.

The client reads the address of the hub and the token from its environment: HF_ENDPOINT, HF_TOKEN.
"""

from __future__ import annotations

import json
from logging import ERROR, getLogger
from pathlib import Path

from sgmn.errors import CheckpointError
from sgmn.model.bundle import FORMAT

FILES = ["README.md", "config.json", "model.safetensors", "tokenizer/*"]


def pull(name: str) -> Path | None:
    """Download a checkpoint of this project and return its folder in the client's cache.

    Returns None if the hub has no such model, or if that is no checkpoint of this project, such as
    a backbone of `transformers`. Raises CheckpointError if the hub cannot be reached and the cache
    has no copy.
    """
    import httpx
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    getLogger("huggingface_hub").setLevel(ERROR)  # it logs every retry
    try:
        config = hf_hub_download(name, "config.json")
        if json.loads(Path(config).read_text(encoding="utf-8")).get("format") != FORMAT:
            return None
        return Path(snapshot_download(name, allow_patterns=FILES))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            "cannot be downloaded: the model hub cannot be reached, and the cache has no copy",
            name,
            "check the name and the network, or pass the folder of a copy of the model",
        ) from error
    except (HFValidationError, HfHubHTTPError, httpx.HTTPError):
        return None  # the caller tries it as a backbone, and reports why that fails


def push(folder: Path, name: str, *, private: bool = False) -> str:
    """Create or update a model on the hub from a checkpoint folder; returns its address.

    Raises CheckpointError if the folder is no checkpoint, or the hub refuses it.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
        raise CheckpointError(
            "is no checkpoint", folder, "pass the folder checkpoint/ of a run of `sgmn train`"
        )
    try:
        api = HfApi()
        address = str(api.create_repo(name, private=private, exist_ok=True))
        api.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message="Add model"
        )
    except (HFValidationError, HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = "check the name user/model, the network, and the token in HF_TOKEN"
        raise CheckpointError(f"the hub did not accept it ({reason})", name, remedy) from error
    return address
