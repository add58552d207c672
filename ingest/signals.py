"""Signals: Ctrl-C and a polite kill end a command in order; a second one ends it at once."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TOGETHER_S = 1.0
"""A terminal and a program that runs another one both pass Ctrl-C on: signals so close together are one wish."""
SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def interruptible(code: int) -> Iterator[None]:
    """Turn the first signal into a KeyboardInterrupt; another one, later, ends the process with the exit `code`.

    That is safe at any moment, as a kill is (docs/ingest.md). Libraries that it passes through log it with a traceback,
    as SQLAlchemy does while it closes a connection: from then on they log nothing. Only the main thread can have
    signals; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first_s: float | None = None

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal first_s
        if first_s is None:
            first_s = time.monotonic()
            logging.disable()
            raise KeyboardInterrupt
        if time.monotonic() - first_s > TOGETHER_S:
            if os.isatty(2):
                os.write(2, SHOW_CURSOR)
            os._exit(code)

    silenced = logging.root.manager.disable
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except Exception as exc:
        if first_s is None:
            raise
        raise KeyboardInterrupt from exc  # libraries that are in C at that moment make other errors of it
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        logging.disable(silenced)


@contextmanager
def held_back() -> Iterator[None]:
    """Let programs that are started meanwhile never get Ctrl-C: a terminal sends it to all of its processes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
