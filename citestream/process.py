"""What the process of a command asks of the system that it runs on."""

import ctypes
import os
from contextlib import suppress

ARENAS = 2
_M_ARENA_MAX = -8
"""glibc's name for the number of arenas (mallopt(3))."""
NICENESS = 10
"""What `nice` adds when it is not told how much."""


def keep_few_arenas() -> None:
    """Have threads share the memory that they allocate from, where the C library is glibc.

    glibc gives up to eight arenas a core to threads, and each keeps what it once had. With two of them an ingest of
    13,321 chunks needs 292 MB at most in place of 327, and a server at rest 20 MB less.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:  # noqa: TID251  # glibc's setting, not ours
        with suppress(OSError, AttributeError, TypeError):  # no glibc, or no C library that can be opened by no name
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def step_back() -> None:
    """Let other processes go first where there is not enough processor time for all, as for a server beside us."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
