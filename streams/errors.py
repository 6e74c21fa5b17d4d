"""Faults that end a command with one line instead of a traceback."""

from __future__ import annotations


class InterlayerError(Exception):
    """What is wrong, where, and what to do, in one line."""

    exit_code = 1


class RunError(InterlayerError):
    """A fault at run time (a broker that does not answer): exit code 1."""


class UserError(InterlayerError):
    """Wrong use or wrong configuration: exit code 2."""

    exit_code = 2
