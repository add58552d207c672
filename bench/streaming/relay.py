"""The limit: the model's stream parsed and sent on, one event a token, and nothing else. Run by uvicorn."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

ADDRESS = os.environ["OPENAI_BASE_URL"] + "/chat/completions"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """One pool of connections."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
        app.state.session = session
        yield


async def tokens(session: aiohttp.ClientSession, question: str) -> AsyncGenerator[bytes]:
    """The model's tokens as events."""
    asked = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": question}]}
    async with session.post(ADDRESS, json=asked) as response:
        rest = b""
        async for read in response.content.iter_any():
            *events, rest = (rest + read).split(b"\n\n")
            for event in events:
                if event.startswith(b"data: {"):
                    choices = orjson.loads(event[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield b"event: message\ndata: " + orjson.dumps({"delta": text}) + b"\n\n"


async def ask(request: Request) -> StreamingResponse:
    """Answer a question."""
    question = orjson.loads(await request.body())["question"]
    return StreamingResponse(tokens(request.app.state.session, question), media_type="text/event-stream")


app = Starlette(lifespan=lifespan, routes=[Route("/ask", ask, methods=["POST"])])
