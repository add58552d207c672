"""What a tutorial builds: LangGraph, ChatOpenAI, Chroma, `astream_events` v2 and sse-starlette. Run by uvicorn.

It has the embedding and the chunks of the compared service; its conversations are in memory, in its favour.
"""

import json
import os
from collections.abc import AsyncGenerator
from typing import Annotated, Any, TypedDict

import anyio.to_thread
import chromadb
from fastapi import FastAPI
from langchain_chroma import Chroma
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel, SecretStr
from sse_starlette.sse import EventSourceResponse

from graph.retrieval.embeddings import MiniLM
from graph.retrieval.index import CROWD

PROMPT = "Answer from these passages and cite them as [n].\n\n{passages}\n\nQuestion: {question}"
client = chromadb.PersistentClient(os.environ["BENCH_CHROMA"])
names = [collection.name for collection in client.list_collections()]
name = next(name for name in names if not name.endswith(CROWD))
store = Chroma(client=client, collection_name=name, embedding_function=MiniLM())
model = ChatOpenAI(model="bench", api_key=SecretStr("none"), stream_usage=True)


class State(TypedDict, total=False):
    """The conversation and what was found."""

    messages: Annotated[list[AnyMessage], add_messages]
    passages: list[str]


async def retrieve(state: State) -> State:
    """Find three chunks."""
    found = await anyio.to_thread.run_sync(store.similarity_search, state["messages"][-1].text, 3)
    return {"passages": [document.page_content for document in found]}


async def generate(state: State, config: RunnableConfig) -> State:
    """Ask the model."""
    passages = "\n\n".join(f"[{n}] {text}" for n, text in enumerate(state["passages"], 1))
    prompt = PROMPT.format(passages=passages, question=state["messages"][-1].text)
    return {"messages": [await model.ainvoke(prompt, config)]}


builder = StateGraph(State)
builder.add_node("retrieve", retrieve)
builder.add_node("generate", generate)
builder.add_edge(START, "retrieve")
builder.add_edge("retrieve", "generate")
builder.add_edge("generate", END)
graph = builder.compile(checkpointer=InMemorySaver())
app = FastAPI()


class Ask(BaseModel):
    """A question in a conversation."""

    question: str
    session: str


@app.post("/ask")
async def ask(asked: Ask) -> EventSourceResponse:
    """Answer a question."""

    async def events() -> AsyncGenerator[dict[str, str]]:
        messages: Any = {"messages": [{"role": "user", "content": asked.question}]}
        config: RunnableConfig = {"configurable": {"thread_id": asked.session}}
        async for event in graph.astream_events(messages, config, version="v2"):
            if event["event"] == "on_chat_model_stream":
                if text := event["data"]["chunk"].text:
                    yield {"event": "message", "data": json.dumps({"delta": text})}
            elif event["event"] == "on_chain_end" and event["name"] == "retrieve":
                yield {"event": "source", "data": json.dumps(event["data"]["output"]["passages"])}

    return EventSourceResponse(events())
