"""Encoding: from the bytes of a text file to its characters."""

import codecs
import re

from charset_normalizer import from_bytes

from ingest.loaders import Unreadable

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"
# What files mean by these names, as browsers read them: https://encoding.spec.whatwg.org/#names-and-labels
MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
CHARSETS = re.compile(r"ascii|big5|cp\d|euc|gb|hz|iso(2022|8859)|johab|koi8|kz1048|mac|ptcp154|shift|tis")
"""What a server may declare: not Python's other codecs, some of which take long, or are no encodings."""
GUESS_BYTES = 256 * 1024
CONTROL_CHARS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode by byte order mark, else strict UTF-8, else `declared`, else a guess.

    UTF-8 goes before a declaration because text of another encoding is hardly ever valid UTF-8 by chance,
    while declarations lie. The mark is removed, line ends stay, NUL becomes U+FFFD. Raises Unreadable for
    binary data.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return _clean(data[len(mark) :].decode(encoding, errors="replace"))
    if wide := _wide_encoding(data):
        return _clean(data.decode(wide, errors="replace"))
    try:
        return _clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if _share(data, CONTROLS) > 0.02:
        raise Unreadable("binary", "the file holds binary data, not text")
    return _clean(_declared(data, declared) or _guess(data))


def recode(data: bytes, declared: str) -> bytes:
    """The same text in UTF-8, where it is in the encoding `declared`; `data` itself where that cannot be so.

    For encodings that are declared beside the data: what is declared inside goes on being read by its loader. What
    outranks a declaration is as in `decode`, but for the ISO-2022 encodings, whose 7 bits are always valid UTF-8.
    """
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return data
    if not CHARSETS.match(name) or data.startswith(tuple(mark for mark, _ in BOMS)) or _share(data, CONTROLS) > 0.02:
        return data
    if not name.startswith("iso2022") and _is_utf8(data):
        return data
    text = _declared(data, declared)
    return data if text is None else text.encode()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _clean(text: str) -> str:
    sample = text[:GUESS_BYTES]
    if len(CONTROL_CHARS.findall(sample)) > 0.3 * max(1, len(sample)):
        raise Unreadable("binary", "the file holds binary data, not text")
    return text.removeprefix("\ufeff").replace("\0", "\ufffd")


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark, known by the zero halves of its Latin letters, digits and line ends."""
    sample = data[:4096]
    if len(data) % 2 or len(sample) < 4:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _declared(data: bytes, declared: str | None) -> str | None:
    if not declared:
        return None
    try:
        name = codecs.lookup(declared).name
        # What is no UTF-8 and has no mark is no other UTF either: any even number of bytes would pass for UTF-16.
        return None if name.startswith(("utf", "unicode", "raw")) else data.decode(MEANT.get(name, name))
    except (LookupError, UnicodeError):
        return None


def _guess(data: bytes) -> str:
    sample = data if len(data) <= GUESS_BYTES else data[:GUESS_BYTES].rpartition(b"\n")[0] or data[:GUESS_BYTES]
    best = from_bytes(sample).best()  # cut at a line end, for half a character would rule its encoding out
    if best is None:
        raise Unreadable("encoding", "the text is in no encoding that can be recognised; save it as UTF-8")
    return data.decode(best.encoding, errors="replace")


def _share(data: bytes, among: bytes) -> float:
    sample = data[:GUESS_BYTES]
    return (len(sample) - len(sample.translate(None, among))) / max(1, len(sample))
