import doctest
from importlib import import_module

import pytest

MODULES = ["breakdown", "metrics", "ranking", "significance", "timeline_metrics", "tables"]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    result = doctest.testmod(import_module(f"sgmn.evaluation.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
