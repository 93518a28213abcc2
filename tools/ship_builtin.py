"""Copy a checkpoint into the package as the built-in model, in half precision.

python tools/ship_builtin.py runs/builtin/4-text/calibrated
"""

from __future__ import annotations

import sys
from pathlib import Path

from sgmn.model import checkpoint

MAX_BYTES = 16 * 2**20  # of a file


def main() -> None:
    model = checkpoint.load(Path(sys.argv[1]))
    if "timeline" not in model.calibration:
        raise SystemExit(f"{sys.argv[1]}: no timeline settings; see tools/train_builtin/run.py")
    checkpoint.save(model, checkpoint.BUILTIN, half=True)
    size = (checkpoint.BUILTIN / "model.safetensors").stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"the weights have {size} bytes, more than {MAX_BYTES}")
    shipped = checkpoint.load("builtin")
    print(f"{checkpoint.BUILTIN}: {size / 2**20:.1f} MiB, fingerprint {shipped.fingerprint()}")


if __name__ == "__main__":
    main()
