"""What to ask and what is expected of the answer, from JSON Lines."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graph.errors import SettingsError
from graph.limits import MAX_QUESTION_CHARS

Role = Literal["user", "assistant"]
ROLES: Mapping[str, Role] = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}
EXAMPLE = '{"question": "How long does it last?", "document": "manual.pdf", "answer": "two hours"}'


@dataclass(frozen=True)
class Said:
    """One message of the conversation before a question."""

    role: Role
    text: str


@dataclass(frozen=True)
class Question:
    """A question and what is expected.

    `documents` are ends of paths as they were ingested, or ids of rows; empty where only the answer is known.
    `answers` are phrases, one of which a right answer holds. Not `answerable`: the documents should be said not to
    hold it.
    """

    id: str
    text: str
    history: tuple[Said, ...] = ()
    documents: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    answerable: bool = True


@dataclass(frozen=True)
class Row:
    """A text to be searched: a document of its own."""

    id: str
    title: str
    text: str


def read_questions(path: Path) -> list[Question]:
    """The questions of a file, one JSON object a line. Raises SettingsError that names the line.

    `question` is needed. `document` or `documents` (also `gold`), `answer` or `answers`, `answerable`, `history`
    (`[{"role", "content"}]`) and `id` (also `qid`) may be given.
    """
    found = [_question(fields, f"{path}, line {number}", number) for number, fields in _lines(path)]
    if not found:
        raise SettingsError(f"{path} has no questions. Write one JSON object a line: {EXAMPLE}")
    return found


def read_rows(path: Path) -> list[Row]:
    """The texts of a `.jsonl` or `.parquet` file: `id`, `text`, and perhaps `title`. Raises SettingsError.

    Rows of white space alone, which public sets have, are left out.
    """
    if path.suffix == ".parquet":
        rows = [(f"{path}, row {number}", row) for number, row in enumerate(_parquet(path), start=1)]
    else:
        rows = [(f"{path}, line {number}", row) for number, row in _lines(path)]
    return [
        Row(_text(row, "id", where), str(row.get("title") or ""), _text(row, "text", where))
        for where, row in rows
        if not _is_blank(row.get("text"))
    ]


def _question(fields: Mapping[str, Any], where: str, number: int) -> Question:
    text = _text(fields, "question", where)
    if len(text) > MAX_QUESTION_CHARS:
        raise SettingsError(f"{where}: a question has at most {MAX_QUESTION_CHARS:,} characters.")
    return Question(
        id=str(fields.get("id", fields.get("qid", number))),
        text=text,
        history=tuple(_said(said, where) for said in fields.get("history", [])),
        documents=_texts(fields, ("document", "documents", "gold"), where),
        answers=_texts(fields, ("answer", "answers"), where),
        answerable=bool(fields.get("answerable", True)),
    )


def _said(fields: Any, where: str) -> Said:
    role = ROLES.get(str(fields.get("role"))) if isinstance(fields, dict) else None
    text = fields.get("content", fields.get("text")) if role else None
    if role is None or not isinstance(text, str):
        raise SettingsError(f'{where}: history is a list of {{"role": "user" or "assistant", "content": "…"}}.')
    return Said(role, text)


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{where}: {name!r} is missing or no text. A line looks like this: {EXAMPLE}")
    return value


def _is_blank(text: object) -> bool:
    return isinstance(text, str) and not text.strip()


def _texts(fields: Mapping[str, Any], names: tuple[str, ...], where: str) -> tuple[str, ...]:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        if value is not None:
            raise SettingsError(f"{where}: {name!r} is a text or a list of texts.")
    return ()


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except json.JSONDecodeError as exc:
                raise SettingsError(f"{path}, line {number} is no JSON ({exc.msg}).") from exc
            if not isinstance(fields, dict):
                raise SettingsError(f"{path}, line {number} is no JSON object. A line looks like this: {EXAMPLE}")
            yield number, fields


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as exc:
        raise SettingsError(f"{path}: reading Parquet needs pyarrow. Install it, or write JSON Lines.") from exc
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows
