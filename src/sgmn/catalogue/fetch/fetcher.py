"""Fetches images and feeds: concurrently, with retries, and through the cache."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from sgmn.catalogue.fetch import client as http
from sgmn.catalogue.fetch.addresses import parse_url
from sgmn.catalogue.fetch.cache import CachedResponse, DownloadCache
from sgmn.catalogue.fetch.client import Download, HostError, TemporaryFetchError
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.errors import FetchError, MediaError
from sgmn.media.image import read_image

MAX_RETRY_DELAY_S = 30.0
_CHECK_SIDE_PX = 64  # decoding at this size finds damaged images and is fast for JPEG
_Result = TypeVar("_Result")


class SkippedError(FetchError):
    """An address that was not requested, because its host does not answer."""


FetchProgress = Callable[[int, int], None]  # images done, and images in total


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """The cached file of an image address, or the error if there is none.

    With both, the address failed for now, and `path` is the copy of an earlier run.
    """

    path: Path | None
    error: FetchError | None = None


def fetch_images(
    urls: Iterable[str], options: FetchOptions, progress: FetchProgress | None = None
) -> dict[str, FetchedImage]:
    """Fetch images into the cache. Every address is in the result; failures are not raised.

    Raises CacheError if the cache folder cannot be used.
    """
    unique = list(dict.fromkeys(urls))
    if not unique:
        return {}
    return _run(_fetch_images(unique, options, progress))


def fetch_feed(url: str, options: FetchOptions) -> Path:
    """Fetch a feed into the cache, unless it is unchanged there; return its file.

    Raises FetchError if it cannot be downloaded.
    """
    return _run(_fetch_feed(url, options))


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:  # inside an event loop, such as that of a notebook
        return thread.submit(asyncio.run, work).result()


async def _fetch_images(
    urls: list[str], options: FetchOptions, progress: FetchProgress | None
) -> dict[str, FetchedImage]:
    with DownloadCache(options.cache_folder) as cache:
        async with http.open_client(options) as client:
            run = _ImageRun(client, cache, options, len(urls), progress)
            try:
                return await run.fetch(urls)
            except ExceptionGroup as errors:  # such as a full disk
                raise errors.exceptions[0] from errors


async def _fetch_feed(url: str, options: FetchOptions) -> Path:
    with DownloadCache(options.cache_folder) as cache:
        async with http.open_client(options) as client:
            cached = cache.get(url)
            headers = cached.conditional_headers if cached else {}
            limit = options.max_feed_bytes
            answer = await _retry(
                lambda: http.download(client, url, options, limit, headers), options
            )
            if answer.content is None:
                return _confirm(cache, url, cached, answer)
            path = cache.write(answer.content)
            cache.remember(url, path, answer.headers)
            return path


def _confirm(
    cache: DownloadCache, url: str, cached: CachedResponse | None, answer: Download
) -> Path:
    if cached is None:
        raise FetchError("answers 304 to an unconditional request", url, "check the server")
    cache.renew(url, cached, answer.headers)
    return cached.path


async def _retry(
    attempt: Callable[[], Coroutine[Any, Any, Download]], options: FetchOptions
) -> Download:
    """Repeat an attempt after temporary failures, with growing and scattered delays."""
    for number in range(options.attempts - 1):
        try:
            return await attempt()
        except TemporaryFetchError as error:
            delay_s = options.retry_delay_s * 2**number * random.uniform(0.75, 1.25)
            await asyncio.sleep(min(max(delay_s, error.retry_after_s), MAX_RETRY_DELAY_S))
    return await attempt()


@dataclass
class _ImageRun:
    """One run over many image addresses, a queue and a few workers for each host."""

    client: httpx.AsyncClient
    cache: DownloadCache
    options: FetchOptions
    total: int
    progress: FetchProgress | None
    images: dict[str, FetchedImage] = field(default_factory=dict)
    host_failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def fetch(self, urls: list[str]) -> dict[str, FetchedImage]:
        queues: dict[str, deque[str]] = defaultdict(deque)
        for url in urls:
            try:
                queues[parse_url(url).netloc.decode()].append(url)
            except FetchError as error:
                self._finish(url, FetchedImage(None, error))
        self.slots = asyncio.Semaphore(self.options.max_requests)
        async with asyncio.TaskGroup() as group:
            for host, queue in queues.items():
                for _ in range(min(len(queue), self.options.max_requests_per_host)):
                    group.create_task(self._work(host, queue))
        return {url: self.images[url] for url in urls}

    async def _work(self, host: str, queue: deque[str]) -> None:
        while queue:
            url = queue.popleft()
            self._finish(url, await self._fetch(host, url))

    def _finish(self, url: str, image: FetchedImage) -> None:
        self.images[url] = image
        if self.progress is not None:
            self.progress(len(self.images), self.total)

    async def _fetch(self, host: str, url: str) -> FetchedImage:
        cached = self.cache.get(url)
        if cached is not None and cached.is_fresh:
            return FetchedImage(cached.path)
        headers = cached.conditional_headers if cached else {}
        try:
            answer = await _retry(lambda: self._download(host, url, headers), self.options)
            return FetchedImage(await self._store(url, cached, answer))
        except (TemporaryFetchError, SkippedError) as error:
            return FetchedImage(cached.path if cached else None, error)
        except FetchError as error:
            return FetchedImage(None, error)

    async def _download(self, host: str, url: str, headers: dict[str, str]) -> Download:
        failures = self.host_failures[host]
        if failures >= self.options.max_host_failures:
            message = f"was not requested after {failures} failures of its host in a row"
            raise SkippedError(message, url, "run the command again later")
        try:
            async with self.slots:
                answer = await http.download(
                    self.client, url, self.options, self.options.max_image_bytes, headers
                )
        except HostError:
            self.host_failures[host] += 1
            raise
        except FetchError:
            self.host_failures[host] = 0
            raise
        self.host_failures[host] = 0
        return answer

    async def _store(self, url: str, cached: CachedResponse | None, answer: Download) -> Path:
        if answer.content is None:
            return _confirm(self.cache, url, cached, answer)
        _require_image_type(url, answer)
        path = self.cache.write(answer.content)
        try:
            await asyncio.to_thread(read_image, path, _CHECK_SIDE_PX)
        except MediaError as error:
            path.unlink(missing_ok=True)
            raise FetchError(error.message, url, "replace the image") from error
        self.cache.remember(url, path, answer.headers)
        return path


def _require_image_type(url: str, answer: Download) -> None:
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_binary = content_type in ("", "application/octet-stream", "binary/octet-stream")
    if not is_binary and not content_type.startswith("image/"):
        raise FetchError(f"is {content_type}, not an image", url, "check the address")
