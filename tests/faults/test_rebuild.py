"""A server goes on answering while the index that it reads is rebuilt."""

import asyncio
import subprocess

import httpx2
import pytest

from tests.acceptance.recorder import ACCEPTANCE, Measured, many
from tests.e2e.conftest import COMMAND, ROOT
from tests.faults.conftest import Start
from tests.faults.processes import Server

QUESTIONS = ("Where does the fox sleep?", "How often is the lamp trimmed?", "猫每天睡多久？")
RATE = 5
"""Questions a second."""


@pytest.mark.long
async def test_questions_are_answered_while_the_index_is_rebuilt(start: Start, measured: Measured) -> None:
    """R1: questions at 5 a second while the index is rebuilt with one embedding and another, again and again."""
    with start(model="extractive") as server:
        if ACCEPTANCE:
            run(server, "ingest", str(ROOT / "docs"))
        rebuilding = asyncio.create_task(rebuild_often(server))
        asked: list[asyncio.Task[dict[str, object]]] = []
        async with httpx2.AsyncClient(base_url=server.address, timeout=60) as client:
            while not rebuilding.done():
                asked.append(asyncio.create_task(ask(client, QUESTIONS[len(asked) % len(QUESTIONS)])))
                await asyncio.sleep(1 / RATE)
            answers = await asyncio.gather(*asked)
        assert await rebuilding == many(2, 30)
    assert all(answer["status"] == "completed" and answer["sources"] for answer in answers)
    measured.count = len(answers)
    measured.note(rebuilds=many(2, 30))


async def ask(client: httpx2.AsyncClient, question: str) -> dict[str, object]:
    response = await client.post("/v1/chat", json={"question": question, "history": []})
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


async def rebuild_often(server: Server) -> int:
    """Rebuild with both embeddings in turn; how often it was done."""
    count = many(2, 30)
    for number in range(count):
        embedding = ("openai:hash-8", "minilm")[number % 2]
        await asyncio.to_thread(run, server, "index", "rebuild", embedding=embedding)
        await asyncio.sleep(1)
    return count


def run(server: Server, *arguments: str, embedding: str = "minilm") -> None:
    env = {**server.env, "CITESTREAM_EMBEDDING": embedding}
    subprocess.run([COMMAND, *arguments], env=env, check=True, capture_output=True, timeout=300)
