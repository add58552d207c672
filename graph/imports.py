"""Importing what is large, such as LangChain, Chroma and SQLAlchemy."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Import modules in this: garbage is looked for neither meanwhile nor among what they made, which stays.

    They make 125,000 objects, which are looked through again and again: .5 of the 1.8 s of CPU that an ingest of one
    file takes, and .5 of the 2.9 s until a server answers.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once: in a process that runs many commands, what they leave must go
            gc.freeze()
        if collects:
            gc.enable()
