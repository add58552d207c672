import json
from pathlib import Path

import pytest

from graph.retrieval.tokenizer import count_tokens
from ingest.chunking import MAX_CHARS, MAX_TOKENS, chunk
from ingest.loaders import FORMATS, Unreadable, load


def outcome(path: Path) -> str:
    try:
        load(path.read_bytes(), path.name)
    except Unreadable as exc:
        return exc.reason
    return "ok"


def test_nasty_files_come_out_as_the_manifest_says(corpus):
    manifest = json.loads((corpus / "MANIFEST.json").read_text())
    wrong = []
    for entry in manifest:
        path = corpus / entry["path"]
        if "expect" not in entry or path.name[0] == "." or path.suffix.lower() not in FORMATS:
            continue
        found = outcome(path)
        expected = entry["expect"] if "skipped" in entry["expect"] or "failed" in entry["expect"] else "ok"
        if found not in expected:
            wrong.append((path.name, found, entry["expect"]))
    assert wrong == []


@pytest.mark.parametrize("folder", ["md", "html", "txt", "pdf", "office", "code"])
def test_real_documents_become_chunks_within_bounds(corpus, folder):
    for path in sorted((corpus / "docs" / folder).iterdir()):
        loaded = load(path.read_bytes(), path.name)
        chunks = chunk(loaded)
        texts = [loaded.text[found.start : found.end] for found in chunks]
        assert chunks
        assert max(map(len, texts)) <= MAX_CHARS
        assert max(map(count_tokens, texts)) <= MAX_TOKENS
        assert "\ufffe" not in loaded.text
