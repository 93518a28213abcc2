"""An index in object storage, in a real server of the S3 protocol on loopback.

The server is `moto_server`, which must be on the PATH. Its dependencies do not fit those of sgmn,
so install it apart, such as with `pipx install "moto[server]"`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sgmn.catalogue.table import ProductTable
from tests.command import RunCommand
from tests.scale.rows import read_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 server with an empty bucket named `shops`."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip('needs pipx install "moto[server]"')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        create_bucket(f"http://127.0.0.1:{port}/shops")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def create_bucket(url: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            assert httpx.put(url, timeout=patience_s).status_code == 200
            return
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the bucket for commands of this process."""
    settings = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return "s3://shops"


def test_a_cluster_writes_into_a_bucket_and_the_index_is_used_there(
    bucket: str, cluster: Any, run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    arguments = ("index", world, "-m", model_folder, "-o")
    assert "6 added" in run(*arguments, tmp_path / "local").out
    address = f"{bucket}/index"
    result = run(*arguments, address, "--engine", "ray", "--batch-size", 2)
    assert "6 added" in result.out and f"6 products in {address}" in result.out, result.err
    assert "6 unchanged" in run(*arguments, address).out
    local = read_rows(ProductTable.open(tmp_path / "local"))
    assert read_rows(ProductTable.open(address)) == local
    result = run("evaluate", world, "-i", address)
    assert result.status == 0, result.err


def test_a_bucket_that_does_not_exist_is_one_line(
    bucket: str, run: RunCommand, world: Path, model_folder: Path
) -> None:
    result = run("index", world, "-m", model_folder, "-o", "s3://nowhere/index")
    assert result.status == 2 and result.err.count("\n") == 1
    assert "s3://nowhere/index: cannot be created" in result.err and "NoSuchBucket" in result.err
