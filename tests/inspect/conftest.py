"""Fixtures of the tests of judging."""

from tests.streams.conftest import interlayer  # noqa: F401  -- pytest finds fixtures by their names here
