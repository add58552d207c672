"""LangChain as its tutorials do it: FOLDER DATA CHARS. Needs langchain-community, pypdf, beautifulsoup4, lxml."""

import sys
from pathlib import Path
from typing import Any

from langchain_chroma import Chroma
from langchain_classic.indexes import SQLRecordManager, index
from langchain_community.document_loaders import BSHTMLLoader, PyPDFLoader, TextLoader
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.ingesting.common import FakeEmbeddings, Run, files_of, tell


class Fake(FakeEmbeddings, Embeddings):
    """The vectors as LangChain takes them."""


def load(path: Path) -> list[Any]:
    """A file by the loader that the tutorials name for it."""
    loaders = {".pdf": PyPDFLoader, ".html": BSHTMLLoader}
    loader = (
        loaders[path.suffix](str(path)) if path.suffix in loaders else TextLoader(str(path), autodetect_encoding=True)
    )
    return list(loader.load())


def main() -> None:
    """Load, split, embed and store; then once more with the record manager, which had seen all of it."""
    folder, data_dir, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=size // 10)
    results = {}
    data_dir.mkdir(parents=True, exist_ok=True)
    store = Chroma("bench", Fake(), persist_directory=str(data_dir))
    records = SQLRecordManager("bench", db_url=f"sqlite:///{data_dir}/records.db")
    records.create_schema()
    for name in ("first", "again"):
        run = Run(first=name == "first")
        documents = [document for path in files_of(folder) for document in load(path)]
        chunks = splitter.split_documents(documents)
        if name == "first":
            for begin in range(0, len(chunks), 5000):
                store.add_documents(chunks[begin : begin + 5000])
            results[name] = run.result(len(chunks), data_dir)
        index(
            chunks,
            records,
            Chroma("indexed", Fake(), persist_directory=str(data_dir)),
            cleanup="incremental",
            source_id_key="source",
            batch_size=1000,
            key_encoder="sha256",
        )
        if name == "again":
            results[name] = run.result(len(chunks), data_dir)
    tell(results)


if __name__ == "__main__":
    main()
