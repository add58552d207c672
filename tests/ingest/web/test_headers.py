"""What a server says about a page, and about being asked: nothing that it may say is more than a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.loaders.encoding import recode
from ingest.web import NotFetched
from ingest.web.address import parse_address
from ingest.web.media import file_name, parse_type
from ingest.web.robots import Rules

LATIN = st.text(alphabet=st.characters(max_codepoint=255), max_size=60)
CHARSETS = st.builds("text/html; charset{}{}".format, st.sampled_from(["=", '="', "*=", "*0=", "*0*="]), LATIN)
LINES = st.sampled_from(
    "User-agent: *|User-agent: citestream|Disallow:|Disallow: /*$$*|Disallow: /%|Disallow: http://[x|Allow: %zz|"
    "Crawl-delay: nan|Crawl-delay: 1e999|Crawl-delay: -1|Request-rate: 1/0|\u2028".split("|")
)


@given(st.one_of(LATIN, CHARSETS), st.sampled_from(["http://h/", "http://h/a.html", "http://h/%2e%2e/%00%2f"]))
def test_any_content_type_gives_a_name_or_none(header, address):
    media_type, charset = parse_type(header)
    name = file_name(parse_address(address), media_type)
    assert name is None or name
    if charset is not None:
        recode(b"caf\xe9", charset)


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("", ("", None)),
        ("Text/HTML", ("text/html", None)),
        ("text/html;charset=UTF-8", ("text/html", "utf-8")),
        ('text/html; x=y; charset="Shift_JIS"; boundary=z', ("text/html", "shift_jis")),
    ],
)
def test_type_and_charset_are_told_apart(header, parsed):
    assert parse_type(header) == parsed


@given(st.one_of(st.binary(max_size=300), st.lists(LINES, max_size=12).map(lambda lines: "\n".join(lines).encode())))
def test_any_robots_txt_allows_or_refuses(data):
    rules = Rules.parse(data)
    assert 0 <= rules.delay_s < float("inf")
    for url in ("http://h/", "http://h/a?b=%zz", "http://h/%ff"):
        try:
            rules.check(url)
        except NotFetched as refused:
            assert refused.reason == "robots"
