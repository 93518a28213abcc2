"""Sends generated requests to a running service and checks every answer (Schemathesis).

    python tools/service_fuzz.py [--examples 200] [--seed 0] [--phases examples,coverage,fuzzing]

Starts `sgmn serve` on an empty data folder, twice: for requests with generated ids, and for
requests with the ids of things that exist. All checks of Schemathesis must pass: no status 5xx, no
answer that the OpenAPI document does not describe, no invalid request accepted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.service.process import ServiceProcess, wait_for

SETTINGS = {"log_level": "warning", "max_requests_per_s": 0, "max_failed_logins_per_minute": 0}
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="requests per operation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    arguments = parser.parse_args()
    options = ["-n", str(arguments.examples), "--seed", str(arguments.seed)]
    count, failures = 0, 0
    for use_existing in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            service = ServiceProcess(Path(folder) / "data", model="small", **SETTINGS)
            client = service.start()
            try:
                config = write_config(Path(folder), client if use_existing else None)
                chosen = [*options, *choose(arguments.phases.split(","), use_existing)]
                status, output = run(config, str(client.base_url), service.admin_key, chosen)
            finally:
                service.stop()
        print(output, f"Schemathesis ended with status {status}", sep="\n", flush=True)
        count += sum(int(found) for found in re.findall(r"(\d+) generated", output))
        failures += status != 0
    print(f"{count} requests, {'all answers as described' if not failures else 'FAILED'}")
    return int(failures > 0)


def choose(phases: list[str], use_existing: bool) -> list[str]:
    """What to run. The ids that exist must go on to exist, and stateful tests make their own."""
    if not use_existing:
        return ["--phases", ",".join(phases)]
    others = ",".join(phase for phase in phases if phase != "stateful")
    return ["--phases", others, "--exclude-operation-id", "delete_catalogue"]


def run(config: Path, address: str, key: str, options: list[str]) -> tuple[int, str]:
    """The exit status and the output of Schemathesis."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
    command += ["run", f"{address}/openapi.json", "--checks", "all", "--no-color"]
    command += ["-H", f"Authorization: Bearer {key}", "--exclude-operation-id", STREAM]
    command += ["--suppress-health-check", "all", "--request-timeout", "60", *options]
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(config.parent)}
    done = subprocess.run(
        command, env=environment, cwd=config.parent, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def write_config(folder: Path, client: httpx.Client | None) -> Path:
    """The settings of Schemathesis; with a client, for the ids of things that it makes."""
    accepted = json.dumps(ACCEPTED)
    lines = [f"checks.positive_data_acceptance.expected-statuses = {accepted}"]
    if client is not None:
        names = make_things(client)
        lines += [f"parameters.{name} = {json.dumps(value)}" for name, value in names.items()]
    for operation in WITH_RULES:
        with_rules = json.dumps([*ACCEPTED, 422])
        lines += [
            "[[operations]]",
            f'include-operation-id = "{operation}"',
            f"checks.positive_data_acceptance.expected-statuses = {with_rules}",
        ]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def make_things(client: httpx.Client) -> dict[str, str]:
    """A catalogue with products and its import: their ids by parameter."""
    new = {"shop_id": "shop", "name": "fuzz"}
    catalogue = client.post("/v1/catalogues", json=new).json()["id"]
    operation = client.post(
        f"/v1/catalogues/{catalogue}/imports",
        content="product_id,title\nsku-1,red milk\nsku-2,green milk\n,no id\n",
        headers={"Content-Type": "text/csv"},
    ).json()["id"]
    place = f"/v1/operations/{operation}"
    wait_for(lambda: client.get(place).json()["state"] == "succeeded", "the import")
    search = f"/v1/catalogues/{catalogue}/search"
    client.post(search, json={"text": "milk"}).raise_for_status()  # loads the model
    return {"catalogue_id": catalogue, "operation_id": operation, "product_id": "sku-1"}


if __name__ == "__main__":
    sys.exit(main())
