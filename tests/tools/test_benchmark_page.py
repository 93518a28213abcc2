"""The page of benchmarks: what `make bench` writes."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from benchmarks import page
from benchmarks.page import BENCHMARKS, Benchmark


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: one.name)
def test_each_benchmark_and_its_baseline_exist(benchmark: Benchmark) -> None:
    path = page.path_of(benchmark)
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for name in benchmark.baseline:
        assert name.rpartition(".")[2] in page.read_source(tree, path, name)


def test_a_page_has_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Benchmark("shelf", ("--quick", "--products", "20"), ("multiply",))
    monkeypatch.setattr(page, "BENCHMARKS", (quick, Benchmark("tower")))
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["page.py", "--only", "shelf", "--output", f"{tmp_path}/a.md"])
    page.main()
    written = (tmp_path / "a.md").read_text()
    assert "## Shelf\n" in written and "## Tower" not in written, "nobody has measured the tower"
    assert "$ python benchmarks/shelf.py --quick --products 20\n1 clip of 10 frames, 20" in written
    assert "def multiply(clip: ClipVectors" in written and "load average" in written


def test_sections_that_were_measured_elsewhere_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    names = [benchmark.name for benchmark in BENCHMARKS]
    before = page.read_sections(page.PAGE)
    assert [page.title_of(benchmark) for benchmark in BENCHMARKS] == list(before)
    result = {"output": "again", "seconds": 1, "load": 0.5, "machine": "this one"}
    (tmp_path / f"{names[1]}.json").write_text(json.dumps(result))
    written = page.write_page(before)
    assert page.read_sections(tmp_path / "none.md") == {}
    (tmp_path / "a.md").write_text(written)
    after = page.read_sections(tmp_path / "a.md")
    assert list(after) == list(before)
    changed = [title for title in before if before[title] != after[title]]
    assert changed == [page.title_of(BENCHMARKS[1])] and "again" in after[changed[0]]


def test_a_benchmark_that_fails_ends_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match=r"shelf.py --unknown failed with status 2"):
        page.run(Benchmark("shelf", ("--unknown",)))
