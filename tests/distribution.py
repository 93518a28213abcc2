"""How the tests are spread over processes: `pytest -n 2 --dist loadgroup --no-loadscope-reorder`.

The tests of a file stay together, so that what they share is built once. The tests of some folders
do too, and these come first, so that no process is left alone with them at the end.
"""

from __future__ import annotations

import pytest

# Folders whose tests share what takes long to build: the services, the browser, the world that
# speaks. The longest come first.
TOGETHER = ("tests/service/console", "tests/service/streams", "tests/speech", "tests/workflows")


def group_of(path: str) -> str:
    """The group of a file.

    >>> group_of("tests/service/console/test_shell.py")
    'tests/service/console'
    >>> group_of("tests/media/test_video.py")
    'tests/media/test_video.py'
    """
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist then finds the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its group, and put the folders that take long first."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    places = {folder: place for place, folder in enumerate(TOGETHER)}
    groups = {item: group_of(item.nodeid.partition("::")[0]) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: places.get(groups[item], len(TOGETHER)))
