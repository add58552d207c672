"""What one call of a model costs: by our client, by ours over openai's connections (as with a proxy), by the library's.

Usage: python -m bench.streaming.call [--rounds N] [--calls N] [--at-once N] [--tokens N]

No graph and no server stand between: whoever asks reads the model's stream to its end. The CPU is that of this process;
the model's server is another one.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Mapping
from unittest.mock import patch

import uvloop
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from bench.streaming.__main__ import BUILD, ROOT, free_port, running
from graph import openai_model
from graph.models import close_chat_model, open_chat_model
from graph.retrieval.embeddings import Embedders
from graph.settings import Settings

QUESTION = "Does the stream of tokens reach every reader?"
WARM = 30
"""Calls that are not counted."""


def main() -> None:
    """Ask by each client in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1)
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    port = free_port()
    upstream = [sys.executable, "-m", "bench.streaming.upstream", str(port)]
    with running(upstream, port, "1", BUILD / "upstream.log", {}, ROOT):
        pace = json.dumps({"tokens": arguments.tokens, "pause_s": 0}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/pace", data=pace).read()
        taken = uvloop.run(measure(f"http://127.0.0.1:{port}/v1", arguments))
    print("| client | CPU of a call, ms | least | most |\n|---|---|---|---|")
    for name, values in taken.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


async def measure(url: str, arguments: argparse.Namespace) -> Mapping[str, list[float]]:
    """Milliseconds of CPU for a call, of each round, by the name of the client."""
    models = open_models(url)
    taken: dict[str, list[float]] = {name: [] for name in models}
    for name in models:
        await ask(models[name], WARM, arguments.at_once)
    for _ in range(arguments.rounds):
        for name, model in models.items():
            began = time.process_time()
            pieces = await ask(model, arguments.calls, arguments.at_once)
            taken[name].append(1000 * (time.process_time() - began) / arguments.calls)
            assert pieces >= arguments.calls, "a stream ended without text"
    for model in models.values():
        await close_chat_model(model)
    return taken


def open_models(url: str) -> Mapping[str, BaseChatModel]:
    """The same model's server, asked in three ways."""

    def opened(client: str) -> BaseChatModel:
        settings = Settings.load(
            model="openai:bench", openai_base_url=url, openai_api_key=SecretStr("none"), openai_client=client
        )
        return open_chat_model(settings, Embedders(settings).named(settings.embedding))

    with patch.object(openai_model, "is_proxied", lambda: True):
        proxied = opened("fast")
    return {"fast": opened("fast"), "fast, over openai's connections": proxied, "library": opened("library")}


async def ask(model: BaseChatModel, calls: int, at_once: int) -> int:
    """Read so many answers, `at_once` at a time; how many pieces with text came."""
    left = iter(range(calls))

    async def work() -> int:
        pieces = 0
        for _ in left:
            pieces += sum([bool(piece.content) async for piece in model.astream(QUESTION)])
        return pieces

    return sum(await asyncio.gather(*(work() for _ in range(at_once))))


if __name__ == "__main__":
    main()
