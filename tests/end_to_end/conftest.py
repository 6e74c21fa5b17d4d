"""What end-to-end tests share: topics of a module's own."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture(scope="module")
def prefix() -> str:
    """A start of topic and group names that no other module has."""
    return f"e{uuid.uuid4().hex[:10]}."
