"""Whether a server did what its line in the table says: each feature at work, the cheap way and not its fallback."""

import re
import urllib.request
from collections import Counter
from collections.abc import Mapping
from typing import Any

NEEDED = {"message", "source", "status", "done"}
"""Events that each run of citestream must have shown; one with whole sentences `citation` as well."""
_METRIC = re.compile(r'^citestream_model_(pieces|requests)_total\{\w+="(\w+)"\} (\S+)$', re.MULTILINE)


def ways_taken(port: int) -> Counter[str]:
    """How many pieces of text and requests took which way since the server began."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        told = response.read().decode()
    return Counter({f"{what} {way}": int(float(number)) for what, way, number in _METRIC.findall(told)})


def check(found: Mapping[str, Any], ways: Counter[str], *, cites: bool, fast: bool, rewrites: bool) -> None:
    """Raise SystemExit unless a measurement of citestream shows every feature that is on, and the way that it names.

    `ways` are those of the measurement alone.
    """
    tokens, streams = found["tokens"], found["streams"]
    needed = NEEDED | ({"citation"} if cites and tokens > streams else set())
    if missing := needed - found["events"].keys():
        raise SystemExit(f"no {', '.join(sorted(missing))} came: {dict(found)}")
    pieces, requests = (tokens + streams, 2 * streams) if rewrites else (tokens, streams)
    cheap, dear = ways["pieces short"] + ways["pieces joined"], ways["pieces single"]
    if (cheap, dear, ways["requests aiohttp"]) != ((pieces, 0, requests) if fast else (0, pieces, 0)):
        raise SystemExit(f"{pieces} tokens of {requests} requests took another way than their name says: {dict(ways)}")
    if fast and tokens > streams and not ways["pieces short"]:
        raise SystemExit(f"no token went past LangChain: {dict(ways)}")
