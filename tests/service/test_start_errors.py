"""A service that cannot start says why in one line, and exits with status 2."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.process import ServiceProcess


def run_failing_service(data: Path, *options: str) -> str:
    """Start a service that cannot start; returns the last line of what it says."""
    command = [sys.executable, "-m", "sgmn.cli", "serve", "--data", str(data), "--port", "0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_two_services_on_one_folder(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data")
    with closing(service.start()):
        line = run_failing_service(tmp_path / "data")
    assert service.stop() == 0
    assert line.startswith(f"sgmn: {tmp_path / 'data' / 'sessions'}: another process of sgmn serve")
    assert line.endswith("; stop it, or use another data folder")


def test_a_ray_cluster_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    line = run_failing_service(tmp_path / "data", "--engine", "ray", "--address", "127.0.0.1:1")
    assert line.startswith("sgmn: Ray at 127.0.0.1:1: cannot be reached")
    assert "check --address" in line
