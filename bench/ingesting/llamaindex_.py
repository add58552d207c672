"""LlamaIndex as its tutorials do it: FOLDER DATA TOKENS.

Needs llama-index-core, llama-index-readers-file and llama-index-vector-stores-chroma, not installed by hard links.
"""

import sys
from pathlib import Path

import chromadb
from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.vector_stores.chroma import ChromaVectorStore

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.ingesting.common import FakeEmbeddings, Run, files_of, tell


class Fake(BaseEmbedding):
    """The vectors as LlamaIndex takes them."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return FakeEmbeddings().embed_query(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return FakeEmbeddings().embed_documents(texts)

    def _get_query_embedding(self, query: str) -> list[float]:
        return FakeEmbeddings().embed_query(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return FakeEmbeddings().embed_query(query)


def main() -> None:
    """Load, split, embed and store."""
    folder, data_dir, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    run = Run(first=True)
    documents = SimpleDirectoryReader(input_files=[str(path) for path in files_of(folder)]).load_data()
    collection = chromadb.PersistentClient(str(data_dir)).create_collection("bench")
    storage = StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection))
    splitter = SentenceSplitter(chunk_size=size, chunk_overlap=size // 10)
    VectorStoreIndex.from_documents(
        documents, storage_context=storage, embed_model=Fake(embed_batch_size=256), transformations=[splitter]
    )
    tell({"first": run.result(collection.count(), data_dir)})


if __name__ == "__main__":
    main()
