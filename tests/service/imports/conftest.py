"""A catalogue to import into."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from tests.service.conftest import Headers
from tests.service.imports.shop import Shop


@pytest.fixture
def shop(client: TestClient, context: ServiceContext, editor: Headers) -> Shop:
    """An empty catalogue."""
    return Shop(client, context, editor)
