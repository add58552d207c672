import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from graph.library import Block, Chunk, LibraryWriter, NewVersion
from graph.retrieval.tokenizer import count_tokens
from ingest.chunking import MAX_CHARS, MAX_TOKENS, chunk, chunk_again
from ingest.loaders import Loaded, Unreadable, load
from ingest.reading import Request, read_file

WORDS = st.sampled_from(
    [
        "word",
        "Another",
        "x" * 130,
        "引用",
        "必须精确。",
        "한국어",
        "日本語の",
        "👨‍👩‍👧‍👦",
        "e\u0301\u0323",
        "שלום",
        "1,000",
        "a.b",
        "\x0c",
    ]
)
GLUE = st.sampled_from([" ", "", ". ", "! ", ", ", "，", "。", "\n", "\r\n", "\n\n", "\r\n\r\n", "\t", "\u3000"])
LINES = st.sampled_from(
    ["\n\n# Head\n\n", "\r\n\r\n## Deep [x](y)\r\n\r\n", "\n\n```\n", "\n```\n\n", "\n- ", "\n| a |\n|---|\n| b |\n"]
)
PARTS = st.one_of(WORDS, GLUE, LINES, st.text(max_size=12))
TEXTS = st.one_of(st.lists(PARTS, max_size=30), st.lists(PARTS, min_size=150, max_size=300)).map("".join)
REPEATED = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=40), st.integers(1, 300))


def paragraphs(text: str) -> Loaded:
    return Loaded(text, "t", "en", "text", (Block(0, len(text), "paragraph"),))


def texts(loaded: Loaded) -> list[str]:
    return [loaded.text[found.start : found.end] for found in chunk(loaded)]


def assert_sound(loaded: Loaded, chunks: list[Chunk]) -> None:
    covered = bytearray(len(loaded.text))
    for found in chunks:
        text = loaded.text[found.start : found.end]
        assert text
        assert text == text.strip()
        assert len(text) <= MAX_CHARS
        assert count_tokens(text) <= MAX_TOKENS
        covered[found.start : found.end] = b"\1" * len(text)
    starts = [found.start for found in chunks]
    assert starts == sorted(set(starts))
    for block in loaded.blocks:
        for place in range(block.start, block.end):
            assert covered[place] or loaded.text[place].isspace()


@settings(deadline=None, max_examples=150)
@given(text=TEXTS, name=st.sampled_from(["a.md", "a.txt"]))
def test_chunks_are_bounded_slices_that_cover_every_block(text, name):
    try:
        loaded = load(text.encode(), name)
    except Unreadable:
        reject()
    assert_sound(loaded, chunk(loaded))


@settings(deadline=None, max_examples=100)
@given(text=REPEATED.filter(lambda text: bool(text.strip())))
def test_any_single_paragraph_is_cut_soundly(text):
    start = len(text) - len(text.lstrip())
    loaded = Loaded(text, "t", "en", "text", (Block(start, len(text.rstrip()), "paragraph"),))
    assert_sound(loaded, chunk(loaded))


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5000,
        "아" * 3000,
        "ありがとう" * 800,
        "字" * 3000,
        "a\u0301" * 3000,
        "👨‍👩‍👧‍👦" * 900,
        "a" + "\u0301" * 5000,
        "=" * 4000,
        "QUJD" * 2000 + " tail of words",
        ("word " * 400) + "y" * 300 + (" word" * 400),
    ],
)
def test_text_without_a_place_to_cut_is_cut_all_the_same(text):
    assert_sound(paragraphs(text), chunk(paragraphs(text)))


