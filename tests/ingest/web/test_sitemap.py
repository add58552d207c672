"""Sitemaps, sound and nasty."""

import gzip
import resource
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.web import NotFetched, sitemap
from ingest.web.inflate import inflate
from ingest.web.sitemap import is_sitemap, read_sitemap, unpack
from tests.ingest.web.site import sitemap as sitemap_page


@pytest.fixture
def write(tmp_path):
    def write(data):
        file = tmp_path / "sitemap"
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    return write


def test_pages_are_listed_in_order_and_pictures_are_passed_over(write):
    file = write(
        '\ufeff<?xml version="1.0" encoding="UTF-8"?><!-- made by hand -->\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x/image">'
        "<url><loc>\n https://h/a?x=1&amp;y=2 </loc><image:image><image:loc>https://h/a.png</image:loc></image:image>"
        "<lastmod>2030-01-01</lastmod></url><url><loc><![CDATA[https://h/b]]></loc></url><url><loc/></url></urlset>"
    )
    assert is_sitemap(file)
    assert read_sitemap(file, 10) == sitemap.Sitemap("pages", ("https://h/a?x=1&y=2", "https://h/b"))


def test_a_sitemap_of_sitemaps_and_one_without_a_namespace(write):
    assert read_sitemap(write("<sitemapindex><sitemap><loc>https://h/1.xml</loc></sitemap></sitemapindex>"), 1) == (
        sitemap.Sitemap("sitemaps", ("https://h/1.xml",))
    )


def test_more_pages_than_wanted_are_refused(write):
    file = write(sitemap_page(*(f"https://h/{number}" for number in range(50_001))).body)
    with pytest.raises(NotFetched, match="too-many"):
        read_sitemap(file, 50_000)
    assert len(read_sitemap(file, 50_001).addresses) == 50_001


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE urlset [<!ENTITY l0 "ha">{LAUGHS}]><urlset><url><loc>&l9;</loc></url></urlset>',
        f'<!DOCTYPE urlset [<!ENTITY a "{"a" * 50_000}">]><urlset><url><loc>{"&a;" * 50_000}</loc></url></urlset>',
        '<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>&x;</loc></url></urlset>',
        '<!DOCTYPE urlset SYSTEM "http://127.0.0.1:9/x.dtd"><urlset><url><loc>http://h/</loc></url></urlset>',
        '<!DOCTYPE urlset [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x">%p;]><urlset/>',
        "<urlset><url><loc>&unknown;</loc></url></urlset>",
        "<urlset><url><loc>http://h/</loc></url>",
        "<urlset>" + "<a>" * 100_000,
        "<html><urlset></urlset></html>",
        "",
        '<?xml version="1.0" encoding="no-such"?><urlset/>',
        "<urlset>\x00</urlset>",
    ],
)
def test_bombs_and_damage_are_refused(write, text):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(NotFetched, match="malformed"):
        read_sitemap(write(text), 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_an_address_of_a_hundred_megabytes_is_cut(write):
    found = read_sitemap(write(b"<urlset><url><loc>http://h/" + b"a" * 10_000_000 + b"</loc></url></urlset>"), 9)
    assert all(len(address) < 100_000 for address in found.addresses)


@given(st.binary(max_size=3000), st.integers(1, 500), st.integers(1, 3))
def test_what_was_compressed_comes_back(data, step, members):
    packed = b"".join(gzip.compress(data) for _ in range(members)) + b"\0" * 7
    parts = [packed[at : at + step] for at in range(0, len(packed), step)]
    assert b"".join(inflate(parts)) == data * members


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 1_000_003])
def test_pieces_are_small_and_none_is_lost(size):
    pieces = list(inflate([gzip.compress(b"\0" * size)]))
    assert max(map(len, pieces)) <= 65_536
    assert sum(map(len, pieces)) == size


@given(st.binary(min_size=1, max_size=500), st.integers(0, 100))
def test_what_is_cut_off_or_damaged_is_refused_or_whole(data, at):
    packed = gzip.compress(data)
    cut = packed[: max(1, len(packed) - 1 - at)]
    with pytest.raises(NotFetched, match="malformed"):
        list(inflate([cut]))
    with pytest.raises(NotFetched, match="malformed"):
        list(inflate([b"\x1f\x8bnot gzip at all"]))


def test_a_gzip_bomb_is_stopped_where_a_sitemap_may_end(write, tmp_path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(300)) + packer.flush()
    file = write(bomb)
    with pytest.raises(NotFetched, match="too-large"):
        unpack(file)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= sitemap.MAX_BYTES + len(bomb)


def test_a_sitemap_is_known_by_its_beginning(write):
    assert not is_sitemap(write("<!doctype html><p>about &lt;urlset&gt;"))
    assert not is_sitemap(write("# How to write <urlset > by hand"))
    assert not is_sitemap(write("<!doctype html><html><script>'<urlset >'</script>"))
    assert not is_sitemap(write("<!-- x -->" * 1000))
    assert not is_sitemap(write(b""))
    assert is_sitemap(write("<!-- <html> --><s:urlset xmlns:s='x'></s:urlset>"))
    assert is_sitemap(write("<!DOCTYPE urlset []><urlset>"))
    assert is_sitemap(write('<?xml version="1.0" encoding="UTF-16"?><urlset/>'.encode("utf-16")))
