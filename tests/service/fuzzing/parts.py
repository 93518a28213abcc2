"""Parts of a run: one operation of the API, or sequences of all, with Schemathesis."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI
from schemathesis.cli import schemathesis as command

from sgmn.service.app import create_app
from sgmn.service.openapi import operations
from tests.service.fuzzing.shop import FuzzShop, open_copy

SEQUENCES = "sequences"
STREAM = "follow_log"  # does not end, see tests/service/streams/test_followers.py
# What a schema cannot say: an invalid cursor (400), an ETag that is not current (412) ...
ACCEPTED = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 429]
# ... and rules of several values, or of the content behind an address or in a file (422).
WITH_RULES = (
    "make_key",
    "put_product",
    "search_products",
    "import_catalogue",
    "start_session",
    "put_review",
    "make_webhook",
    "change_webhook",
)

# With existing ids, nothing is left that could be invalid.
WITHOUT_CHOICE = ("get_frame", "get_heatmap", "get_window")
NO_ENCODER = '["2xx", "3xx", "4xx", 503]'  # of a heatmap, because nothing works in the background


@dataclass(frozen=True, slots=True)
class Part:
    """One operation with generated ids or with those of things that exist, or `SEQUENCES`."""

    operation: str
    use_existing: bool = False

    @property
    def name(self) -> str:
        """A name that no other part has."""
        return f"{self.operation}{', existing ids' if self.use_existing else ''}"


@dataclass(frozen=True, slots=True)
class PartResult:
    """What a part has found.

    Attributes:
        name: Of the part.
        seed: Of Schemathesis.
        requests: Requests that were sent.
        passed: Whether all checks passed.
        seconds: How long the part took.
        output: What Schemathesis printed.
    """

    name: str
    seed: int
    requests: int
    passed: bool
    seconds: float
    output: str


def all_parts(document: dict[str, Any]) -> list[Part]:
    """The parts of a run, by the OpenAPI document of the service."""
    names = [operation["operationId"] for operation in operations(document)]
    chosen = [name for name in names if name != STREAM]
    return [*(Part(name, use) for name in chosen for use in (False, True)), Part(SEQUENCES)]


def run_part(part: Part, shop: Path, examples: int, seed: int) -> PartResult:
    """Send the requests of one part to the service in this process, on a copy of a shop."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open_copy(shop, Path(folder)) as copy:
        config = write_config(Path(folder), copy.ids if part.use_existing else {})
        options = ["-n", str(examples), "--seed", str(seed), *_choose(part)]
        status, output = run_schemathesis(copy, config, options)
    requests = sum(int(found) for found in re.findall(r"(\d+) generated", output))
    seconds = round(time.monotonic() - started_s, 1)
    return PartResult(part.name, seed, requests, status == 0, seconds, output)


def _choose(part: Part) -> list[str]:
    if part.operation == SEQUENCES:
        return ["--phases", "stateful", "--exclude-operation-id", STREAM]
    phases = "examples,coverage,fuzzing"
    return ["--phases", phases, "--include-operation-id", part.operation]


def run_schemathesis(shop: FuzzShop, config: Path, options: list[str]) -> tuple[int, str]:
    """The exit status and the output of Schemathesis, which calls the application directly."""
    app = create_app(shop.context, components=())
    document = config.parent / "openapi.json"
    document.write_text(json.dumps(app.openapi()))
    arguments = ["--config-file", str(config), "run", str(document), "--checks", "all"]
    arguments += ["--url", "http://testserver", "-H", f"Authorization: Bearer {shop.key}"]
    arguments += ["--suppress-health-check", "all", "--no-color", *options]
    output = StringIO()
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(config.parent)
    with chdir(config.parent), redirect_stdout(output), redirect_stderr(output), _reaching(app):
        try:
            command(arguments)
        except SystemExit as ended:
            return int(ended.code or 0), output.getvalue()
    raise AssertionError("the command of Schemathesis always exits")


@contextmanager
def _reaching(app: FastAPI) -> Iterator[None]:
    """Meanwhile, schemas that are loaded reach the application instead of an address."""

    def after_load_schema(_context: Any, schema: Any) -> None:
        schema.app = app

    schemathesis.hook(after_load_schema)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(after_load_schema)


def write_config(folder: Path, ids: dict[str, str]) -> Path:
    """The settings of Schemathesis, with fixed values of some parameters."""
    # `wait` holds an answer back for up to 30 s, and the first search loads a model. Other limits
    # would depend on how busy the machine is.
    lines = ["request-timeout = 600", "checks.max_response_time = 600"]
    lines += [f"checks.positive_data_acceptance.expected-statuses = {json.dumps(ACCEPTED)}"]
    lines += [f"parameters.{name} = {json.dumps(value)}" for name, value in ids.items()]
    for operation in WITH_RULES:
        with_rules = json.dumps([*ACCEPTED, 422])
        lines += [
            "[[operations]]",
            f'include-operation-id = "{operation}"',
            f"checks.positive_data_acceptance.expected-statuses = {with_rules}",
        ]
    for operation in WITHOUT_CHOICE if ids else ():
        lines += [
            "[[operations]]",
            f'include-operation-id = "{operation}"',
            f"checks.negative_data_rejection.expected-statuses = {NO_ENCODER}",
            f"checks.not_a_server_error.expected-statuses = {NO_ENCODER}",
            f"checks.positive_data_acceptance.expected-statuses = {NO_ENCODER}",
        ]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
