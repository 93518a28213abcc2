"""Results in order, and clear errors of jobs, workers and addresses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import MediaError, SettingsError, SgmnError
from sgmn.scale.engine import LocalEngine
from sgmn.scale.engines import open_engine
from sgmn.scale.ray_connection import require_reachable
from sgmn.scale.ray_engine import RayEngine
from tests.command import RunCommand
from tests.scale.jobs import Squares


@pytest.mark.slow
def test_results_come_in_the_order_of_the_items_from_other_processes(
    ray_engine: RayEngine,
) -> None:
    results = list(ray_engine.map(Squares(), iter(range(10))))
    assert [square for square, _ in results] == [n * n for n in range(10)]
    assert os.getpid() not in {process for _, process in results}
    local = list(LocalEngine().map(Squares(), range(10)))
    assert [square for square, _ in local] == [square for square, _ in results]


@pytest.mark.slow
def test_an_error_of_the_job_is_the_error_of_the_caller(ray_engine: RayEngine) -> None:
    with pytest.raises(MediaError, match="13: is unlucky; take another number"):
        list(ray_engine.map(Squares(), [1, 13]))


@pytest.mark.slow
def test_a_batch_that_ends_every_worker_is_given_up(cluster: Any) -> None:
    import ray

    with pytest.raises(SgmnError, match="Ray: failed 1 times on the same batch"):
        list(RayEngine(ray, retries=0).map(Squares(), [99]))


def test_without_ray_one_line_names_the_command(
    run: RunCommand, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # what a missing package does
    result = run("index", world, "-o", tmp_path / "index", "--engine", "ray")
    assert result.status == 2 and not (tmp_path / "index").exists()
    assert result.err == (
        'sgmn: the engine ray requires the package Ray; run: pip install "sgmn[ray]"\n'
    )


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_that_nothing_listens_at_is_one_line(prefix: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"{prefix}127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(SgmnError) as caught:
        require_reachable(address)
    assert f"Ray at {address}: cannot be reached (Connection refused); check" in str(caught.value)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_another_server_is_not_taken_for_ray(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(answer_once, server, answer)
        with pytest.raises(SgmnError, match="what answers there is not Ray"):
            require_reachable(f"127.0.0.1:{server.getsockname()[1]}")


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Read a greeting, answer it, and hang up."""
    connection, _ = server.accept()
    with connection:
        connection.recv(64)
        connection.sendall(answer)


@pytest.mark.slow
def test_a_cluster_answers(cluster: Any) -> None:
    require_reachable(cluster.address)


def test_an_address_has_a_host_and_a_port() -> None:
    with pytest.raises(SettingsError, match="--address cluster: is not the address of a Ray"):
        require_reachable("cluster")


def test_an_engine_and_its_address_belong_together(run: RunCommand, world: Path) -> None:
    result = run("index", world, "--address", "10.0.0.5:6379")
    assert result.status == 2 and "--address: needs --engine ray" in result.err
    with pytest.raises(SettingsError, match="use local or ray"), open_engine("spark"):
        pass


@pytest.mark.parametrize("has_token", [False, True])
def test_a_token_that_exists_is_sent(tmp_path: Path, has_token: bool) -> None:
    """A cluster may require one, which Ray does not send by itself to an address."""
    pytest.importorskip("ray", reason="needs the extra ray")
    (tmp_path / ".ray").mkdir()
    if has_token:
        (tmp_path / ".ray" / "auth_token").write_text("secret")
    script = "from sgmn.scale.ray_connection import import_ray; import_ray()\n"
    script += (
        "from ray._raylet import get_authentication_mode; print(int(get_authentication_mode()))"
    )
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_AUTH")}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert bool(int(ended.stdout)) is has_token
