"""Image downloads from a hostile server: every address is accounted for, and none hangs.

`python -m tests.catalogue.fetch.test_images 10000` runs that many addresses and prints figures.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.fetch import addresses
from sgmn.catalogue.fetch.fetcher import FetchedImage, fetch_images
from sgmn.catalogue.fetch.options import FetchOptions
from tests.catalogue.fetch.image_server import (
    FAILURES,
    ImageServer,
    make_options,
    run_server,
    trust_server,
)

KINDS = [*FAILURES]


def make_paths(count: int, failure_every: int) -> list[str]:
    """Paths of images; every n-th one fails, and some of the others are slow or flaky."""
    paths = []
    for number in range(count):
        kind = "image"
        if number % failure_every == 0:
            kind = KINDS[number // failure_every % len(KINDS)]
        elif number % 40 == 1:
            kind = ("slow", "flaky", "moved")[number // 40 % 3]
        paths.append(f"/{kind}/{number}")
    return paths


def check_images(paths: list[str], images: dict[str, FetchedImage], address: str) -> Counter[str]:
    """Every address has a file or the expected error; return the numbers of both."""
    assert list(images) == [address + path for path in paths]
    counts: Counter[str] = Counter()
    for path in paths:
        image, kind = images[address + path], path.split("/")[1]
        if kind in FAILURES:
            assert image.path is None and FAILURES[kind] in str(image.error), (path, image)
            counts["failed"] += 1
        else:
            assert image.error is None and image.path is not None, (path, image)
            counts["fetched"] += 1
    return counts


def test_every_address_of_a_hostile_server_is_accounted_for(
    server: ImageServer, options: FetchOptions
) -> None:
    paths = make_paths(500, 25)
    calls: list[tuple[int, int]] = []
    start = time.monotonic()
    options = replace(options, timeout_s=5.0)
    images = fetch_images(
        [server.address + path for path in paths], options, lambda *call: calls.append(call)
    )
    assert check_images(paths, images, server.address) == {"fetched": 480, "failed": 20}
    assert time.monotonic() - start < 90
    assert calls == [(done, 500) for done in range(1, 501)]
    assert not list(options.cache_folder.rglob(".partial-*"))


def test_temporary_failures_are_tried_again_and_others_are_not(
    server: ImageServer, options: FetchOptions
) -> None:
    paths = ["/flaky/1", "/missing/1", "/error/1"]
    images = fetch_images([server.address + path for path in paths], options)
    assert images[f"{server.address}/flaky/1"].error is None
    assert [server.requests[path] for path in paths] == [2, 1, 2]


def test_addresses_that_are_refused_without_a_request(options: FetchOptions) -> None:
    urls = {
        "ftp://shop.example/a.png": "is neither an http nor an https address",
        "data:image/png;base64,AAAA": "is neither an http nor an https address",
        "http:///a.png": "has no host",
        "http://[::1/a.png": "is not a valid address",
        "http://127.0.0.1:9/a.png": "has the address 127.0.0.1, which is not public",
        "http://127.1:9/a.png": "has the address 127.0.0.1, which is not public",
        "http://[::1]:9/a.png": "has the address ::1, which is not public",
        "http://localhost:9/a.png": "which is not public; use --allow-private",
        "http://x/" + "a" * 9000: "has 9009 characters; the maximum is 8192",
    }
    images = fetch_images(urls, options)
    for url, reason in urls.items():
        assert images[url].path is None and reason in str(images[url].error), images[url]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_and_other_addresses(address: str, expected: bool) -> None:
    assert addresses.is_public(address) is expected


def test_a_host_that_fails_repeatedly_is_not_requested_any_more(
    server: ImageServer, tmp_path: Path
) -> None:
    options = make_options(tmp_path, timeout_s=0.2, max_host_failures=4, max_requests_per_host=2)
    urls = [f"{server.address}/hang/{number}" for number in range(40)]
    start = time.monotonic()
    images = fetch_images(urls, options)
    assert time.monotonic() - start < 60 and sum(server.requests.values()) < 10
    assert all(images[url].path is None for url in urls)
    assert "failures of its host in a row" in str(images[urls[-1]].error)


def main() -> None:
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, run_server() as server, trust_server():
        paths = make_paths(count, 50)
        urls = [server.address + path for path in paths]
        for label in ("first run", "second run"):
            server.requests.clear()
            server.not_modified = 0
            start = time.monotonic()
            images = fetch_images(urls, make_options(Path(folder)))
            seconds = time.monotonic() - start
            counts = check_images(paths, images, server.address)
            requests = sum(server.requests.values())
            print(f"{label}: {count} addresses in {seconds:.1f} s, {dict(counts)}, ", end="")
            print(f"{requests} requests, {server.not_modified} answered 304")
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {memory_mb:.0f} MB")


if __name__ == "__main__":
    main()
