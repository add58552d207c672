"""What every contestant uses: vectors that cost nothing, the files, and how a run is measured. Needs numpy alone."""

import json
import os
import resource
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

STARTED = time.perf_counter()
"""This module is the first that a contestant imports."""
DIMENSIONS = 384
SUFFIXES = (".pdf", ".html", ".md", ".txt")


class FakeEmbeddings:
    """A vector by the text's checksum: the same text has the same vector, others are far away."""

    spent_s = 0.0
    asked = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        began = time.process_time()
        made: list[list[float]] = np.stack([self._vector(text) for text in texts]).tolist()
        FakeEmbeddings.spent_s += time.process_time() - began
        FakeEmbeddings.asked += len(texts)
        return made

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]

    @staticmethod
    def _vector(text: str) -> np.ndarray:
        vector = np.random.default_rng(zlib.crc32(text.encode("utf-8", "replace"))).standard_normal(DIMENSIONS)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def files_of(folder: Path) -> list[Path]:
    """The documents that all contestants can read."""
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)


class Run:
    """Wall and processor time of this process and its children, without the embedder's, and peak memory.

    The first run counts from the start of the process: what is imported when is a contestant's own affair.
    """

    def __init__(self, *, first: bool) -> None:
        self._wall = STARTED if first else time.perf_counter()
        self._cpu = 0.0 if first else _cpu()
        self._embedder = FakeEmbeddings.spent_s

    def result(self, chunks: int, data_dir: Path) -> dict[str, float]:
        """What was used since the run began."""
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        disk = sum(path.stat().st_size for path in data_dir.rglob("*") if path.is_file())
        return {
            "wall_s": time.perf_counter() - self._wall,
            "cpu_s": _cpu() - self._cpu - (FakeEmbeddings.spent_s - self._embedder),
            "rss_mb": (mine + child) / 1024,
            "chunks": chunks,
            "disk_mb": disk / 2**20,
            "embedded": FakeEmbeddings.asked,
        }


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def tell(result: Mapping[str, object]) -> None:
    """Hand the result to the program that compares."""
    sys.stdout.write(f"\nRESULT {json.dumps(result)}\n")
