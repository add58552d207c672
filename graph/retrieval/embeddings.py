"""What turns text into vectors: the bundled MiniLM, or any model LangChain's `init_embeddings` knows."""

import threading
from functools import cached_property
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray
from tokenizers import Tokenizer

from graph.cores import count_cores
from graph.errors import CitestreamError, IndexUnusable, SettingsError
from graph.retrieval.tokenizer import tokenizer_json
from graph.settings import Settings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BUNDLED = "minilm"
MAX_TOKENS = 256
"""Word pieces that MiniLM reads, with its two special tokens; what comes later in a text is not seen."""
MAX_THREADS = 4
BATCH = 8
"""Texts run together; more only spill the caches: 86 chunks a second at 8, 71 at 32 (two cores; bench/embedding.py)."""


class MiniLM(Embeddings):
    """all-MiniLM-L6-v2, 384 dimensions, unit length, English; run by onnxruntime from inside the package.

    A text has the same vector in every batch (to 1e-6). Threads may share one object.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in order."""
        vectors: list[list[float]] = self.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question; the model knows no difference between questions and passages."""
        return self.embed_documents([text])[0]

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors as an array (texts x 384). Texts of like length share a batch."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        vectors = np.zeros((len(ids), 384), np.float32)
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            vectors[batch] = self._run([ids[i] for i in batch])
        return vectors

    def _run(self, ids: list[list[int]]) -> NDArray[np.float32]:
        shape = (len(ids), max(map(len, ids)))
        inputs, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(ids):
            inputs[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        (vectors,) = self._session.run(None, {"input_ids": inputs, "attention_mask": mask})
        return np.asarray(vectors, np.float32)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(tokenizer_json())
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @property
    def _session(self) -> "InferenceSession":
        with self._lock:
            return self._opened_session

    @cached_property
    def _opened_session(self) -> "InferenceSession":
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        # Two threads on one core take a seventh more CPU for a question.
        options.intra_op_num_threads = min(MAX_THREADS, count_cores())
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with as_file(files("graph.retrieval.minilm").joinpath("minilm.w8.onnx")) as path:
            return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Embedders:
    """Embeddings by name, each opened once: the settings name the one for new collections, a collection its own.

    Threads may share one object.
    """

    def __init__(self, settings: Settings) -> None:
        self.default = settings.embedding
        self._settings = settings
        self._lock = threading.Lock()
        self._open: dict[str, Embeddings] = {}
        self._warm: set[str] = set()

    def named(self, name: str) -> Embeddings:
        """The embedding of that name. Raises SettingsError when it cannot be made."""
        if (opened := self._open.get(name)) is not None:
            return opened  # also while another one is made, which may take as long as it takes to load a model
        with self._lock:
            if name not in self._open:
                self._open[name] = open_embeddings(self._settings, name)
            return self._open[name]

    def embed(self, name: str, texts: list[str]) -> NDArray[np.float32]:
        """Vectors as an array (texts x dimensions). Raises IndexUnusable when they cannot be had or are none."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        try:
            model = self.named(name)
            # MiniLM has arrays already.
            made = model.embed(texts) if isinstance(model, MiniLM) else model.embed_documents(texts)
            vectors = np.asarray(made, np.float32)
        except CitestreamError:
            raise
        except Exception as exc:  # every provider has its own errors; their text stays here
            raise IndexUnusable(
                f"the embedding {name!r} does not answer. Check its server and the settings for it, and try again."
            ) from exc
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise IndexUnusable(
                f"the embedding {name!r} gave no usable vectors. Check its server: a vector of finite numbers is "
                "wanted for each text."
            )
        return vectors

    def warm(self, name: str) -> None:
        """Embed something once, as the first text takes longest. Raises IndexUnusable, SettingsError."""
        if name not in self._warm:
            self.embed(name, ["warm"])
            self._warm.add(name)


def open_embeddings(settings: Settings, name: str) -> Embeddings:
    """The embedding of that name. Raises SettingsError when it cannot be made."""
    if name == BUNDLED:
        return MiniLM()
    from langchain.embeddings import init_embeddings

    options: dict[str, Any] = {}
    if name.startswith("openai:"):
        options = {"api_key": settings.openai_api_key, "base_url": settings.openai_base_url}
        # Other servers count tokens their own way; sending text instead of token ids works with all of them.
        options["check_embedding_ctx_length"] = settings.openai_base_url is None
    try:
        return init_embeddings(name, **options)
    except Exception as exc:  # every provider has its own errors
        raise SettingsError(
            f"the embedding {name!r} cannot be used. In CITESTREAM_EMBEDDING it is written as provider:model "
            "(for example openai:text-embedding-3-small); the provider's LangChain package has to be installed and its "
            f"key set. Without that setting the built-in {BUNDLED!r} is used."
        ) from exc


def reads_english_only(name: str) -> bool:
    """Whether an embedding is of no use for CJK questions, so that they are searched by words alone."""
    return name == BUNDLED
