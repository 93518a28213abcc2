"""Feeds with image addresses, and feeds by their own address, into an index."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.feed import Feed, read_feed
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.catalogue.issue_report import write_issues
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from tests.catalogue.fakes import FakeEncoder
from tests.catalogue.feeds.sample_feeds import ADDRESS, COUNTS, SAMPLES
from tests.catalogue.fetch.image_server import ImageServer

ROOT = Path(__file__).parents[3]
FETCH_ONE_BY_ONE = """
import sys
from pathlib import Path
from sgmn.catalogue.fetch import fetcher
from sgmn.catalogue.fetch.options import FetchOptions
options = FetchOptions(Path(sys.argv[1]), allow_private=True, max_requests_per_host=2)
urls = [f"{sys.argv[2]}/image/{number}" for number in range(400)]
fetcher.fetch_images(urls, options, lambda done, total: print(done, flush=True))
"""


def update(table: ProductTable, feed: Feed, **options: bool) -> tuple[int, int, int, int]:
    """Index a feed; return how many products are added, replaced, unchanged and removed."""
    settings = UpdateOptions(protected_keys=feed.rejected_keys, locations=feed.locations)
    report = table.update(feed.products, FakeEncoder(), replace(settings, **options))  # type: ignore[arg-type]
    return report.added, report.replaced, report.unchanged, report.removed


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_feed_of_each_format_into_an_index(
    name: str, server: ImageServer, options: FetchOptions, table: ProductTable
) -> None:
    content = (SAMPLES / name).read_text().replace(f"{ADDRESS}/i", f"{server.address}/image")
    server.content[f"/{name}"] = gzip.compress(content.encode())
    feed = read_feed(f"{server.address}/{name}", "s", fetch_options=options)
    products, rejected = COUNTS[name]
    assert (len(feed.products), len(feed.rejected_rows)) == (products, rejected)
    assert feed.warnings == () and update(table, feed) == (products, 0, 0, 0)
    assert table.shops() == {"s": products}
    with_image = sum(product.image is not None for product in table.products())
    assert len(table.thumbnails("s")) == with_image >= products - 1
    assert update(table, read_feed(f"{server.address}/{name}", "s", fetch_options=options)) == (
        *(0, 0, products, 0),
    )


def test_a_failed_image_leaves_a_titled_product_until_it_can_be_fetched(
    server: ImageServer, options: FetchOptions, table: ProductTable, tmp_path: Path
) -> None:
    rows = ["id,title,image", f"a,Alpha,{server.address}/image/a", "b,Beta,ftp://x/b.png"]
    rows += [f"c,Gamma,{server.address}/image/c", f"d,,{server.address}/missing/d"]
    path = tmp_path / "feed.csv"
    path.write_text("\n".join(rows))
    server.failing.add("/image/c")
    feed = read_feed(path, fetch_options=options)
    assert [product.product_id for product in feed.products] == ["a", "b", "c"]
    assert [product.image is None for product in feed.products] == [False, True, True]
    (rejected,) = feed.rejected_rows
    assert rejected.where == f"{path}:5:1" and "neither title nor image" in rejected.message
    assert [warning.where for warning in feed.warnings] == [f"{path}:3:1", f"{path}:4:1"]
    assert feed.warnings[1].message.endswith("indexed by its title only")
    assert update(table, feed) == (3, 0, 0, 0)
    server.failing.clear()
    feed = read_feed(path, fetch_options=options)
    assert update(table, feed) == (0, 1, 2, 0) and len(table.thumbnails()) == 2


def test_strict_reading_rejects_failed_images_and_sync_keeps_their_products(
    server: ImageServer, options: FetchOptions, table: ProductTable, tmp_path: Path
) -> None:
    path = tmp_path / "feed.csv"
    rows = ["id,title,image", *(f"{i},T{i},{server.address}/image/{i}" for i in "abc")]
    path.write_text("\n".join(rows))
    assert update(table, read_feed(path, fetch_options=options)) == (3, 0, 0, 0)
    server.content["/image/a"] = b"now broken"
    path.write_text("\n".join(rows[:3]))  # without c
    feed = read_feed(path, strict=True, fetch_options=options)
    assert feed.rejected_keys == {("", "a")} and feed.unidentified_rows == ()
    assert "strict indexing needs every image" in feed.rejected_rows[0].message
    assert update(table, feed, sync=True) == (0, 0, 1, 1)
    assert [product.product_id for product in table.products()] == ["a", "b"]


def test_a_feed_from_the_network_never_names_local_files(
    server: ImageServer, options: FetchOptions
) -> None:
    images = ["/etc/passwd", "image/b", "//127.0.0.2/c", "file:/etc/passwd", "x:y", "http://["]
    rows = [f"{number},title,{image},/p/{number}" for number, image in enumerate(images)]
    server.content["/shop/feed.csv"] = "\n".join(["id,title,image,link", *rows]).encode()
    feed = read_feed(f"{server.address}/shop/feed.csv", fetch_options=options)
    assert server.requests["/etc/passwd"] == 1 and server.requests["/shop/image/b"] == 1
    assert feed.products[0].attributes["link"] == f"{server.address}/p/0"
    assert len(feed.warnings) == 4 and "host 127.0.0.2: has" in feed.warnings[0].message
    paths = [path for product in feed.products for path in product.image_paths]
    assert len(paths) == 2 and all(options.cache_folder in path.parents for path in paths)


def test_the_report_has_file_line_and_column(
    server: ImageServer, options: FetchOptions, table: ProductTable, tmp_path: Path
) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(f"title,id,image\nA,a,{server.address}/html/a\nB,,\nC,c,gone.png\n")
    feed = read_feed(path, fetch_options=options)
    settings = UpdateOptions(locations=feed.locations)
    report = table.update(feed.products, FakeEncoder(), settings)
    write_issues(tmp_path / "report.csv", feed.extend_report(report))
    with (tmp_path / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["line"], row["column"]) for row in rows] == [
        ("rejected", "3", "2"),
        ("warning", "2", "2"),
        ("warning", "4", "2"),
    ]
    assert all(row["file"] == str(path) for row in rows)
    assert "is text/html, not an image" in rows[1]["message"]


@pytest.mark.slow
def test_a_killed_download_loses_nothing_that_it_had_finished(
    server: ImageServer, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    arguments = [sys.executable, "-c", FETCH_ONE_BY_ONE, str(cache), server.address]
    done, deadline = 0, time.monotonic() + 60
    for kill_after in (60, 250):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            while done < kill_after and time.monotonic() < deadline:
                done = int(process.stdout.readline())
            process.kill()
        server.requests.clear()
    before = server.not_modified
    output = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    # A request of the process that was killed may be counted late, so some may have two.
    assert output.stdout.split()[-1] == "400" and len(server.requests) == 400
    assert server.not_modified - before >= 250  # every finished image was only revalidated
    files = [path for path in cache.rglob("content/*/*") if ".partial" not in path.name]
    assert len(files) == 400
