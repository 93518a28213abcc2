"""A service that is killed while it migrates starts again, and has lost nothing."""

from __future__ import annotations

from random import Random

import pytest

from sgmn.service.context import ServiceContext
from sgmn.service.settings import ServiceSettings
from tests.service.database.migration_crashes import (
    check_after_start,
    check_whole,
    fill,
    kill_migration,
    snapshot,
)
from tests.service.database.next_version import STEPS


@pytest.mark.slow
def test_a_migration_that_is_killed_has_done_all_or_nothing(
    context: ServiceContext, settings: ServiceSettings
) -> None:
    database, rng = context.database, Random(3)
    fill(database)
    before = snapshot(database)
    steps = [kill_migration(settings, rng) for _ in range(2)]
    # A kill may come too late; then the next migration has nothing to do.
    assert all(0 < step <= STEPS for step in steps) or steps == [STEPS, 0]
    done = check_whole(database, before)
    assert not done or STEPS in steps
    check_after_start(settings, before)
    assert check_whole(database, before)
