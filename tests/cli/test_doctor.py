"""`sgmn doctor`: reports the installation, and fails only if something needed is broken."""

from __future__ import annotations

import shutil
from collections import namedtuple
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

import sgmn
from sgmn.errors import CheckpointError
from sgmn.workflows import diagnostics
from tests.command import RunCommand

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _quick_model(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgmn, "load", lambda source: tiny())


def test_a_working_installation_is_ready(run: RunCommand) -> None:
    result = run("doctor")
    assert result.status == 0, result.out
    lines = result.out.splitlines()
    for group in ("Versions", "Model", "Decoders", "Protocols", "Hardware", "Extras"):
        assert group in lines
    for name in ("Python", "torch", "transformers", "av", "lancedb", "builtin", "H.264", "AAC"):
        assert any(line.startswith(f"  ✓ {name} ") or line == f"  ✓ {name}" for line in lines), name
    assert "FFmpeg" in result.out and "fingerprint" in result.out and "GiB" in result.out
    assert lines[-1] == "sgmn is ready to use"


def test_a_broken_model_fails(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(source: str) -> Any:
        raise CheckpointError("is damaged", source)

    monkeypatch.setattr(sgmn, "load", load)
    result = run("doctor")
    assert result.status == 2
    assert "✗ builtin" in result.out and "builtin: is damaged" in result.out
    assert "→ reinstall sgmn" in result.out and "1 checks failed" in result.out


def test_a_broken_package_fails_and_other_checks_go_on(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Any:
        if name == "av":
            raise ImportError("libavcodec.so is missing")
        return import_module(name)

    monkeypatch.setattr("sgmn.workflows.diagnostics.import_module", fail)
    result = run("doctor")
    assert result.status == 2 and "libavcodec.so is missing" in result.out
    assert "cannot be loaded without av" in result.out
    assert "Decoders" not in result.out and "CPU threads" in result.out


def test_a_package_that_is_not_installed_fails(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "PACKAGES", ("torch", "no-such-package"))
    result = run("doctor")
    assert result.status == 2 and "✗ no-such-package" in result.out
    assert "is not installed" in result.out


@pytest.mark.parametrize(("decoder", "status"), [("H.264", 2), ("AV1", 0)])
def test_only_needed_decoders_fail(
    decoder: str, status: int, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders = {**diagnostics.DECODERS, decoder: "no-such-decoder"}
    monkeypatch.setattr(diagnostics, "DECODERS", decoders)
    result = run("doctor")
    assert result.status == status
    mark = "✗" if status else "–"
    assert f"{mark} {decoder}" in result.out and "not in this FFmpeg" in result.out


def test_a_missing_extra_names_how_to_install_it(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(package: str) -> str:
        if package == "faster-whisper":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("sgmn.workflows.diagnostics.version", fail)
    result = run("doctor")
    assert result.status == 0
    assert "not installed: faster-whisper" in result.out
    assert 'pip install "sgmn[asr]"' in result.out


def test_little_disk_space_is_reported(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10, 9, 2**20))
    result = run("doctor")
    assert result.status == 0 and "– free disk space" in result.out
    assert "free at least 1 GiB" in result.out


def test_protocols_are_known_without_a_connection() -> None:
    assert diagnostics.has_protocol("tcp") and diagnostics.has_protocol("hls")
    assert not diagnostics.has_protocol("no-such-protocol")


def test_extras_are_read_from_the_package() -> None:
    assert diagnostics.required_packages("asr") == ["faster-whisper"]
    assert "embreex" in diagnostics.required_packages("synth")


def test_disk_space_is_measured_where_asked(tmp_path: Path) -> None:
    checks = {check.name: check for check in diagnostics.run_checks(tmp_path)}
    assert str(tmp_path) in checks["free disk space"].detail
