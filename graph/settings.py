"""Every setting of citestream: one class, read once where a process starts, then passed on."""

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph.errors import SettingsError

PREFIX = "CITESTREAM_"


class Settings(BaseSettings):
    """Settings from the environment (`CITESTREAM_…`) and a `.env` file; the environment wins.

    `docs/settings.md` is generated from these fields, so a description is what a user reads.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of the index, the library and the conversations. Created when missing.",
    )
    host: str = Field(default="127.0.0.1", description="Address that `citestream serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port of the server; 0 takes a free one.")
    model: str = Field(
        default="extractive",
        min_length=1,
        description=(
            "Who answers. `extractive` picks the sentences of the documents that answer best and needs no "
            "language model. `openai:NAME` is any OpenAI-compatible model (NAME is all after the first colon); "
            "other names go to LangChain's `init_chat_model`."
        ),
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_API_KEY"),
        description="Key for `openai:…` models and embeddings. Servers without keys take any text.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_BASE_URL"),
        description="Address of an OpenAI-compatible server (vLLM, Ollama, llama.cpp …), ending in `/v1`.",
    )
    openai_client: Literal["fast", "library"] = Field(
        default="fast",
        description=(
            "How `openai:…` models are read. `fast` reads plain text by itself, over aiohttp, and leaves all the rest "
            "to langchain-openai; `library` leaves it everything, over httpx, and takes several times the CPU a token."
        ),
    )
    embedding: str = Field(
        default="minilm",
        min_length=1,
        description=(
            "What turns text into vectors. `minilm` is inside the package; other names go to LangChain's "
            "`init_embeddings`. A collection remembers its embedding; `citestream index rebuild` changes it."
        ),
    )
    chroma_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#]+/?$",
        description=(
            "Address of a Chroma server (`chroma run`), such as `http://127.0.0.1:8001`. Left out, Chroma works in the "
            "data folder."
        ),
    )
    chroma_texts: bool = Field(
        default=True,
        description=(
            "Whether Chroma holds the texts of chunks as well, so that any LangChain retriever can read a collection. "
            "citestream needs none of them there; without, Chroma takes a third less time and half the room."
        ),
    )
    web_private_hosts: str | None = Field(
        default=None,
        description=(
            "Hosts (`wiki.lan`), addresses and networks (`10.1.0.0/16`), with commas between them, that `citestream "
            "ingest --allow-web` may ask though they are not on the public internet."
        ),
    )
    web_delay_s: float = Field(
        default=1,
        ge=0,
        le=60,
        description="Seconds between two requests to a site; more where its robots.txt asks for more.",
    )
    web_max_pages: int = Field(
        default=1000,
        ge=1,
        le=50_000,
        description="Pages that a sitemap may list; of one that lists more, none is taken.",
    )
    reranker: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Model that orders the best 30 hits anew: `cross-encoder:NAME` of sentence-transformers, or "
            "`package.module:callable`, which makes a LangChain document compressor. Its package must be installed."
        ),
    )
    top_k: int = Field(default=5, ge=1, le=20, description="Passages given to the model for a question.")
    context_budget_tokens: int = Field(
        default=6000,
        ge=500,
        description="Tokens of instructions, history, passages and answer together, by the built-in tokenizer.",
    )
    history_budget_tokens: int = Field(
        default=1500,
        ge=0,
        description="Tokens of earlier turns that a prompt may hold; the newest turns stay.",
    )
    max_output_tokens: int = Field(default=1000, ge=1, description="Longest answer, in tokens of the model.")
    first_content_timeout_s: float = Field(
        default=60,
        gt=0,
        description="Seconds until the first word of a model's answer or thoughts, further tries included.",
    )
    idle_timeout_s: float = Field(
        default=30, gt=0, description="Seconds a model may stay silent in the middle of an answer."
    )
    run_timeout_s: float = Field(default=300, gt=0, description="Seconds a whole run may take.")
    disconnect_grace_s: float = Field(
        default=2,
        ge=0,
        description="Seconds a run waits for a reader to come back before it is stopped; 0 stops it at once.",
    )
    shutdown_grace_s: float = Field(
        default=5,
        ge=0,
        description="Seconds that running answers get to end by themselves when the server is told to stop.",
    )
    on_busy: Literal["queue", "reject", "interrupt"] = Field(
        default="queue",
        description=(
            "What becomes of a question to a thread that is still answering: `queue` lets it wait for its turn, "
            "`reject` answers 409, `interrupt` stops the running answer, which is kept as far as it came."
        ),
    )
    max_runs: int = Field(
        default=200, ge=1, description="Answers that one server process works on at a time; more get 503."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description=(
            "Database of the conversations: `postgresql://USER:PASSWORD@HOST/NAME`. Left out, it is a SQLite file in "
            "the data folder."
        ),
    )
    events_url: SecretStr = Field(
        default=SecretStr("memory://"),
        description=(
            "Where the events of running answers are kept for those who come back: `memory://` in this process, or "
            "`redis://HOST:PORT/DB`, which several server processes share."
        ),
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Server processes; more than one needs PostgreSQL and Redis."
    )
    prompts_file: Path | None = Field(
        default=None, description="TOML file whose texts replace the built-in prompts of the same name."
    )
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="Least level that is logged."
    )

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Read the environment and `.env`; `overrides` (flags of the command line) win unless None.

        Raises SettingsError naming every setting that is wrong.
        """
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as exc:
            raise SettingsError(_explain(exc)) from exc


def env_name(field: str) -> str:
    """The environment variable of a field of Settings."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return PREFIX + field.upper()


def _explain(exc: ValidationError) -> str:
    problems = []
    for error in exc.errors():
        field = str(error["loc"][0])
        name = env_name(field) if field in Settings.model_fields else field
        problems.append(f"{name}: {error['msg']} (it is {error['input']!r})")
    return "a setting is wrong. " + "; ".join(problems) + ". See docs/settings.md."
