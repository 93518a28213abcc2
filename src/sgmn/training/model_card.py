"""The model card of a run: what it was trained on, how, and what it measures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sgmn.errors import SgmnError
from sgmn.evaluation.tables import markdown_table
from sgmn.training.config import RunConfig

NAME = "README.md"
UNKNOWN_LICENSE = "other"
METRICS_TITLE = "## Evaluation"


def write_card(
    checkpoint: Path, run: RunConfig, examples: str, command: Sequence[str], accuracy: str
) -> None:
    """Write the card of a finished run into its checkpoint folder.

    Args:
        checkpoint: the folder of the checkpoint.
        run: settings of the run.
        examples: one line about the training examples.
        command: arguments of the command that trained the model.
        accuracy: one line about the last training steps.
    """
    data = "\n".join(f"- `{_short(str(folder))}`" for folder in run.data.folders)
    parts = {
        "## Training data": f"{data}\n\n{examples}.",
        "## Training": f"    {shlex.join(map(_short, command))}\n\n{accuracy}",
        "### Settings that differ from the defaults": _settings_table(run),
        METRICS_TITLE: "Not evaluated yet. `sgmn push --report FILE` adds the report of "
        "`sgmn evaluate --json FILE`.",
        "## Use": "```python\nimport sgmn\n\nmodel = sgmn.load(\"this folder, or the model's name "
        'on the hub")\n```',
        "## License": "The terms of the training data and of the starting model "
        f"(`{_short(run.model.source)}`) apply. Name the license when you publish the model: "
        "`sgmn push --license ID`.",
    }
    body = "\n\n".join(f"{title}\n\n{text}" for title, text in parts.items())
    text = f"{_front_matter(UNKNOWN_LICENSE)}\n# {checkpoint.resolve().parent.name}\n\n"
    text += "Finds the product that is on sale in a livestream (`sgmn`).\n\n"
    (checkpoint / NAME).write_text(f"{text}{body}\n", encoding="utf-8")


def complete_card(card: str, license_id: str | None, report: Mapping[str, Any] | None) -> str:
    """Fill in what is known only when a model is published.

    Args:
        card: the text of a card of `write_card`.
        license_id: identifier of the license, such as "mit"; None to leave it open.
        report: the JSON report of `sgmn evaluate`; None for no figures.
    """
    if license_id:
        card = re.sub(r"^license: .*$", f"license: {license_id}", card, count=1, flags=re.M)
        head, _, _ = card.partition("## License")
        card = f"{head}## License\n\n{license_id}\n"
    if report is not None:
        head, _, rest = card.partition(METRICS_TITLE)
        _, _, rest = rest.partition("\n## ")
        card = f"{head}{METRICS_TITLE}\n\n{_metrics_table(report)}\n\n## {rest}"
    return card


def read_report(path: Path) -> Mapping[str, Any]:
    """Read the JSON report of `sgmn evaluate`. Raises SgmnError if it is none."""
    remedy = "pass a file written by `sgmn evaluate --json FILE`"
    try:
        report: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _metrics_table(report)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SgmnError(f"is no report ({error})", path, remedy) from error
    return report


def _metrics_table(report: Mapping[str, Any]) -> str:
    overall = report["overall"]
    rows = []
    for k, recall in overall["recall"].items():
        rows.append([f"R@{k}", f"{100 * float(recall['value']):.1f}"])
    rows.append(["MRR", f"{float(overall['mrr']['value']):.3f}"])
    return markdown_table(["metric", "value"], rows)


def _settings_table(run: RunConfig) -> str:
    rows = [
        [f"`[{table}] {name}`", f"`{_short(str(value))}`"]
        for table in ("model", "data", "train", "loss")
        for name, value in _changed(getattr(run, table))
        if name != "folders"
    ]
    return markdown_table(["setting", "value"], rows) if rows else "None."


def _changed(config: Any) -> list[tuple[str, Any]]:
    values = [(field, getattr(config, field.name)) for field in fields(config)]
    return [(field.name, value) for field, value in values if value != field.default]


def _short(value: str) -> str:
    """Shorten an absolute path to its last two parts: other machines have other folders."""
    return "/".join(Path(value).parts[-2:]) if value.startswith("/") else value


def _front_matter(license_id: str) -> str:
    return (
        f"---\nlibrary_name: sgmn\nlicense: {license_id}\ntags:\n- livestream\n- retrieval\n---\n"
    )
