import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graph.retrieval.tokenizer import count_tokens
from ingest.archives import Unpacker
from ingest.chunking import MAX_CHARS, MAX_TOKENS, chunk
from ingest.loaders import load
from ingest.parsing import Parsers
from ingest.progress import Progress
from ingest.sync import make_plan, try_plan

ROOT = Path(__file__).parents[2]


# What a process that reads files runs here: the outcome and seconds of each file, and how large the process became.
READ_ALL = """
import json, sys, time
from pathlib import Path
from ingest.reading import Refused, Request, _limit_memory, read_file
_limit_memory()
for name in sys.argv[1:]:
    began = time.monotonic()
    read = read_file(Request(Path(name), name, name))
    outcome = read.reason if isinstance(read, Refused) else "ok"
    # Not ru_maxrss, which a new program takes over from the process that started it.
    largest = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps([name, outcome, time.monotonic() - began, int(largest)]))
"""


@pytest.mark.timeout(300)
def test_nasty_files_come_out_as_the_manifest_says_each_within_bounds(corpus, measured):
    """Nasty files: each comes out as expected, within 10 s and 300 MB."""
    manifest = {str(corpus / entry["path"]): entry for entry in json.loads((corpus / "MANIFEST.json").read_text())}
    nasty = [name for name, entry in manifest.items() if "expect" in entry and Path(name).name[0] != "."]
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *nasty], cwd=ROOT, capture_output=True, text=True, timeout=200, check=True
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in results] == nasty
    wrong = [
        (name, outcome, manifest[name]["expect"])
        for name, outcome, *_ in results
        if not is_expected(outcome, manifest[name]["expect"])
    ]
    assert wrong == []
    slowest, largest_mb = max(result[2] for result in results), results[-1][3] / 1024
    measured.count = len(results)
    measured.note(slowest_s=slowest, largest_mb=largest_mb)
    assert slowest < 10
    assert largest_mb < 300


def is_expected(outcome: str, expected: str) -> bool:
    """By words such as `ok; …`, `failed:binary`, `ok or failed:encoding`, `failed:encrypted-or-legacy`."""
    if outcome == "ok":
        return "ok" in expected.split(";")[0] or "heading paths" in expected or "read as text" in expected
    return f":{outcome}" in expected


def test_nasty_files_do_not_keep_the_good_ones_out(corpus, tmp_path):
    folder = tmp_path / "docs"
    shutil.copytree(corpus / "nasty", folder)
    (folder / "good.md").write_text("# Good\n\nwords")
    (tmp_path / "outside.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    bad_name = os.fsencode(folder) + b"/caf\xe9.md"
    with open(bad_name, "wb") as file:
        file.write(b"words")
    spool = tmp_path / "spool"
    spool.mkdir()
    with Parsers(2) as parsers:
        plan, progress = make_plan([folder], [], Progress()), Progress()
        steps = {step.path.name: step for step in try_plan(plan, parsers, Unpacker(spool), progress)}
    assert steps["good.md"].status == "added"
    assert steps["UPPER.MD"].status == steps["名 字 🎉 (1).md"].status == "added"
    assert {"link.md", "round", "pipe.txt", ".hidden.md", "outside.md"}.isdisjoint(steps)
    assert steps[os.fsdecode(bad_name).rpartition("/")[2]].reason == "file-name"


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
