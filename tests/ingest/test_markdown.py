import pytest

from ingest.loaders import load


def blocks(text: str) -> list[tuple[str, str, str]]:
    loaded = load(text.encode(), "a.md")
    return [(block.kind, " > ".join(block.heading), loaded.text[block.start : block.end]) for block in loaded.blocks]


def test_a_hash_inside_a_fence_is_no_heading():
    text = "# Real\n\n```\n# not a heading\n```\n\n~~~md\n## nor this\n~~~\n\nSetext\n======\n\n## B\n\ntext\n"
    assert blocks(text) == [
        ("heading", "Real", "# Real"),
        ("code", "Real", "```\n# not a heading\n```"),
        ("code", "Real", "~~~md\n## nor this\n~~~"),
        ("heading", "Setext", "Setext\n======"),
        ("heading", "Setext > B", "## B"),
        ("paragraph", "Setext > B", "text"),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blocks_are_exact_slices_whatever_ends_a_line(newline):
    text = newline.join(["# 标题 😀", "", "para one", "goes on", "", "- a", "  - b", "- c", "", "> quoted", ""])
    assert blocks(text) == [
        ("heading", "标题 😀", "# 标题 😀"),
        ("paragraph", "标题 😀", f"para one{newline}goes on"),
        ("list", "标题 😀", newline.join(["- a", "  - b", "- c"])),
        ("paragraph", "标题 😀", "> quoted"),
    ]


def test_the_canonical_text_is_the_file_without_its_mark():
    text = "# A\r\n\r\n<!-- note -->\r\nx\0y\r\n"
    assert load(b"\xef\xbb\xbf" + text.encode(), "a.md").text == text.replace("\0", "\ufffd")


def test_tables_and_raw_html_are_kept():
    assert [kind for kind, _, _ in blocks("| a | b |\n|---|---|\n| 1 | 2 |\n\n<div>\nx\n</div>\n")] == [
        "table",
        "paragraph",
    ]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# Plain { #anchor }", "Plain"),
        ("# [Django](https://x.org) {.cls}", "Django"),
        ("# The `map` of **all** things #", "The map of all things"),
        ("# A &amp; B <b>c</b>", "A & B c"),
        ("# ![logo](x.png) Name", "logo Name"),
    ],
)
def test_a_heading_path_holds_no_markup(line, title):
    assert blocks(line) == [("heading", title, line)]


def test_front_matter_is_skipped_and_gives_the_title():
    loaded = load(b"---\ntitle: 'Own title'\ntags: [a]\n---\n\n# Heading\n\ntext\n", "a.md")
    assert loaded.title == "Own title"
    assert loaded.text[loaded.blocks[0].start :].startswith("# Heading")


def test_a_rule_at_the_top_is_no_front_matter():
    assert [text for _, _, text in blocks("---\n\nkept\n\n---\n")] == ["kept"]


def test_the_title_is_the_first_heading_of_level_one_or_the_file_name():
    assert load(b"## Two\n\n# One\n", "a.md").title == "One"
    assert load(b"## Two\n", "a.md").title == "a.md"


def test_a_shallower_heading_closes_the_deeper_ones():
    paths = [path for kind, path, _ in blocks("# A\n### C\n## B\n# D\n") if kind == "heading"]
    assert paths == ["A", "A > C", "A > B", "D"]


@pytest.mark.parametrize(
    ("field", "title"),
    [
        ("Guide to 'x'", "Guide to 'x'"),
        ("'Quoted'", "Quoted"),
        ('"', '"'),
        (">-\n  Folded over\n  lines", "Heading"),
        ("|\n  Kept", "Heading"),
        ("", "Heading"),
    ],
)
def test_the_title_in_front_matter_is_read_as_yaml_means_it(field, title):
    assert load(f"---\ntitle: {field}\n---\n# Heading\n".encode(), "a.md").title == title


def test_front_matter_is_read_whatever_ends_a_line():
    assert load(b"---\rtags: a\rtitle: Own\r---\rbody\r", "a.md").title == "Own"


@pytest.mark.timeout(15)
def test_a_heading_full_of_blanks_is_read_in_time():
    """White space before an attribute was once tried at each of its places: minutes for a heading of 100 kB."""
    assert load(b"# a" + b" " * 200_000 + b"{#\n", "a.md").title == "a {#"
