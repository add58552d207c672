"""What `make bench` measures is the cheap way of reading a model, not the one that it falls back to."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bench.streaming.load import STAMP
from bench.streaming.upstream import Answering, pace
from graph.openai_model import OpenAICompatible, Timeout
from graph.text_chunk import TextChunk


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_every_measured_token_comes_as_plain_text(address: str) -> None:
    model = OpenAICompatible.fast(Timeout(5), model="m", api_key="k", base_url=address, stream_usage=True)
    try:
        pieces = [piece async for piece in model.astream("cid=abc")]
    finally:
        await model.aclose()
    texts = [text for piece in pieces if isinstance(piece, TextChunk) for text in piece.texts if text]
    assert len(texts) == pace.tokens
    assert all(len(STAMP.findall(text.encode())) == 1 for text in texts)
    assert "".join(piece.text for piece in pieces) == "".join(texts)
    assert sum((piece.usage_metadata or {"output_tokens": 0})["output_tokens"] for piece in pieces) == pace.tokens
