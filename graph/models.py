"""Chat models by name, and the errors of their providers as ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions as core
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from graph.errors import (
    CitestreamError,
    ModelError,
    ModelMisbehaved,
    ModelRateLimited,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
    SettingsError,
)
from graph.extractive import ExtractiveChatModel
from graph.settings import Settings

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

EXTRACTIVE = "extractive"
OPENAI_PREFIX = "openai:"
MAX_RETRIES = 2
"""Further tries before the first token; after it a model is never called again."""
ALIVE_WITHOUT_KEY = "none"
"""Sent as the key where none is set: servers that need no key take any."""


def open_chat_model(settings: Settings, embeddings: Embeddings) -> BaseChatModel:
    """The model that the settings name. Raises SettingsError when it cannot be made."""
    if settings.model == EXTRACTIVE:
        return ExtractiveChatModel(embeddings=embeddings)
    if settings.model.startswith(OPENAI_PREFIX):
        return _open_openai(settings)
    from langchain.chat_models import init_chat_model

    try:
        model: BaseChatModel = init_chat_model(settings.model, max_tokens=settings.max_output_tokens)
    except (ImportError, ValueError) as exc:
        raise SettingsError(
            f"CITESTREAM_MODEL: {settings.model!r} cannot be used. Write it as provider:model, install the provider's "
            f"LangChain package and set its key; or use {EXTRACTIVE!r}, which needs no model."
        ) from exc
    return model


def is_language_model(model: BaseChatModel) -> bool:
    """Whether the model writes text of its own, so that it can also rewrite questions."""
    return not isinstance(model, ExtractiveChatModel)


@contextmanager
def provider_errors() -> Iterator[None]:
    """Turn what a provider raises into a ModelError; its text stays in the chained exception, for the log alone."""
    try:
        yield
    except CitestreamError:
        raise
    except Exception as exc:  # each provider has a tree of its own
        raise _translate(exc) from exc


def _open_openai(settings: Settings) -> BaseChatModel:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise SettingsError(
            f"CITESTREAM_MODEL: {settings.model!r} needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own."
        )
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ALIVE_WITHOUT_KEY
    return _openai_class()(
        model=settings.model.removeprefix(OPENAI_PREFIX),
        api_key=key,
        base_url=settings.openai_base_url,
        max_tokens=settings.max_output_tokens,
        max_retries=MAX_RETRIES,
        timeout=settings.idle_timeout_s,
        stream_chunk_timeout=None,  # graph/model_stream.py keeps the time, without a timer a chunk
        stream_usage=True,
        use_responses_api=False,
    )


@cache
def _openai_class() -> "type[ChatOpenAI]":
    """ChatOpenAI that keeps `reasoning_content`; made late, as importing langchain-openai takes a second."""
    from langchain_openai import ChatOpenAI

    class OpenAICompatible(ChatOpenAI):
        """OpenAI's protocol as vLLM, Ollama, llama.cpp, DeepSeek and others speak it."""

        def _convert_chunk_to_generation_chunk(self, chunk: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            generation = super()._convert_chunk_to_generation_chunk(chunk, *args, **kwargs)
            choices = chunk.get("choices") or [{}]
            delta = choices[0].get("delta") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if generation is not None and isinstance(reasoning, str):
                generation.message.additional_kwargs["reasoning_content"] = reasoning
            return generation

    return OpenAICompatible


def _translate(exc: Exception) -> ModelError:
    if isinstance(exc, core.ModelTimeoutError | TimeoutError):
        return ModelTimeout("the model did not answer in time. Try again, or raise CITESTREAM_IDLE_TIMEOUT_S.")
    if isinstance(exc, core.ModelRateLimitError):
        return ModelRateLimited("the model's server asks for fewer requests. Try again in a while.")
    if isinstance(exc, core.ModelAuthenticationError | core.ModelPermissionDeniedError):
        return ModelRefused("the model's server rejects the key. The operator must check OPENAI_API_KEY.")
    if isinstance(exc, core.ModelNotFoundError):
        return ModelRefused("the model's server does not know the model. The operator must check CITESTREAM_MODEL.")
    if isinstance(exc, core.ContextOverflowError):
        return ModelRefused(
            "the prompt is too long for the model. The operator must lower CITESTREAM_CONTEXT_BUDGET_TOKENS."
        )
    if isinstance(exc, core.ModelInvalidRequestError):
        return ModelRefused("the model's server rejects the request. The operator finds the reason in the log.")
    if isinstance(exc, core.ModelConnectionError | core.ModelAPIError | ConnectionError):
        return ModelUnavailable("the model's server cannot be reached or is failing. Try again in a while.")
    if isinstance(exc, json.JSONDecodeError):
        return ModelMisbehaved("the model's server sent something that is not an answer. Try again.")
    return ModelMisbehaved("the model's answer broke off with an error. Try again.")
