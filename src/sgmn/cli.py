"""The command line: one function a verb. Each parses, calls the library and shows."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sgmn import __version__
from sgmn.errors import SgmnError

app = typer.Typer(
    help="Livestreaming product retrieval: which product is being sold, moment by moment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="A checkpoint folder, a backbone's folder or hub name, or 'small'."
    ),
]
IndexOption = Annotated[Path, typer.Option("--index", "-i", help="The index of a catalogue.")]
ShopOption = Annotated[str | None, typer.Option("--shop", help="The shop, if there are several.")]
UseOption = Annotated[
    str, typer.Option("--use", help="What counts: picture, words, or picture,words.")
]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    threads: Annotated[int, typer.Option(help="Threads that compute; 0 for all cores.")] = 0,
) -> None:
    """Options of every verb; `main` looks for --debug itself."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")
    for name in ("httpx", "urllib3", "filelock"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if threads:
        import torch

        torch.set_num_threads(threads)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    deep: Annotated[bool, typer.Option(help="Open every picture and video too.")] = False,
) -> None:
    """Validate a dataset: what is wrong, a line each, then counts. Status 2 if anything is."""
    from sgmn.data.inspection import inspect

    found = inspect(dataset, deep=deep)
    for finding in found.findings:
        typer.echo(str(finding))
    counts = found.counts
    typer.echo(
        f"{counts.products} products of {counts.shops} shops, {counts.clips} clips"
        f" ({counts.clips_with_words} with words), {counts.photos} photos,"
        f" {counts.streams} streams ({counts.stream_hours:.2f} h)"
    )
    warnings = len(found.findings) - len(found.errors)
    typer.echo(f"{len(found.errors)} errors, {warnings} warnings")
    raise typer.Exit(2 if found.errors else 0)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; see configs/.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,
) -> None:
    """Learn from a dataset's clips and photos; writes OUTPUT/checkpoint."""
    from sgmn import screen
    from sgmn.data import dataset
    from sgmn.model import checkpoint
    from sgmn.training import config as configs
    from sgmn.training.batches import Batches, Examples
    from sgmn.training.trainer import Trainer, require_fresh

    run = configs.read(config)
    if not resume:
        require_fresh(output)
    examples = Examples([dataset.read(folder) for folder in run.data.folders])
    typer.echo(examples.summary())
    model = checkpoint.load(run.model.source)
    if run.model.freeze_text:
        model.network.freeze_text()
    batches = Batches(examples, model.preparation, run.data, run.train)
    trainer = Trainer(model, batches, run.train, output)
    if resume and trainer.resume():
        typer.echo(f"going on from step {trainer.step}")
    with screen.training(run.train.steps) as bar:
        finished = trainer.run(bar)
    end = "finished" if finished else "stopped; go on with --resume"
    typer.echo(f"{end} at step {trainer.step}: {output / 'checkpoint'}")


