import pytest

from ingest.loaders import MAX_BYTES, Unreadable, load
from ingest.loaders.language import language_of


def reason(data: bytes, name: str) -> str:
    with pytest.raises(Unreadable) as caught:
        load(data, name)
    return caught.value.reason


def test_a_pdf_named_txt_is_read_as_a_pdf(make_pdf):
    assert load(make_pdf([["inside"]]), "notes.txt").format == "pdf"


def test_text_named_pdf_is_malformed():
    assert reason(b"just words", "notes.pdf") == "malformed"


def test_the_extension_counts_in_any_case():
    assert load(b"# upper", "UPPER.MD").format == "markdown"


def test_a_web_page_without_extension_is_recognised():
    assert load(b"\n<!DOCTYPE html><p>page", "page").format == "html"


@pytest.mark.parametrize("name", ["noext", "photo.png", "old.doc"])
def test_other_kinds_of_files_are_unsupported(name):
    assert reason(b"plain words", name) == "unsupported"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty.txt"),
        (b"", "empty.pdf"),
        ("\ufeff \u3000\n\t".encode(), "white.md"),
        (b"---\ntitle: x\ntags: [a]\n---\n", "front.md"),
        (b"<html><body><script>var a</script></body></html>", "script.html"),
    ],
)
def test_a_file_without_text_is_empty(data, name):
    assert reason(data, name) == "empty"


def test_a_huge_file_is_refused_before_it_is_parsed():
    assert reason(bytes(MAX_BYTES + 1), "huge.txt") == "too-large"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The rules of the house are simple and this is not hard.", "en"),
        ("引用必须精确。", "zh"),
        ("これは日本語の文書です。", "ja"),
        ("인용은 정확해야 합니다.", "ko"),
        ("Цитаты должны быть точными.", "ru"),
        ("Das ist der Text, und die Regeln sind nicht schwer.", "de"),
        ("Les règles ne sont pas dans le texte, une chose sur la table.", "fr"),
        ("words", "en"),
        ("123", "en"),
    ],
)
def test_the_language_follows_script_and_function_words(text, code):
    assert language_of(text) == code
