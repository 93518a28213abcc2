"""Writes look-alikes of LPR4M and MovingFashion, to try imports, training and evaluation.

    python tools/benchmark_lookalikes.py lpr4m build/lpr4m --media tar --clips 4000
    python tools/benchmark_lookalikes.py movingfashion build/movingfashion --clips 2000

The files have the published formats with every irregularity that is known, and small media of one
color per product. `expected.json` holds what an import must count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lookalike_movingfashion
from lookalike_lpr4m import LAYOUTS, Lookalike


def write_lpr4m(root: Path, media: str, clips: int, test_lives: int, test_clips: int) -> Lookalike:
    """Write a look-alike of LPR4M ("files", "tar") or of LPR750K ("folders")."""
    look = Lookalike(root, media)
    look.write(clips, test_lives, test_clips)
    return look


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=("lpr4m", "movingfashion"))
    parser.add_argument("output", type=Path)
    parser.add_argument("--clips", type=int, default=2000, help="training rows or products")
    parser.add_argument("--test-clips", type=int, default=400)
    parser.add_argument("--media", choices=sorted(LAYOUTS), default="tar")
    options = parser.parse_args()
    if options.benchmark == "lpr4m":
        lives = max(2, options.test_clips // 20)
        write_lpr4m(options.output, options.media, options.clips, lives, options.test_clips)
    else:
        lookalike_movingfashion.write(options.output, options.clips, options.test_clips)
    print(f"{options.output} written")


if __name__ == "__main__":
    main()
