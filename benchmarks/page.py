"""Run the benchmarks that need nothing but this checkout, and write their page for the docs.

    python benchmarks/page.py [--only NAME] [--output docs/benchmarks.md]

Each runs in a process of its own, one after the other. What it printed is kept in
build/benchmarks, so that `--only` measures some of them again and the page still has all. Sections
that were measured elsewhere stay as they are.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "build" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("torch", "numpy", "av", "lancedb", "openvino", "onnxruntime")


class Benchmark(NamedTuple):
    """A script of this folder, its arguments, and the functions that are the baseline."""

    name: str
    arguments: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()


BENCHMARKS = (
    Benchmark("pairwise", baseline=("TrainingStep.gathered_loss",)),
    Benchmark("interaction", baseline=("compute_in_loop", "match_pair", "update_node")),
    Benchmark("reranking", baseline=("build_variants",)),
    Benchmark("shelf", baseline=("multiply",)),
    Benchmark("guidance"),
    Benchmark("tower"),
    Benchmark("runtimes"),
    Benchmark("decoding", ("--seconds", "120"), ("convert_all", "decode_all")),
    Benchmark("watching"),
    Benchmark("indexing", ("--model", "builtin"), ("build_variants",)),
    Benchmark("feeds"),
    Benchmark("search"),
    Benchmark("rendering", baseline=("render_bare",)),
    Benchmark("cold_start"),
)
HEADER = """# Benchmarks

`make bench` writes this page. The variants of a benchmark take turns, so compare the ratios:
absolute times depend on the machine. The baseline is the straightforward implementation that papers
and scripts usually use, such as one pair or one frame at a time; its code is shown where there is
one. Limits in parentheses, such as *at least 10*, are the targets of this project; *MISSED* marks a
target that was not reached. Benchmarks that nobody has run yet are missing. [Results](results.md)
has the figures on accuracy, the service and large catalogues.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("--only", action="append", choices=names, help="repeatable; default: all")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for benchmark in BENCHMARKS:
        if benchmark.name in (options.only or names):
            result = json.dumps(run(benchmark), indent=1)
            (RESULTS / f"{benchmark.name}.json").write_text(result)
    options.output.write_text(write_page(read_sections(options.output)))
    print(f"wrote {options.output}")


def run(benchmark: Benchmark) -> dict[str, Any]:
    """Run a benchmark; ends this program if it fails."""
    print(f"{benchmark.name} …", flush=True)
    command = [sys.executable, str(path_of(benchmark)), *benchmark.arguments]
    load, started_s = os.getloadavg()[0], time.monotonic()
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        sys.exit(f"{done.stderr}\n{' '.join(command)} failed with status {done.returncode}")
    print(done.stdout)
    seconds = round(time.monotonic() - started_s)
    return {"output": done.stdout, "seconds": seconds, "load": load, "machine": describe_machine()}


def describe_machine() -> str:
    """The processor, its cores, and the versions of what the benchmarks depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores, python = os.cpu_count(), platform.python_version()
    return f"{read_processor()}, {cores} cores, Python {python}, {versions}"


def read_processor() -> str:
    """The name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read_sections(path: Path) -> dict[str, str]:
    """The sections of a page by their title; none if there is no page."""
    _, *sections = path.read_text().split("\n## ") if path.exists() else [""]
    return {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in sections}


def write_page(before: Mapping[str, str]) -> str:
    """The page of all benchmarks that have a result, or a section `before`, by title."""
    sections = [write_section(one) or before.get(title_of(one), "") for one in BENCHMARKS]
    return "\n".join([HEADER, *filter(None, sections)])


def title_of(benchmark: Benchmark) -> str:
    """The title of a benchmark's section."""
    return benchmark.name.replace("_", " ").capitalize()


def write_section(benchmark: Benchmark) -> str:
    """A benchmark as Markdown: what it does, its baseline, and what it printed."""
    path = RESULTS / f"{benchmark.name}.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text())
    tree = ast.parse(path_of(benchmark).read_text())
    command = " ".join(["python", f"benchmarks/{benchmark.name}.py", *benchmark.arguments])
    parts = [f"## {title_of(benchmark)}\n"]
    parts.append(block("text", (ast.get_docstring(tree) or "").replace("`", "")))
    if benchmark.baseline:
        sources = [read_source(tree, path_of(benchmark), name) for name in benchmark.baseline]
        parts += ["The baseline:\n", block("python", "\n\n\n".join(sources))]
    parts.append(block("text", f"$ {command}\n{result['output'].strip()}"))
    took = f"{result['seconds']} s, load average {result['load']:.1f} at its start"
    return "\n".join([*parts, f"{result['machine']}; {took}.\n"])


def block(language: str, text: str) -> str:
    """A code block."""
    return f"```{language}\n{text}\n```\n"


def read_source(tree: ast.Module, path: Path, name: str) -> str:
    """The source of a function, or of a method as Class.method."""
    body: list[ast.stmt] = tree.body
    for part in name.split("."):
        [node] = [
            one
            for one in body
            if isinstance(one, ast.FunctionDef | ast.ClassDef) and one.name == part
        ]
        body = node.body
    segment = ast.get_source_segment(path.read_text(), node, padded=True)
    assert segment is not None
    return dedent(segment)


def path_of(benchmark: Benchmark) -> Path:
    """The script of a benchmark."""
    return ROOT / "benchmarks" / f"{benchmark.name}.py"


if __name__ == "__main__":
    main()
