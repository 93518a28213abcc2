"""Make the pictures of the documentation again.

    python tools/docs_pictures.py GROCERY_LIVE INDEX [--browser chromium]

GROCERY_LIVE is the folder described in docs/data.md, INDEX an index of its catalogue.
Needs Chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
STREAM, CLIP = "stream1", "c0001"
REPORT_SIZE_PX = (1200, 1110)


def main() -> None:
    options = parse_options()
    val = options.data / "val"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = val / "streams" / f"{STREAM}.mp4"
        truth = source.with_suffix(".json")
        report, sheet = folder / "report.html", folder / "explain.png"
        index = ("-i", str(options.index))
        run_sgmn("watch", source, "-t", truth, "--truth", truth, *index, "--html", report)
        run_sgmn("explain", CLIP, "--dataset", val, *index, "-o", sheet)
        screenshot = folder / "report.png"
        take_screenshot(options.browser, report, screenshot)
        for path in (screenshot, sheet):
            save_small(path, PICTURES / path.name)


def run_sgmn(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "sgmn.cli", *map(str, words)], check=True)


def take_screenshot(browser: str, page: Path, output: Path) -> None:
    width, height = REPORT_SIZE_PX
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
    size = f"--window-size={width},{height}"
    command = [browser, *flags, size, f"--screenshot={output}", page.as_uri()]
    subprocess.run(command, check=True, timeout=120)


def save_small(source: Path, target: Path) -> None:
    """Save a PNG with a palette, which takes a quarter of the room."""
    with Image.open(source) as image:
        image.convert("RGB").quantize(192).save(target, optimize=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="GROCERY_LIVE")
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("--browser", default="chromium")
    return parser.parse_args()


if __name__ == "__main__":
    main()
