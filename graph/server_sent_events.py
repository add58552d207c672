"""Server-Sent Events of a model's server, as far as OpenAI's protocol uses them: their data, until `[DONE]`."""

from dataclasses import dataclass

DONE = b"[DONE]"


@dataclass
class EventData:
    """Sans-I/O: feed what was read, get the data of the events that it completes.

    Line ends are LF, CRLF or CR (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6). Events
    without data, comments and all other fields are passed over, and so is an event that was cut off.
    """

    done: bool = False
    """Whether `[DONE]` has come; nothing after it counts."""
    _pending: bytes = b""

    def feed(self, read: bytes) -> list[bytes]:
        """Take the next bytes."""
        text, half = self._pending + read, b""
        if b"\r" in text:
            if text.endswith(b"\r"):  # perhaps the half of a CRLF
                text, half = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *events, rest = text.split(b"\n\n")
        self._pending = rest + half
        found: list[bytes] = []
        for event in events:
            # What nearly all events are needs no search for fields.
            data = event[6:] if event.startswith(b"data: {") and b"\n" not in event else _data(event)
            if data.startswith(DONE):
                self.done = True
                break
            if data:
                found.append(data)
        return found


def _data(event: bytes) -> bytes:
    lines = (line.partition(b":") for line in event.split(b"\n"))
    return b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
