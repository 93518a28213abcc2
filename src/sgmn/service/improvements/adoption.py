"""The job that changes the model of a catalogue: its products are encoded again."""

from __future__ import annotations

import shutil

from sgmn.catalogue.feed import Feed
from sgmn.catalogue.index import Index, UpdateProgress
from sgmn.catalogue.replacement import replace_table
from sgmn.service.catalogues import catalogue_folder
from sgmn.service.context import ServiceContext
from sgmn.service.indexes import load_embedder, open_table, table_values
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.outcome import Outcome
from sgmn.service.operations.queue import Job

ADOPT, REVERT = "adopt", "revert"


def change_model(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Encode all products of a catalogue by another model, and replace its index in one commit.

    Sessions that run keep the products, the vectors and the model that they began with.
    """
    assert job.catalogue_id is not None
    heart.report(phase="loading")
    table = open_table(context, job.catalogue_id)
    if table is None:
        return Outcome(problem="The catalogue has no products.")
    embedder = load_embedder(job.request["model"], context.settings.runtime)
    staging = catalogue_folder(context.settings, job.catalogue_id) / "reindex"
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was interrupted
    products = tuple(table.products(job.shop_id))
    index = Index.create(staging, embedder, table.stamp.text_fields)

    def show(progress: UpdateProgress) -> None:
        heart.report(phase="indexing", done=progress.done, total=len(products))

    report = index.add(Feed(products, (), ()), progress=show)
    heart.report(phase="replacing")
    replaced = replace_table(table.path, index.table)
    shutil.rmtree(staging, ignore_errors=True)
    return Outcome(
        result={"indexed": report.added, "rejected": len(report.rejected_rows)},
        errors=report.rejected_rows,
        warnings=report.warnings,
        catalogue={**table_values(replaced), "model_id": job.request["model_id"]},
    )
