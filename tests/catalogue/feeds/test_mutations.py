"""Mutated feeds of each format: never a crash or a hang, and every refusal has its place.

`python -m tests.catalogue.feeds.test_mutations 1000` runs that many mutations of each format.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import pytest

from sgmn.catalogue import feed
from sgmn.catalogue.fetch.fetcher import FetchedImage
from sgmn.errors import FetchError, RecordError
from tests.catalogue.feeds.sample_feeds import COUNTS, SAMPLES

MUTATIONS = 200
MAX_SECONDS = 60.0  # for one feed, on a loaded machine
PLACE = re.compile(r"feed\S*:\d+:\d+")
TOKENS = [
    *(b'"', b"'", b"<", b">", b"&", b",", b"\t", b"\n", b"\r", b"\0", b"{", b"}", b"[", b"]", b":"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"&#0;", b"&lt;", b"&x;", b"]]>"),
    *(b"<![CDATA[", b"<!--", b"<!DOCTYPE r>", b"<item>", b"</item>", b"NaN", b"1e999", b"-1"),
    *(b"null", b"true", b'"@type"', b'""', b"//", b"http://[", b"%00", b"9" * 5000, b"[" * 300),
]


def fail_images(urls: Iterable[str], *_: object) -> dict[str, FetchedImage]:
    """Replaces downloads."""
    return {url: FetchedImage(None, FetchError("is not there", url)) for url in urls}


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The content after one to four random edits."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice([0, 1, 1, 2, 8, 64, 512]))
        part = content[start:end]
        replacement = rng.choice(
            [b"", part * 2, part[::-1], rng.choice(TOKENS), rng.choice(TOKENS) + part]
        )
        content = content[:start] + replacement + content[end:]
        if rng.random() < 0.03:
            content = content[:start]
    return content


def check_feed(path: Path) -> tuple[int, int]:
    """Read a feed; return its numbers of products and of refusals, each with its place."""
    start = time.monotonic()
    try:
        result = feed.read_feed(path)
    except RecordError as error:
        assert PLACE.search(str(error)), error
        products, refusals = 0, 1
    else:
        issues = (*result.rejected_rows, *result.warnings)
        assert all(PLACE.search(issue.where) for issue in issues), issues
        assert set(result.locations) == {product.key for product in result.products}
        products, refusals = len(result.products), len(result.rejected_rows)
    assert time.monotonic() - start < MAX_SECONDS
    return products, refusals


def run_mutations(name: str, folder: Path, count: int) -> tuple[int, int]:
    """Check `count` mutations of a sample, some of them compressed; return the totals."""
    rng = random.Random(name)
    sample = (SAMPLES / name).read_bytes()
    products = refusals = 0
    with mock.patch("sgmn.catalogue.fetch.fetcher.fetch_images", fail_images):
        for number in range(count):
            content = mutate(sample, rng)
            path = folder / f"feed{Path(name).suffix}"
            if number % 20 == 0:
                path = path.with_name(path.name + ".gz")
                content = (
                    gzip.compress(content, mtime=0)
                    if number % 40
                    else mutate(gzip.compress(content, mtime=0), rng)
                )
            path.write_bytes(content)
            more_products, more_refusals = check_feed(path)
            products, refusals = products + more_products, refusals + more_refusals
    return products, refusals


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_mutated_feeds_are_read_or_refused_with_line_and_column(name: str, tmp_path: Path) -> None:
    products, refusals = run_mutations(name, tmp_path, MUTATIONS)
    assert products > MUTATIONS / 2 and refusals > MUTATIONS / 20


def main() -> None:
    count = int(sys.argv[1])
    for name in sorted(COUNTS):
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            products, refusals = run_mutations(name, Path(folder), count)
        seconds = time.monotonic() - start
        print(f"{name:18}{count:6} feeds{products:7} products{refusals:6} refusals{seconds:7.1f} s")


if __name__ == "__main__":
    main()
