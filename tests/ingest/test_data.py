"""CSV, JSON, notebooks and source code."""

import json

import pytest

from ingest.chunking import chunk
from ingest.loaders import Unreadable, load


def blocks(data: str, name: str) -> list[tuple[str, str]]:
    loaded = load(data.encode(), name)
    return [(" > ".join(b.heading), loaded.text[b.start : b.end]) for b in loaded.blocks]


def test_records_of_csv_carry_the_names_of_their_columns():
    data = 'name,note\nAnn,"two\nlines"\nBo,\n\nCy,"a, b"\n'
    assert blocks(data, "a.csv") == [("rows 2-5", "name: Ann | note: two lines\nname: Bo\nname: Cy | note: a, b")]


@pytest.mark.parametrize(("data", "name"), [("a;b\n1;2\n3;4\n", "a.csv"), ("a\tb\n1\t2\n3\t4\n", "a.tsv")])
def test_other_separators_are_found_out(data, name):
    assert blocks(data, name) == [("rows 2-3", "a: 1 | b: 2\na: 3 | b: 4")]


def test_a_first_row_with_numbers_is_no_head():
    assert blocks("1,2\n3,4\n", "a.csv") == [("rows 1-2", "1 | 2\n3 | 4")]


def test_a_wide_row_has_a_line_a_cell_and_its_chunks_keep_whole_cells():
    head = [f"column {n}" for n in range(200)]
    loaded = load(f"{','.join(head)}\n{','.join(map(str, range(200)))}\n".encode(), "a.csv")
    assert loaded.text.splitlines() == [f"column {n}: {n}" for n in range(200)]
    chunks = chunk(loaded)
    assert len(chunks) > 5
    assert all(loaded.text[c.start : c.end].startswith("column") for c in chunks)
    assert {c.heading for c in chunks} == {"row 2"}


def test_values_of_json_stand_behind_the_names_that_lead_to_them():
    value = {"title": "T", "a": {"b": [1, 2], "c": None, "d": True}, "list": [{"x": 1}, {"x": {"y": "z"}}]}
    assert blocks(json.dumps(value), "a.json") == [
        ("", "title: T\na.b: 1, 2\na.d: true"),
        ("list, items 1-2", "x: 1\nx.y: z"),
    ]
    assert load(json.dumps(value).encode(), "a.json").title == "T"


def test_lines_of_json_lines_have_their_numbers():
    data = "\n".join(json.dumps({"text": "word " * 60 + str(n)}) for n in range(3))
    assert [heading for heading, _ in blocks(data, "a.jsonl")] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize(
    ("data", "name"),
    [("{", "a.json"), ('{"a": 1}\n{', "a.jsonl"), ("[" * 100_000, "a.json"), ("[1]", "a.ipynb"), ('{"a"', "a.ipynb")],
)
def test_broken_json_is_malformed(data, name):
    with pytest.raises(Unreadable) as caught:
        load(data.encode(), name)
    assert caught.value.reason == "malformed"


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    assert load(b'{"a": "x\\ud800y"}', "a.json").text == "a: x\ufffdy"


def test_files_in_values_are_left_out():
    assert (
        load(json.dumps({"a": "data:image/png;base64," + "A" * 500, "b": "c"}).encode(), "a.json").text
        == "a: [data]\nb: c"
    )


def test_a_notebook_is_read_cell_by_cell_with_what_it_printed():
    cells = [
        {"cell_type": "markdown", "source": ["# Fits\n", "A line."]},
        {
            "cell_type": "code",
            "source": "fit(x)",
            "outputs": [
                {"output_type": "stream", "text": ["done\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBOR" * 100, "text/plain": "<Figure>"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": ["long"]},
            ],
        },
    ]
    assert blocks(json.dumps({"cells": cells}), "a.ipynb") == [
        ("Fits", "Fits"),
        ("Fits > cell 1", "A line."),
        ("Fits > cell 2", "fit(x)"),
        ("Fits > cell 2, output", "done"),
        ("Fits > cell 2, output", "<Figure>"),
        ("Fits > cell 2, output", "ValueError: bad"),
    ]


PYTHON = '''import os

# what it does
@decorated
class Store(Base):
    """A store."""

    def get(self, key):
        return 1

def main() -> None:
    run()
'''


def test_code_is_verbatim_and_cut_where_definitions_begin():
    loaded = load(PYTHON.encode(), "a.py")
    assert loaded.text == PYTHON
    assert [(b.heading, loaded.text[b.start : b.end].splitlines()[0]) for b in loaded.blocks] == [
        ((), "import os"),
        (("Store",), "# what it does"),
        (("Store", "get"), "    def get(self, key):"),
        (("main",), "def main() -> None:"),
    ]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("export async function load(x) {", "load"),
        ("pub(crate) fn parse<T>(x: T) {", "parse"),
        ("func (s *Server) Run() error {", "Run"),
        ("CREATE OR REPLACE VIEW public.v AS", "public.v"),
        ("public static class Point {", "Point"),
    ],
)
def test_definitions_of_many_languages_are_headings(line, name):
    loaded = load(f"x\n{line}\n  body\n".encode(), "a.rs")
    assert loaded.blocks[-1].heading == (name,)
