"""A catalogue whose operations wait."""

from __future__ import annotations

from tests.service.imports.conftest import shop as shop
