"""Questions that people ask of real documents, through the real command and the real server.

Each conversation has a first question and two follow-ups; for each turn the question file names the documents that
hold the answer and phrases that the right passage has. The corpus of manuals is not part of the repository: its test
runs where the corpus lies beside the checkout. The same test on the project's own docs always runs.
"""

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.recorder import ACCEPTANCE
from tests.e2e.conftest import COMMAND, ROOT, serving

HERE = Path(__file__).parent
CORPUS = ROOT.parent / "shared" / "corpus" / "docs"
QUICK = ("code", "html", "md", "office")
"""Folders of the corpus that the short form takes in; the long one takes all, three times as many chunks."""
TABLE_FOLDER = "CITESTREAM_TEST_TABLES"
"""Environment variable: a folder to write the table of results into."""


@dataclass
class Turn:
    """What came of one question."""

    lang: str
    number: int
    question: str
    expected: list[str]
    status: str
    document_rank: int
    """Of the first source out of an expected document; 0: none."""
    passage_rank: int
    """Of the first source with an expected phrase; 0: none."""
    citations: int
    wrong_citations: int


@dataclass
class Results:
    """What came of all questions."""

    turns: list[Turn] = field(default_factory=list)

    def share(self, found: list[bool]) -> float:
        return sum(found) / len(found)

    @property
    def documents_found(self) -> float:
        return self.share([turn.document_rank > 0 for turn in self.turns])

    @property
    def passages_found(self) -> float:
        return self.share([turn.passage_rank > 0 for turn in self.turns])

    @property
    def first_documents_found(self) -> float:
        return self.share([turn.document_rank > 0 for turn in self.turns if turn.number == 0])

    @property
    def wrong_citations(self) -> int:
        return sum(turn.wrong_citations for turn in self.turns)

    def write(self, path: Path) -> None:
        lines = [
            "| lang | turn | question | expected | rank of document | rank of passage | status | citations correct |"
        ]
        lines.append("|---|---|---|---|---|---|---|---|")
        for turn in self.turns:
            right = turn.citations - turn.wrong_citations
            cells = [
                turn.lang, turn.number + 1, turn.question.replace("|", "\\|"), ", ".join(turn.expected),
                turn.document_rank or "–", turn.passage_rank or "–", turn.status, f"{right}/{turn.citations}",
            ]  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def ingest(data_dir: Path, folders: list[Path], cwd: Path) -> tuple[Counter[str], int]:
    command = [str(COMMAND), "ingest", *map(str, folders), "--json", "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=3000, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in (0, 3), done.stderr
    assert "summary" in lines[-1]
    return Counter(f"{Path(line['path']).suffix.lower()}:{line['status']}" for line in lines[:-1]), done.returncode


def ask_all(address: str, conversations: list[dict[str, Any]]) -> Results:
    results = Results()
    with httpx2.Client(base_url=address, timeout=60) as http:
        for conversation in conversations:
            thread: dict[str, str] = {}
            for number, turn in enumerate(conversation["turns"]):
                answer = http.post("/v1/chat", json={"question": turn["question"], **thread}).raise_for_status().json()
                thread = {"thread_id": answer["thread_id"]}
                results.turns.append(judge(http, conversation["lang"], number, turn, answer))
    return results


def judge(http: httpx2.Client, lang: str, number: int, turn: dict[str, Any], answer: dict[str, Any]) -> Turn:
    record = http.get(f"/v1/runs/{answer['run_id']}").raise_for_status().json()
    phrases = [flat(phrase) for phrase in turn["evidence"]]
    documents = passages = 0
    for source, passage in zip(answer["sources"], record["passages"], strict=True):
        if source["metadata"]["source"].endswith(tuple(turn["documents"])):
            documents = documents or source["index"]
        if any(phrase in flat(passage["text"]) for phrase in phrases):
            passages = passages or source["index"]
    wrong = sum(not is_right(http, answer, citation) for citation in answer["citations"])
    return Turn(
        lang, number, turn["question"], turn["documents"], answer["status"], documents, passages,
        len(answer["citations"]), wrong,
    )  # fmt: skip


def is_right(http: httpx2.Client, answer: dict[str, Any], citation: dict[str, Any]) -> bool:
    """Whether the quote is the document's slice, read back from the server, and the marker names a sent source."""
    source = http.get(f"/v1/sources/{citation['source_id']}").raise_for_status().json()
    start, end = (citation["span"][side] - source["start"] for side in ("start", "end"))
    said = answer["answer"][citation["answer"]["start"] : citation["answer"]["end"]]
    return (
        source["text"][start:end] == citation["quote"] != ""
        and bool(said.strip())
        and citation["index"] in {s["index"] for s in answer["sources"] if s["id"] == citation["source_id"]}
    )


def flat(text: str) -> str:
    return " ".join(text.split()).lower()


def report(results: Results, name: str) -> None:
    folder = os.environ.get(TABLE_FOLDER)
    if folder:
        results.write(Path(folder) / f"{name}.md")


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CITESTREAM_", "OPENAI_"))}


@pytest.mark.timeout(300)
def test_questions_about_the_project_s_own_docs_are_answered(tmp_path: Path, environment: dict[str, str]) -> None:
    statuses, code = ingest(tmp_path / "data", [ROOT / "docs"], tmp_path)
    assert code == 0
    assert statuses[".md:added"] == len(list((ROOT / "docs").rglob("*.md")))
    environment["CITESTREAM_DATA_DIR"] = str(tmp_path / "data")
    with serving(COMMAND, cwd=tmp_path, env=environment) as address:
        results = ask_all(address, json.loads((HERE / "docs_questions.json").read_text(encoding="utf-8")))
    report(results, "docs")
    assert results.first_documents_found == 1
    assert results.documents_found >= 0.9
    assert results.passages_found >= 0.85
    assert results.wrong_citations == 0
    assert {turn.status for turn in results.turns if turn.expected} == {"completed"}


@pytest.mark.timeout(3600)
@pytest.mark.long
def test_questions_about_real_manuals_are_answered(tmp_path: Path, environment: dict[str, str]) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of manuals does not lie beside the checkout")
    folders = [folder for folder in sorted(CORPUS.iterdir()) if ACCEPTANCE or folder.name in QUICK]
    conversations = [
        conversation
        for conversation in json.loads((HERE / "corpus_questions.json").read_text(encoding="utf-8"))
        if all(any((CORPUS / name).is_relative_to(folder) for folder in folders) for name in named(conversation))
    ]
    statuses, code = ingest(tmp_path / "data", folders, tmp_path)
    assert code == 0
    assert {key.partition(":")[2] for key in statuses} == {"added"}
    assert statuses.total() == sum(path.is_file() for folder in folders for path in folder.rglob("*"))
    environment["CITESTREAM_DATA_DIR"] = str(tmp_path / "data")
    with serving(COMMAND, cwd=tmp_path, env=environment) as address:
        results = ask_all(address, conversations)
    report(results, "corpus")
    assert len(results.turns) == (90 if ACCEPTANCE else 57)
    assert results.first_documents_found >= 0.96
    assert results.documents_found >= 0.97
    assert results.passages_found >= 0.97
    assert results.wrong_citations == 0


def named(conversation: dict[str, Any]) -> set[str]:
    """The documents, relative to the corpus, that hold the answers of a conversation."""
    return {name for turn in conversation["turns"] for name in turn["documents"]}
