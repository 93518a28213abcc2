"""The download cache: revalidation, freshness, copies of earlier runs, and damage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.fetch.cache import CacheError, DownloadCache
from sgmn.catalogue.fetch.fetcher import fetch_feed, fetch_images
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.errors import FetchError
from tests.catalogue.fetch.image_server import ImageServer, make_png


def test_an_unchanged_image_is_revalidated_and_a_changed_one_is_replaced(
    server: ImageServer, options: FetchOptions
) -> None:
    url = f"{server.address}/image/1"
    first = fetch_images([url], options)[url].path
    assert first is not None and first.read_bytes() == make_png("/image/1")
    assert fetch_images([url], options)[url].path == first and server.not_modified == 1
    server.content["/image/1"] = make_png("another")
    second = fetch_images([url], options)[url].path
    assert second is not None and second != first and second.read_bytes() == make_png("another")


def test_a_fresh_image_is_not_requested_again(server: ImageServer, options: FetchOptions) -> None:
    server.headers["/image/1"] = "cache-control: public, max-age=600"
    url = f"{server.address}/image/1"
    path = fetch_images([url], options)[url].path
    assert fetch_images([url], options)[url].path == path and server.requests["/image/1"] == 1


def test_equal_images_share_one_file(server: ImageServer, options: FetchOptions) -> None:
    server.content = dict.fromkeys(("/image/1", "/image/2"), make_png("same"))
    images = fetch_images([server.address + path for path in server.content], options)
    assert len({image.path for image in images.values()}) == 1
    assert len(list(options.cache_folder.rglob("content/*/*"))) == 1


def test_the_copy_of_an_earlier_run_is_used_while_the_server_fails(
    server: ImageServer, options: FetchOptions
) -> None:
    url = f"{server.address}/image/1"
    path = fetch_images([url], options)[url].path
    server.failing.add("/image/1")
    image = fetch_images([url], options)[url]
    assert image.path == path and "status 503" in str(image.error)


def test_a_deleted_file_is_downloaded_again(server: ImageServer, options: FetchOptions) -> None:
    url = f"{server.address}/image/1"
    path = fetch_images([url], options)[url].path
    assert path is not None
    path.unlink()
    assert fetch_images([url], options)[url].path == path and path.is_file()
    assert server.not_modified == 0


def test_a_cache_that_cannot_be_used_is_an_error(server: ImageServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "responses.sqlite").write_bytes(b"not a database" * 100)
    for name in ("file", "damaged"):
        with pytest.raises(CacheError, match=f"{name}: cannot be used as a cache"):
            fetch_images([f"{server.address}/image/1"], FetchOptions(tmp_path / name))


def test_two_runs_may_share_a_cache(tmp_path: Path) -> None:
    with DownloadCache(tmp_path) as first, DownloadCache(tmp_path) as second:
        path = first.write(b"content")
        first.remember("http://a/", path, {"etag": '"1"'})
        assert second.write(b"content") == path
        cached = second.get("http://a/")
        assert cached is not None and cached.conditional_headers == {"if-none-match": '"1"'}
        assert not cached.is_fresh and second.get("http://b/") is None


def test_a_feed_is_downloaded_once_while_it_is_unchanged(
    server: ImageServer, options: FetchOptions
) -> None:
    server.content["/feed.csv"] = b"id,title\na,Alpha\n"
    url = f"{server.address}/feed.csv"
    path = fetch_feed(url, options)
    assert path.read_bytes() == server.content["/feed.csv"]
    assert fetch_feed(url, options) == path and server.not_modified == 1
    server.failing.add("/feed.csv")
    with pytest.raises(FetchError, match=r"feed\.csv: answers with status 503"):
        fetch_feed(url, options)
    with pytest.raises(FetchError, match=r"feed\.csv\?2: is larger than 10 bytes"):
        fetch_feed(f"{url}?2", replace(options, max_feed_bytes=10))


def test_downloads_work_inside_an_event_loop(server: ImageServer, options: FetchOptions) -> None:
    async def fetch() -> object:
        return fetch_images([f"{server.address}/image/1"], options)[
            f"{server.address}/image/1"
        ].path

    assert asyncio.run(fetch()) is not None
