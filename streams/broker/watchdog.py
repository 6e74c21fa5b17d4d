"""Ends a broker whose starter was killed: `python -m streams.broker.watchdog PID STARTED [DIRECTORY]`.

Reads stdin until the starter closes it or dies. A signal of the kernel's (PDEATHSIG) would do on Linux
alone, and there it fires when the starting *thread* ends.
"""

from __future__ import annotations

import os
import select
import shutil
import sys

from streams.broker.process import RELEASE, Handle, stop

POLL_S = 1.0


def is_orphaned(parent: int) -> bool:
    """True when stdin is closed or the parent is another (a fork of it may hold the pipe open).

    False when we are released by it.
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if readable:
            return os.read(sys.stdin.fileno(), 1) != RELEASE
    return True


def main() -> None:
    parent = os.getppid()
    handle = Handle(int(sys.argv[1]), float(sys.argv[2]))
    if not is_orphaned(parent):
        return
    stop(handle)
    if len(sys.argv) > 3:
        shutil.rmtree(sys.argv[3], ignore_errors=True)


if __name__ == "__main__":
    main()
