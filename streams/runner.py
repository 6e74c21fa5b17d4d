"""Faust's worker as ours: for `interlayer worker`, and for `faust -A streams.app worker`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, NoReturn

import faust


class Runner(faust.Worker):
    """Faust's worker, with our logs, and without its spinner, whose escape codes end in log files."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._first_reason: BaseException | None = None
        super().__init__(*args, **options)
        self.spinner = None

    @property
    def crash_reason(self) -> BaseException | None:
        """The first reason: all that it cancels on the way down counts as crashed too."""
        return self._first_reason

    @crash_reason.setter
    def crash_reason(self, reason: BaseException | None) -> None:
        if self._first_reason is None or isinstance(self._first_reason, asyncio.CancelledError):
            self._first_reason = reason

    def run(self) -> BaseException | None:
        """Run until the end; why it crashed, None where it did not."""
        try:
            super().execute_from_commandline()
        except KeyboardInterrupt:
            pass
        except SystemExit as end:  # 0 even after most crashes; not 0 where the start itself failed
            if end.code:
                self.crash_reason = end.__context__ or end
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001  # whatever ended it is the reason
            self.crash_reason = raised
        return self.crash_reason

    def execute_from_commandline(self) -> NoReturn:
        """What Faust's own command calls: exit code 1 and one line where it crashed, as for ours."""
        if reason := self.run():
            sys.stderr.write(f"interlayer: the worker ended: {reason}\n")
        raise SystemExit(1 if reason else 0)

    def _setup_logging(self) -> None:
        """Leave logging as `streams.logs` has set it up."""
