import doctest
from importlib import import_module

import pytest

ROOMS = ["breakdown", "metrics", "ranking", "significance", "streams", "tables"]


@pytest.mark.parametrize("name", ROOMS)
def test_the_examples_of_the_docstrings_run(name):
    result = doctest.testmod(import_module(f"sgmn.evaluation.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
