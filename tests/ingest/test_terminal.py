import pytest

from ingest.terminal import shown, shown_text


@pytest.mark.parametrize("name", ["名\u3000字 🎉.md", "👨\u200d👩.md", "می\u200cخواهم", "a\u00a0b"])
def test_names_in_any_script_stay_as_they_are(name):
    assert shown(name) == name


@pytest.mark.parametrize("char", ["\x1b", "\x9b", "\r", "\n", "\t", "\u202e", "\u2028", "\udcff"])
def test_what_would_move_the_cursor_is_replaced_in_names(char):
    assert shown(f"a{char}b") == "a\ufffdb"


def test_text_keeps_its_lines_and_tabs_alone():
    assert shown_text("a\tb\r\nc\rd\ne\x1b[2J\x9b\x07") == "a\tb\nc\nd\ne\ufffd[2J\ufffd\ufffd"
