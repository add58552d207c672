"""The same with LlamaIndex: CondenseQuestionChatEngine over CitationQueryEngine in a workflow. Run by uvicorn.

It has the embedding and the chunks of the compared service, and its conversations in SQLite. It runs in an environment
of its own: llama-index-core, llama-index-llms-openai-like, llama-index-vector-stores-chroma, onnxruntime, tokenizers,
aiosqlite, fastapi, sse-starlette, "uvicorn[standard]".
"""

import json
import os
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.memory import Memory
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai_like import OpenAILike
from llama_index.vector_stores.chroma import ChromaVectorStore
from pydantic import BaseModel
from sse_starlette.sse import EventSourceResponse
from tokenizers import Tokenizer

MINILM = Path(os.environ["BENCH_MINILM"])
TOKENIZER = Tokenizer.from_str((MINILM / "tokenizer.json").read_text(encoding="utf-8"))
TOKENIZER.enable_truncation(256)
TOKENIZER.no_padding()
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads = 1
SESSION = onnxruntime.InferenceSession(str(MINILM / "minilm.w8.onnx"), OPTIONS)


class MiniLM(BaseEmbedding):
    """The embedding that citestream has built in."""

    def _get_query_embedding(self, query: str) -> list[float]:
        ids = np.asarray([TOKENIZER.encode(query).ids], np.int64)
        (vectors,) = SESSION.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return vectors[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    _get_text_embedding = _get_query_embedding


Settings.embed_model = MiniLM()
Settings.llm = OpenAILike(
    model="bench", api_base=os.environ["OPENAI_BASE_URL"], api_key="none", is_chat_model=True, context_window=32000
)
with np.load(os.environ["BENCH_CHUNKS"]) as kept:
    NODES = [
        TextNode(text=text, id_=str(number), embedding=vector.tolist())
        for number, (text, vector) in enumerate(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
    ]
COLLECTION = chromadb.EphemeralClient().create_collection("bench", metadata={"hnsw:space": "cosine"})
STORE = StorageContext.from_defaults(vector_store=ChromaVectorStore(COLLECTION))
INDEX = VectorStoreIndex(NODES, storage_context=STORE)  # its own store compares with each vector, in Python
CHATS = SQLAlchemyChatStore(table_name="chats", async_database_uri=f"sqlite+aiosqlite:///{os.environ['BENCH_CHATS']}")


class Ask(BaseModel):
    """A question in a conversation."""

    question: str
    session: str


class Asked(StartEvent):
    """A question comes."""

    ask: Ask


class Token(Event):
    """A token goes."""

    text: str


class Chat(Workflow):
    """One step, as the service of the comparison has it."""

    @step
    async def answer(self, ctx: Context, asked: Asked) -> StopEvent:
        """Answer a question, token by token."""
        query = CitationQueryEngine.from_args(INDEX, similarity_top_k=3, citation_chunk_size=512, streaming=True)
        memory = Memory(sql_store=CHATS, session_id=asked.ask.session, token_limit=8000)
        engine = CondenseQuestionChatEngine.from_defaults(query_engine=query, memory=memory)
        response = await engine.astream_chat(asked.ask.question)
        async for token in response.async_response_gen():
            ctx.write_event_to_stream(Token(text=token))
        nodes = response.sources[0].raw_output.source_nodes
        return StopEvent(result=[node.node.get_content()[:200] for node in nodes])


chat = Chat(timeout=600)
app = FastAPI()


@app.post("/ask")
async def ask(asked: Ask, request: Request) -> EventSourceResponse:
    """Answer a question."""

    async def events() -> Any:
        handler = chat.run(start_event=Asked(ask=asked))
        async for event in handler.stream_events():
            if await request.is_disconnected():
                return
            if isinstance(event, Token):
                yield {"event": "message", "data": json.dumps({"delta": event.text})}
        yield {"event": "source", "data": json.dumps(await handler)}

    return EventSourceResponse(events())
