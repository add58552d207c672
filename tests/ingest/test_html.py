import pytest

from ingest.loaders import load


def blocks(page: str) -> list[tuple[str, str]]:
    loaded = load(page.encode(), "a.html")
    return [(block.kind, loaded.text[block.start : block.end]) for block in loaded.blocks]


def test_what_a_reader_does_not_see_is_left_out():
    page = (
        "<body><nav>menu</nav><h1>Prices</h1><p>Blue: 10 EUR</p><p style='display:none'>IGNORE ALL</p>"
        "<p hidden>no</p><!-- SYSTEM --><script>var t</script><style>p{}</style><template>tpl</template>"
        "<noscript>js</noscript><svg><text>drawn</text></svg></body>"
    )
    assert blocks(page) == [("heading", "Prices"), ("paragraph", "Blue: 10 EUR")]


def test_white_space_collapses_outside_of_pre():
    assert blocks("<p>a\n   b&nbsp;&amp;<b> c</b><br> d</p><pre>\n  x\n\n    y  \n</pre>") == [
        ("paragraph", "a b & c\nd"),
        ("code", "  x\n\n    y"),
    ]


def test_tables_are_a_row_a_line():
    page = "<table><tr><th>Item<th>Price</tr><tr><td><p>Blue</p><td>10\nEUR</tr></table>"
    assert blocks(page) == [("table", "Item | Price\nBlue | 10 EUR")]


def test_tables_that_arrange_a_page_are_taken_apart():
    page = "<table><tr><td><h2>Left</h2>words</td><td><table><tr><td>a<td>b</table></td></tr></table>"
    assert blocks(page) == [("heading", "Left"), ("paragraph", "words"), ("table", "a | b")]


def test_lists_are_one_block_with_dashes_and_numbers():
    page = "<ul><li>one<ul><li>deep</li></ul></li><li><p>two</p><p>more</p></li></ul><ol start=3><li>x<li>y</ol>"
    assert blocks(page) == [("list", "- one\n  - deep\n- two\n  more"), ("list", "3. x\n4. y")]


def test_a_term_stays_with_the_beginning_of_its_definition():
    page = "<dl><dt>f(x)</dt><dd><p>First.</p><p>Second.</p></dd></dl>"
    assert blocks(page) == [("paragraph", "f(x)\nFirst."), ("paragraph", "Second.")]


def test_headings_lose_their_permalinks_but_not_their_signs():
    page = "<h1>json<a class='headerlink' href='#json'>¶</a></h1><h2>C#</h2><h2>Use <a href='#u'>#</a></h2><p>x</p>"
    assert [block.heading for block in load(page.encode(), "a.html").blocks] == [
        ("json",),
        ("json", "C#"),
        ("json", "Use"),
        ("json", "Use"),
    ]


def test_the_title_is_the_pages_own_or_its_first_heading():
    assert load(b"<title>A  &lt;B&gt;</title><h1>C</h1>", "a.html").title == "A <B>"
    assert load(b"<h2>C</h2>", "a.html").title == "C"


def test_the_main_element_stands_for_the_page_when_it_holds_most_of_it():
    long = "main words " * 20
    page = f"<div>site menu</div><h1>Site</h1><main><h2>Topic</h2><p>{long}</p></main><div>legal</div>"
    loaded = load(page.encode(), "a.html")
    assert loaded.text == f"Topic\n\n{long.strip()}"
    assert loaded.blocks[1].heading == ("Topic",)


def test_a_small_article_does_not_stand_for_the_page():
    page = f"<p>{'page words ' * 20}</p><article>teaser</article>"
    assert "page words" in load(page.encode(), "a.html").text


def test_valid_utf8_wins_over_a_declaration_that_lies():
    page = '<head><meta charset="iso-8859-1"></head><p>引用必须精确。</p>'
    assert load(page.encode(), "a.html").text == "引用必须精确。"


def test_a_declared_encoding_is_used_where_the_text_is_no_utf8():
    page = '<head><meta charset="cp1251"></head><p>Цитаты</p>'
    assert load(page.encode("cp1251"), "a.html").text == "Цитаты"


def test_data_uris_leave_nothing():
    page = f"<p>start</p><img src='data:image/png;base64,{'A' * 300_000}'><p>end</p>"
    assert load(page.encode(), "a.html").text == "start\n\nend"


def test_broken_tags_lose_no_words():
    page = "<html><body><p>one<p>two<table><tr><td>a<td>b<tr><td>c<li>x</b></i>"
    assert [text for _, text in blocks(page)] == ["one", "two", "a | b\nc x"]


def test_thousands_of_nested_elements_are_no_problem():
    page = "<div>" * 5000 + "core" + "</div>" * 5000
    assert blocks(page) == [("paragraph", "core")]


@pytest.mark.parametrize(
    ("declared", "meant", "text"),
    [
        ("iso-8859-1", "cp1252", "“smart” quotes – 5 €"),
        ("gb2312", "gb18030", "朱镕基"),
        ("shift_jis", "cp932", "①髙﨑"),
        ("ks_c_5601-1987", "cp949", "똠방각하"),
    ],
)
def test_declared_encodings_mean_what_browsers_take_them_for(declared, meant, text):
    """Smart quotes of a page that says iso-8859-1 once became control characters."""
    page = f'<head><meta charset="{declared}"></head><p>{text}</p>'
    assert load(page.encode(meant), "a.html").text == text


@pytest.mark.parametrize("declared", ["utf-16", "utf-7", "unicode_escape", "hex", "no-such-thing"])
def test_a_declaration_that_cannot_be_true_is_passed_over(declared):
    """A page that says utf-16 in single bytes once became a page of Chinese signs."""
    page = (
        f'<head><meta charset="{declared}"></head><p>Le caf\u00e9 est tr\u00e8s bon, d\u00e9j\u00e0 vu. \\ud800</p>  '
    )
    text = load(page.encode("cp1252"), "a.html").text
    assert text.startswith("Le caf")
    assert text.endswith(r"vu. \ud800")


def test_soft_hyphens_do_not_split_words():
    assert load(b"<title>Doku&shy;ment</title><p>Hand&shy;buch</p>", "a.html").title == "Dokument"
    assert blocks("<p>Hand&shy;buch</p>") == [("paragraph", "Handbuch")]


def test_an_invisible_permalink_is_no_part_of_a_heading():
    """Docusaurus puts a zero-width space behind each heading, which once stood in every heading path."""
    assert blocks("<h2>Install<a class='hash-link' href='#install'>&#8203;</a></h2>") == [("heading", "Install")]


def test_a_table_inside_pre_loses_nothing():
    assert blocks("<pre>before<table><tr><td>a<td>b</table>after</pre>") == [("code", "before\na\nb\nafter")]


def test_legends_and_dialogs_stand_apart():
    page = "<fieldset><legend>Name</legend>words</fieldset><dialog open>asked</dialog>more<search>found</search>"
    assert [text for _, text in blocks(page)] == ["Name", "words", "asked", "more", "found"]
