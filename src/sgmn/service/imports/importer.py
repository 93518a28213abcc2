"""The job of an import: reads a catalogue, encodes what is new, and reports about each row."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sgmn.catalogue.feed import Feed, read_feed
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.catalogue.index import UpdateProgress
from sgmn.errors import RecordError, SgmnError
from sgmn.records import Product
from sgmn.row_issues import RowIssue
from sgmn.service.catalogues import catalogue_folder
from sgmn.service.context import ServiceContext
from sgmn.service.imports.archive import find_feed, unpack
from sgmn.service.imports.image_store import ImageStore
from sgmn.service.indexes import open_or_create_index, table_values
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.outcome import Outcome
from sgmn.service.operations.queue import Job, unfinished_ids
from sgmn.service.settings import ServiceSettings

_UPLOAD_GRACE_S = 600.0  # an upload that has arrived has no operation yet


def uploads_folder(settings: ServiceSettings) -> Path:
    """Where uploads wait for their import, each in a folder with the id of its operation."""
    return settings.data / "uploads"


def downloads_folder(settings: ServiceSettings, catalogue_id: str) -> Path:
    """Where a catalogue keeps what was downloaded for it."""
    return catalogue_folder(settings, catalogue_id) / "downloads"


def fetch_options(context: ServiceContext, catalogue_id: str) -> FetchOptions:
    """The limits of downloads for a catalogue."""
    settings = context.settings
    return FetchOptions(
        downloads_folder(settings, catalogue_id),
        settings.allow_private_addresses,
        settings.allow_networks,
        for_others=True,
        max_feed_bytes=settings.max_upload_bytes,
    )


def run_import(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Import an upload or the catalogue at an address; the upload is deleted at the end."""
    outcome = Import(context, job, heart).run()
    shutil.rmtree(uploads_folder(context.settings) / job.id, ignore_errors=True)
    return outcome


@dataclass
class Import:
    """One run of an import. A run that was interrupted is simply started again."""

    context: ServiceContext
    job: Job
    heart: Heart

    def __post_init__(self) -> None:
        assert self.job.catalogue_id is not None
        self.catalogue_id: str = self.job.catalogue_id
        settings = self.context.settings
        self.upload = uploads_folder(settings) / self.job.id
        self.folder = catalogue_folder(settings, self.catalogue_id)
        self.strict, self.sync = bool(self.job.request["strict"]), bool(self.job.request["sync"])
        downloads = downloads_folder(settings, self.catalogue_id)
        self.images = ImageStore(self.folder / "images", self.upload, (downloads,))

    def run(self) -> Outcome:
        """Read the catalogue and update the index."""
        self.heart.report(phase="reading")
        try:
            feed = self._read()
        except SgmnError as error:
            return Outcome(problem=self._clean(str(error)))
        try:
            feed.require_valid_rows(self.job.request["name"], self.sync)
        except RecordError as error:
            rejected = self._clean_rows(feed.rejected_rows)
            return Outcome(problem=self._clean(str(error)), errors=rejected)
        return self._update(feed)

    def _read(self) -> Feed:
        source: str | Path
        if sealed := self.job.request.get("url_sealed"):
            source = self.context.sealer.open(sealed)
        else:
            source = self._find_upload()
        settings = self.context.settings
        feed = read_feed(
            source,
            self.job.shop_id,
            self.strict,
            fetch_options(self.context, self.catalogue_id),
            lambda done, total: self.heart.report(phase="downloading", done=done, total=total),
            settings.max_rows,
        )
        return self.images.store_feed(_keep_shop(feed, self.job.shop_id))

    def _find_upload(self) -> Path:
        settings, path = self.context.settings, self.upload / str(self.job.request["name"])
        if path.suffix != ".zip":
            return path
        unpacked = self.upload / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was interrupted
        unpack(path, unpacked, settings.max_files, settings.max_unpacked_bytes)
        return find_feed(unpacked, path.name)

    def _update(self, feed: Feed) -> Outcome:
        index = open_or_create_index(self.context, self.catalogue_id)
        report = index.add(feed, sync=self.sync, strict=self.strict, progress=self._show)
        return Outcome(
            result={
                "added": report.added,
                "replaced": report.replaced,
                "unchanged": report.unchanged,
                "removed": report.removed,
                "rejected": len(report.rejected_rows),
                "warnings": len(report.warnings),
            },
            errors=self._clean_rows(report.rejected_rows),
            warnings=self._clean_rows(report.warnings),
            catalogue=table_values(index.table),
        )

    def _show(self, progress: UpdateProgress) -> None:
        self.heart.report(phase="indexing", done=progress.done, total=progress.total)

    def _clean_rows(self, issues: Iterable[RowIssue]) -> tuple[RowIssue, ...]:
        return tuple(RowIssue(self._clean(i.where), self._clean(i.message)) for i in issues)

    def _clean(self, text: str) -> str:
        """A message without the folders of this service, and with the names in the upload."""
        if str(self.images.folder) in text:
            for path, name in self.images.names.items():
                text = text.replace(str(path), name)
        for folder in (self.upload / "unpacked", self.upload, self.folder):
            for name in (str(folder), str(folder.absolute())):
                text = text.replace(f"{name}/", "")
        return text


def _keep_shop(feed: Feed, shop_id: str) -> Feed:
    """The feed without products that name another shop than that of the catalogue."""
    products: list[Product] = []
    rejected = list(feed.rejected_rows)
    for product in feed.products:
        if product.shop_id == shop_id:
            products.append(product)
            continue
        where = feed.locations.get(product.key, f"product {product.product_id!r}")
        message = f"names the shop {product.shop_id!r}; this catalogue is of shop {shop_id!r}"
        rejected.append(RowIssue(where, message))
    return Feed(
        tuple(products),
        tuple(rejected),
        feed.warnings,
        feed.locations,
        feed.rejected_keys,
        feed.unidentified_rows,
    )


def prune_uploads(context: ServiceContext) -> int:
    """Delete old uploads without an unfinished operation; return how many there were."""
    folder = uploads_folder(context.settings)
    if not folder.is_dir():
        return 0
    oldest_s = time.time() - context.settings.upload_timeout_s - _UPLOAD_GRACE_S
    old = [path for path in folder.iterdir() if path.stat().st_mtime < oldest_s]
    kept = unfinished_ids(context.database) if old else set()
    stale = [path for path in old if path.name not in kept]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return len(stale)
