"""What the process of a command asks of the system that it runs on."""

import os

NICENESS = 10
"""What `nice` adds when it is not told how much."""


def step_back() -> None:
    """Let other processes go first where there is not enough processor time for all, as for a server beside us."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
