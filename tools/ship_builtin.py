"""Put the checkpoint of a run into the package as "builtin", in half precision.

python tools/ship_builtin.py runs/grocery/checkpoint
"""

from __future__ import annotations

import sys
from pathlib import Path

from sgmn.model import checkpoint

LARGEST = 16 * 2**20  # bytes a file


def main() -> None:
    model = checkpoint.load(Path(sys.argv[1]))
    checkpoint.save(model, checkpoint.BUILTIN, half=True)
    size = (checkpoint.BUILTIN / "model.safetensors").stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{size} bytes are too many to ship; at most {LARGEST}")
    shipped = checkpoint.load("builtin")
    print(f"{checkpoint.BUILTIN}: {size / 2**20:.1f} MiB, fingerprint {shipped.fingerprint()}")


if __name__ == "__main__":
    main()
