"""The wheel alone is enough: it installs, and indexes and watches without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    return subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment | {"OMP_NUM_THREADS": "1"},
    ).stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and the dependencies of this one.

    `make package` installs the wheel into an environment that is really empty; that takes minutes.
    """
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    packages = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
        ).strip()
    )
    # A plain path entry brings the dependencies, but not the editable install of this checkout.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    [wheel] = folder.glob("*.whl")
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*install, "--target", packages, wheel, cwd=folder)
    return python


@pytest.mark.slow
def test_the_wheel_indexes_and_watches(
    environment: Path, world: Path, stream: Path, tmp_path: Path
) -> None:
    where = run(environment, "-c", "import sgmn; print(sgmn.__file__)", cwd=tmp_path).strip()
    assert where.startswith(str(environment.parents[1])), where
    sgmn = (environment, "-m", "sgmn.cli")
    run(*sgmn, "index", world, "-o", "shop.index", cwd=tmp_path)
    source = stream / "streams" / "s.mp4"
    transcript = stream / "transcript.json"
    output = ("-o", "timeline.json", "--html", "report.html")
    run(*sgmn, "watch", source, "-t", transcript, "-i", "shop.index", *output, cwd=tmp_path)
    timeline = json.loads((tmp_path / "timeline.json").read_text())
    assert timeline["segments"] and "<html" in (tmp_path / "report.html").read_text()
    assert "own-pairs" in run(*sgmn, "train", "--list", cwd=tmp_path)