def test_a_long_run_is_cut_between_grapheme_clusters():
    family = "👨‍👩‍👧‍👦"
    for found in texts(paragraphs(family * 900)):
        assert found == family * (len(found) // len(family))


def test_sentences_are_packed_and_one_is_repeated():
    text = " ".join(f"Sentence number {number} says what it has to say, and nothing else." for number in range(40))
    found = texts(paragraphs(text))
    assert all(part.endswith("else.") and part.startswith("Sentence") for part in found)
    for before, after in pairwise(found):
        assert after.startswith(before[before.rindex("Sentence") :])


def test_long_sentences_are_cut_behind_clauses():
    text = "而且" + "这个句子很长，" * 60 + "终于结束。"
    assert all(part.endswith(("，", "。")) for part in texts(paragraphs(text)))


def test_a_chunk_never_crosses_a_heading():
    loaded = load(b"# A\n\nunder a.\n\n# B\n\nunder b.\n\n# C\n\nunder c.\n", "a.md")
    assert [(found.heading, loaded.text[found.start : found.end]) for found in chunk(loaded)] == [
        ("A", "# A\n\nunder a."),
        ("B", "# B\n\nunder b."),
        ("C", "# C\n\nunder c."),
    ]


def test_headings_without_text_between_them_go_with_the_text_below():
    loaded = load(b"# A\n\n## B\n\n### C\n\ntext\n\n## D\n", "a.md")
    assert [(found.heading, loaded.text[found.start : found.end]) for found in chunk(loaded)] == [
        ("A > B > C", "# A\n\n## B\n\n### C\n\ntext"),
        ("A > D", "## D"),
    ]


def test_a_heading_stays_with_the_beginning_of_a_long_sentence():
    sentence = "word " * 198 + "end."
    found = texts(load(f"# The heading of it\n\n{sentence}\n".encode(), "a.md"))
    assert found[0].startswith("# The heading of it\n\nword word")


def test_a_chunk_never_crosses_a_page(make_pdf):
    found = chunk(load(make_pdf([["one"], ["two"]]), "a.pdf"))
    assert [part.page for part in found] == [1, 2]


def test_code_that_fits_is_kept_whole_and_never_repeated():
    code = "```\n" + "\n".join(f"x{number} = {number}" for number in range(25)) + "\n```"
    loaded = load(f"{'Words before it. ' * 25}\n\n{code}\n\n{'Words after it. ' * 25}\n".encode(), "a.md")
    assert sum(code in part for part in texts(loaded)) == 1
    assert sum("x7 = 7" in part for part in texts(loaded)) == 1


def test_longer_code_and_tables_are_cut_at_lines():
    rows = [f"| row {number} | value {number} |" for number in range(100)]
    loaded = load("\n".join(["| a | b |", "|---|---|", *rows]).encode(), "a.md")
    lines = [line for part in texts(loaded) for line in part.splitlines()]
    assert lines[2:] == rows


def test_time_grows_with_length_only():
    began = time.monotonic()
    for text in ("word " * 60_000, "1. a " * 60_000, "x" * 300_000, "para.\n\n" * 40_000, "(" * 300_000):
        loaded = load(text.encode(), "a.txt")
        assert chunk(loaded)
    assert time.monotonic() - began < 20


def test_a_document_of_the_library_is_cut_again_as_when_it_was_taken_in(tmp_path: Path) -> None:
    library = LibraryWriter.open(tmp_path)
    collection = library.ensure_collection("default", "minilm", "test/1")
    for source in sorted((Path(__file__).parents[2] / "docs").glob("*.md")):
        taken_in = read_file(Request(source, source.name, str(source)))
        assert isinstance(taken_in, NewVersion)
        document_id, _ = library.stage(collection, taken_in)
        library.publish()
        assert library.version(document_id) == taken_in
        assert chunk_again(library.version(document_id)) == taken_in.chunks


@given(st.lists(st.tuples(st.sampled_from(["A", "A > B", ""]), st.lists(WORDS, min_size=1)), min_size=1))
def test_a_document_without_its_blocks_is_cut_from_its_chunks(parts) -> None:
    text, chunks = "", []
    for heading, words in parts:
        start = max(0, len(text) - 5)  # chunks may share a sentence
        text += "".join(words).strip() or "word"
        chunks.append(Chunk(start, len(text), None, heading))
    version = NewVersion("a", "/a", "text", "a", "en", "0", 1, 1, "text/1", text, chunks)
    again = chunk_again(version)
    covered = {position for part in again for position in range(part.start, part.end)}
    assert {position for position, char in enumerate(text) if not char.isspace()} <= covered
    assert all(0 <= part.start < part.end <= len(text) for part in again)