@app.command()
def index(
    catalogue: Annotated[
        Path | None, typer.Argument(help="A folder, .jsonl, .csv or .tsv, or pictures.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The index.")] = Path("index"),
    model: ModelOption = None,
    shop: ShopOption = None,
    remove: Annotated[str, typer.Option(help="Ids to remove, with commas between.")] = "",
    replace_all: Annotated[
        bool, typer.Option(help="Remove what the catalogue no longer lists.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Products that are encoded at once.")] = 32,
) -> None:
    """Make or update the index of a catalogue; unchanged products are not encoded again."""
    from sgmn import jobs, screen
    from sgmn.catalogue import feed
    from sgmn.catalogue.index import Index

    if catalogue is None and not remove:
        raise SgmnError("no catalogue and nothing to remove", remedy="give CATALOGUE or --remove")
    used = jobs.embedder(jobs.model_of(output, model))
    if remove:
        gone = jobs.opened(output, used).remove(_listed(remove), shop)
        typer.echo(f"{gone.count} removed" + "".join(f"\nunknown: {i}" for i in gone.unknown))
    if catalogue is None:
        return
    read = feed.read(catalogue, shop or "")
    if replace_all and read.refused:
        raise SgmnError(
            f"{len(read.refused)} rows are refused, whose products would go: {read.refused[0]}",
            catalogue,
            "mend them, or leave out --replace-all",
        )
    target = Index.create_or_open(output, jobs.stamp(used))
    with screen.bar() as bar:
        task = bar.add_task("indexing", total=len(read.products))
        report = target.update(
            read.products,
            used.products,
            replace_missing=replace_all,
            batch=batch,
            max_side=used.max_side,
            progress=lambda keys: bar.advance(task, len(keys)),
        )
        bar.update(task, completed=len(read.products))
    for refused in (*read.refused, *report.refused):
        typer.echo(f"refused: {refused}", err=True)
    typer.echo(
        f"{report.added} added, {report.replaced} replaced, {report.unchanged} unchanged,"
        f" {report.removed} removed, {len(read.refused) + len(report.refused)} refused:"
        f" {target.count()} products in {output}"
    )


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder with clips or streams.")],
    index: IndexOption,
    model: ModelOption = None,
    use: UseOption = "picture,words",
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Rank the shop for every clip, and watch every stream, against the truth."""
    from sgmn import jobs, screen
    from sgmn.data import dataset as datasets
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.live.recognizer import Recognizer

    used = jobs.embedder(jobs.model_of(index, model))
    opened = jobs.opened(index, used)
    data = datasets.read(dataset)
    modalities = jobs.modalities(use)
    about = {
        "dataset": dataset.name,
        "model": used.model.name,
        "fingerprint": opened.model.fingerprint,
        "use": use,
    }
    damage: list[str] = []
    parts: list[Report | StreamReport] = []
    if data.clips:
        ranks = jobs.ranked(data.clips, opened, used, modalities, damage)
        queries = tuple(screen.counted(ranks, "ranking", len(data.clips)))
        parts.append(Report(queries, seed, about))
    if data.streams:
        shelves = jobs.Shelves(opened, modalities)
        results = jobs.watched(
            data.streams, lambda shop: Recognizer(used, shelves[shop], use=modalities)
        )
        found = tuple(screen.counted(results, "watching", len(data.streams)))
        parts.append(StreamReport(found, meta=about))
    for line in damage:
        typer.echo(f"damaged: {line}", err=True)
    for part in parts:
        if markdown:
            typer.echo(part.markdown())
        else:
            screen.out.print(part.table())
    if json_out is not None:
        jobs.write_reports(json_out, parts)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A report of `sgmn evaluate --json`.")],
    b: Annotated[Path, typer.Argument(help="Another, on the same clips.")],
    seed: Annotated[int, typer.Option(help="Of the tests.")] = 0,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Compare two runs clip by clip, with paired tests."""
    from sgmn import jobs, screen
    from sgmn.evaluation import comparison

    found = comparison.compare(jobs.read_report(a), jobs.read_report(b), seed)
    if markdown:
        typer.echo(found.markdown())
    else:
        screen.out.print(found.table())


@app.command()
def watch(
    source: Annotated[Path, typer.Argument(metavar="VIDEO", help="A recording.")],
    index: IndexOption,
    transcript: Annotated[
        Path | None, typer.Option("--transcript", "-t", help=".srt, .vtt, .json or .txt.")
    ] = None,
    model: ModelOption = None,
    shop: ShopOption = None,
    use: UseOption = "picture,words",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Timeline, JSON.")] = None,
    vtt: Annotated[Path | None, typer.Option(help="Chapters, WebVTT.")] = None,
    truth: Annotated[Path | None, typer.Option(help="A JSON file with the true timeline.")] = None,
) -> None:
    """Watch a recording: which product is on sale, from when to when."""
    from sgmn import jobs, screen
    from sgmn.live.chapters import chapters, timeline_json
    from sgmn.live.recognizer import Recognizer
    from sgmn.media import transcript as transcripts
    from sgmn.media import video

    used = jobs.embedder(jobs.model_of(index, model))
    opened = jobs.opened(index, used)
    modalities = jobs.modalities(use)
    shelf = jobs.Shelves(opened, modalities)[jobs.only_shop(opened, shop)]
    duration_s = video.duration(source)
    said = transcripts.read(transcript, duration_s or transcripts.WHOLE_S) if transcript else ()
    true = jobs.read_truth(truth) if truth else ()
    titles = {product.product_id: product.title for product in shelf.products}
    with screen.watching(titles, duration_s) as live:
        found = Recognizer(used, shelf, use=modalities).watch(source, said, live)
        seconds = live.elapsed_s
    for line in found.damage:
        typer.echo(f"damaged: {line}", err=True)
    screen.out.print(screen.timeline(found.segments, titles, true))
    typer.echo(f"{found.duration_s:.0f} s in {seconds:.1f} s: {found.duration_s / seconds:.1f}x")
    if true:
        typer.echo(jobs.agreement_line(true, found.segments))
    if output is not None:
        jobs.write_text(output, json.dumps(timeline_json(found.segments, titles), indent=1) + "\n")
    if vtt is not None:
        jobs.write_text(vtt, chapters(found.segments, titles))


def _listed(ids: str) -> list[str]:
    return [part.strip() for part in ids.split(",") if part.strip()]


def main() -> None:
    """Run the command line: an answerable error is one line and status 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: see docs/decisions
    try:
        app()
    except SgmnError as error:
        if "--debug" in sys.argv:
            raise
        sys.stderr.write(f"sgmn: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
