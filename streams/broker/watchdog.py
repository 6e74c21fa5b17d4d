"""Ends a broker whose starter was killed: `python -m streams.broker.watchdog PID STARTED [DIRECTORY]`.

Reads stdin until the starter closes it or dies. A signal of the kernel's (PDEATHSIG) would do on Linux
alone, and there it fires when the starting *thread* ends.
"""

from __future__ import annotations

import os
import select
import shutil
import sys

from streams.broker.process import Handle, stop

POLL_S = 1.0


def wait_for_parent(parent: int) -> None:
    """Return when stdin is closed or the parent is another: a fork of the starter may hold the pipe open."""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if readable and not os.read(sys.stdin.fileno(), 1):
            return


def main() -> None:
    parent = os.getppid()
    handle = Handle(int(sys.argv[1]), float(sys.argv[2]))
    wait_for_parent(parent)
    stop(handle)
    if len(sys.argv) > 3:
        shutil.rmtree(sys.argv[3], ignore_errors=True)


if __name__ == "__main__":
    main()
