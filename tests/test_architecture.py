"""No import cycles, not even through imports for type checkers; import-linter keeps the layers."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def imports() -> dict[str, set[str]]:
    graph = grimp.build_graph("sgmn", exclude_type_checking_imports=False, cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def test_modules_do_not_import_each_other_in_circles() -> None:
    found = imports()
    assert len(found) > 200
    TopologicalSorter(found).prepare()  # raises CycleError with the modules of a cycle


def test_a_cycle_would_be_found() -> None:
    found = imports()
    found["sgmn.errors"].add("sgmn.api")
    with pytest.raises(CycleError, match=r"sgmn\.errors"):
        TopologicalSorter(found).prepare()
