"""`citestream eval`, and that what it measures is what the server answers."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from citestream.evaluate.asking import Answered, Asker, Choice, InProcess, OverHttp, open_client
from citestream.evaluate.questions import Said
from graph.resources import open_resources
from graph.settings import Settings
from tests.e2e.conftest import COMMAND, ROOT, serving

HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
MINE = Choice(("default",))
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("CITESTREAM_", "OPENAI_"))}


def run(*arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the project's own documentation."""
    folder = tmp_path_factory.mktemp("docs")
    done = run("ingest", ROOT / "docs", "--data-dir", folder / "data", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "data"


def conversations() -> Iterator[tuple[list[Said], str]]:
    """What people ask of the documentation, with what they asked before; then its headings, as first questions."""
    for conversation in json.loads((ROOT / "tests/e2e/docs_questions.json").read_text("utf-8")):
        history: list[Said] = []
        for turn in conversation["turns"]:
            yield list(history), turn["question"]
            history += [Said("user", turn["question"]), Said("assistant", "It is so [1].")]
    for path in sorted((ROOT / "docs").glob("*.md")):
        for heading in HEADING.findall(path.read_text("utf-8")):
            yield [], f"What does the documentation say about {heading}?"


async def ask(asker: Asker, asked: list[tuple[list[Said], str]]) -> list[Answered]:
    return [await asker.ask(history, question, MINE) for history, question in asked]


def comparable(answered: Answered) -> Answered:
    answered.ms = 0
    return answered


@pytest.mark.long
async def test_fifty_questions_are_answered_over_http_as_in_the_process(data_dir: Path, tmp_path: Path) -> None:
    asked = list(conversations())[:50]
    assert len(asked) == 50
    async with open_resources(Settings(data_dir=data_dir)) as resources:
        here = await ask(InProcess(resources), asked)
    with serving(COMMAND, cwd=tmp_path, env={**ENVIRONMENT, "CITESTREAM_DATA_DIR": str(data_dir)}) as address:
        async with open_client(address) as client:
            there = await ask(OverHttp(client), asked)

    assert [comparable(answered) for answered in there] == [comparable(answered) for answered in here]
    assert {"completed"} <= {answered.status for answered in here} <= {"completed", "abstained"}
    assert all(answered.citations for answered in here if answered.status == "completed")


def test_a_person_measures_questions_of_their_own(data_dir: Path, tmp_path: Path) -> None:
    questions = tmp_path / "mine.jsonl"
    lines = [
        {"question": "Which formats can I ingest?", "document": "docs/ingest.md", "answer": "Markdown"},
        {"question": "Which opera did Puccini leave unfinished?", "answerable": False},
    ]
    questions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = run("eval", questions, "--data-dir", data_dir, "--out", "first.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| mine | answer contained | 1.000 |" in done.stdout
    assert "| mine | declined | 1.000 |" in done.stdout

    result = json.loads((tmp_path / "first.json").read_text("utf-8"))
    assert result["sets"][0]["measures"]["not slices"]["value"] == 0
    again = run("eval", questions, "--data-dir", data_dir, "--compare", "first.json", cwd=tmp_path)
    assert again.returncode == 0, again.stdout

    result["sets"][0]["questions"]["1"]["not slices"] = -1
    (tmp_path / "better.json").write_text(json.dumps(result), encoding="utf-8")
    worse = run("eval", questions, "--data-dir", data_dir, "--compare", "better.json", "--limit", "1", cwd=tmp_path)
    assert worse.returncode == 3
    assert "Worse: mine: not slices" in worse.stdout


def test_texts_are_searched_in_an_index_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    rows = [
        {"id": "a", "title": "Foxes", "text": "The fox sleeps in a den."},
        {"id": "b", "text": "Cats sleep in baskets."},
    ]
    (tmp_path / "texts" / "animals.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "animals.jsonl").write_text(json.dumps({"question": "Where do foxes sleep?", "gold": ["a"]}), "utf-8")
    done = run("eval", "animals.jsonl", "--texts", "texts", "--data-dir", "elsewhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| animals | R@1 | 1.000 | 1.000–1.000 | 1 |" in done.stdout
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jsonl"], "missing.jsonl"),
        (["empty.jsonl"], "has no questions"),
        (["one.jsonl", "--texts", "texts"], "has no texts for 'one'"),
        (["one.jsonl", "--url", "http://127.0.0.1:9"], "does not answer"),
        (["one.jsonl", "--compare", "one.jsonl"], "no result of"),
        (["one.jsonl", "--url", "http://127.0.0.1:9", "--texts", "."], "searches what it has indexed"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "one.jsonl").write_text('{"question": "Why?"}')
    done = run("eval", *arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
