"""Reasoning models think aloud between `<think>` and `</think>` before they answer; this tells the two apart."""

from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass
class ThinkParser:
    """Sans-I/O: feed pieces of the model's text, get `(reasoning, answer)` pieces; a tag is never split.

    Only a block at the very start counts: a later `<think>` is part of the answer.
    """

    _pending: str = ""
    _state: str = "start"

    def feed(self, text: str) -> tuple[str, str]:
        """Take the next piece."""
        self._pending += text
        reasoning = ""
        if self._state == "start":
            visible = self._pending.lstrip()
            if visible.startswith(OPEN):
                self._state, self._pending = "thinking", visible[len(OPEN) :]
            elif OPEN.startswith(visible):
                return "", ""
            else:
                self._state = "answer"
        if self._state == "thinking":
            reasoning, found, rest = self._pending.partition(CLOSE)
            if found:
                self._state, self._pending = "after", rest
            else:
                held = _suffix_that_begins(CLOSE, self._pending)
                reasoning, self._pending = (
                    self._pending[: len(self._pending) - held],
                    self._pending[-held:] if held else "",
                )
                return reasoning, ""
        if self._state == "after":  # white space between the block and the answer belongs to neither
            self._pending = self._pending.lstrip()
            if not self._pending:
                return reasoning, ""
            self._state = "answer"
        answer, self._pending = self._pending, ""
        return reasoning, answer

    def flush(self) -> tuple[str, str]:
        """The model has ended: give what was held back."""
        rest, self._pending = self._pending, ""
        return (rest, "") if self._state == "thinking" else ("", rest)


def _suffix_that_begins(tag: str, text: str) -> int:
    """Length of the longest end of `text` that is a beginning of `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-size:])), 0)
