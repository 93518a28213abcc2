"""What a new process of `sgmn watch` imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sgmn.catalogue import snapshot
from tests.command import RunCommand
from tests.media.footage import frame_times, write_video

CODE = """
import sys
from sgmn import cli
try:
    cli.main()
except SystemExit as ended:
    modules = ("torch", "av", "transformers", "lancedb", "PIL", "scipy", "jinja2")
    print("modules:", *(name for name in modules if name in sys.modules))
    sys.exit(ended.code)
"""


def test_watch_with_the_builtin_model_imports_only_what_it_needs(
    run: RunCommand, world: Path, tmp_path: Path
) -> None:
    """Models load without `transformers`; `sgmn index` leaves a copy to read without LanceDB."""
    index, video = tmp_path / "index", write_video(tmp_path / "v.mp4", frame_times(1.0))
    assert run("index", world, "-o", index).status == 0
    arguments = [sys.executable, "-c", CODE, "watch", str(video), "-i", str(index)]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "modules: torch av"
    assert "real time" in result.stdout


def test_index_keeps_its_copy_current(run: RunCommand, index: Path, model_folder: Path) -> None:
    before = snapshot.read_metadata(index)
    assert before is not None
    assert run("index", "--remove", "p1", "-o", index, "-m", model_folder).status == 0
    after = snapshot.read_metadata(index)
    assert after is not None and after != before
