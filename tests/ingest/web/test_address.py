"""The one form of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.web import NotFetched
from ingest.web.address import folder_of, parse_address, port_of, site_of


@pytest.mark.parametrize(
    ("given_", "form"),
    [
        ("HTTP://EXAMPLE.com:80/a/../b/./c?q=1#f", "http://example.com/b/c?q=1"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://bücher.example/ä?x=ö", "http://xn--bcher-kva.example/%C3%A4?x=%C3%B6"),
        ("http://example.com./x", "http://example.com/x"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://h/a%2Fb/%7Ec", "http://h/a%2Fb/%7Ec"),
        ("http://h/?", "http://h/?"),
        ("  http://h/a b ", "http://h/a%20b"),
    ],
)
def test_an_address_has_one_form(given_, form):
    assert str(parse_address(given_)) == form
    assert str(parse_address(form)) == form


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "gopher://h/", "data:text/html,x", "//h/x", "/x", "",
        "http://user@h/", "http://user:pw@h/", "http://:pw@h/", "http://h\\@evil/", "http:///x", "http://h:0/",
        "http://h:99999/", "http://h:x/", "http://[fe80::1%25eth0]/", "http://h/\0", "http://h/\r\nX: y",
        "http://256.1.1.1./", "http://256.1.1.1\u3002/", "http://h/" + "a" * 2048,
    ],
)  # fmt: skip
def test_other_addresses_are_refused(text):
    with pytest.raises(NotFetched) as refused:
        parse_address(text)
    assert refused.value.reason == "address"


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-fx.:\[\]\u3002@%]{1,20}/?", fullmatch=True))
def test_any_text_is_an_address_of_one_form_or_refused(text):
    here = parse_address("https://h/docs/a")
    for candidate in (text, f"http://{text}", f"https://h/{text}", f"//{text}"):
        try:
            url = parse_address(candidate, here)
        except NotFetched:
            continue
        assert url.scheme in ("http", "https")
        assert not url.userinfo
        assert "#" not in str(url)
        assert str(parse_address(str(url))) == str(url)


def test_what_a_redirect_names_is_seen_from_where_it_stands():
    here = parse_address("https://h:8443/docs/a?x=1")
    assert str(parse_address("../b#part", here)) == "https://h:8443/b"
    assert str(parse_address("//other/b", here)) == "https://other/b"
    with pytest.raises(NotFetched):
        parse_address("file:///etc/passwd", here)


def test_sites_and_folders():
    url = parse_address("https://h/docs/sitemap.xml?a=/b/")
    assert (site_of(url), folder_of(url), port_of(url)) == ("h", "https://h/docs/", 443)
    assert site_of(parse_address("http://h:8080/")) == "h:8080"
