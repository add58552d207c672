"""The whole command, where it is more than its parts in this package."""

import signal
import sys
from collections.abc import Iterator

import pytest

from citestream import cli


@pytest.fixture(autouse=True)
def keyboard() -> Iterator[None]:
    """Leave Ctrl-C to pytest: a command gives it up at its end."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["citestream", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


@pytest.mark.parametrize("question", ["", " \n", "x" * 8001])
def test_a_question_without_words_or_end_is_a_usage_error(monkeypatch, tmp_path, question):
    assert exit_code(monkeypatch, "ask", question, "--data-dir", str(tmp_path / "data")) == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [("serve", "--port", "99999"), ("ask", "what?")])
def test_what_the_user_has_to_mend_is_a_usage_error_in_one_line(monkeypatch, tmp_path, capsys, arguments):
    assert exit_code(monkeypatch, *arguments, "--data-dir", str(tmp_path / "data")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_data_folder_that_is_a_file_is_told_in_one_line(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert exit_code(monkeypatch, "ask", "what?", "--data-dir", str(tmp_path / "file")) == 2
    assert capsys.readouterr().err.startswith(f"citestream: {tmp_path / 'file'} cannot be used")
