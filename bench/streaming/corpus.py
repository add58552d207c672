"""Documents to search in: made up, always the same, indexed by citestream itself, and kept for next time."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import chromadb
import numpy as np

TOPICS = "stream reader server token source citation index memory session client answer passage event log".split()
VERBS = "keeps finds opens closes counts sends reads waits stores drops".split()
WORDS_A_DOCUMENT = 850
CHUNKS_A_DOCUMENT = 10
MOST_EMBEDDED = 20_000
"""Beyond, chunks get vectors that take no time to make; a search takes as long among them."""


def make_corpus(folder: Path, chunks: int) -> Path:
    """A data folder with about so many chunks."""
    data = folder / f"data-{chunks}"
    if not (data / "done").exists():
        shutil.rmtree(data, ignore_errors=True)
        documents = folder / f"documents-{chunks}"
        documents.mkdir(parents=True, exist_ok=True)
        for number in range(max(1, chunks // CHUNKS_A_DOCUMENT)):
            (documents / f"{number:05}.md").write_text(_document(number), encoding="utf-8")
        command = [sys.executable, "-m", program_for(chunks), "ingest", str(documents)]
        subprocess.run(command, env={**os.environ, "CITESTREAM_DATA_DIR": str(data)}, check=True)
        export_chunks(data)
        (data / "done").touch()
    return data


def program_for(chunks: int) -> str:
    """What runs citestream's commands over so many chunks."""
    return "citestream" if chunks <= MOST_EMBEDDED else "bench.streaming.word_vectors"


def export_chunks(data: Path) -> None:
    """Texts and vectors as numpy keeps them, for services that have no Chroma."""
    client = chromadb.PersistentClient(str(data / "chroma"))
    kept = [collection.get(include=["documents", "embeddings"]) for collection in client.list_collections()]
    texts = np.concatenate([np.asarray(part["documents"]) for part in kept])
    vectors = np.concatenate([np.asarray(part["embeddings"]) for part in kept])
    np.savez(data / "chunks.npz", texts=texts, vectors=vectors)


def _document(number: int) -> str:
    chance = random.Random(number)
    lines = [f"# Section {number}\n"]
    words = 0
    while words < WORDS_A_DOCUMENT:
        first, second, third = (chance.choice(TOPICS) for _ in range(3))
        sentence = f"The {first} {chance.choice(VERBS)} the {second} of section {number} while the {third} changes."
        words += len(sentence.split())
        lines.append(sentence)
    return "\n".join(lines)
