"""Chat models by name, and the errors of their providers as ours."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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

EXTRACTIVE = "extractive"
OPENAI_PREFIX = "openai:"
CONNECT_TIMEOUT_S = 5.0
CONNECT_TIMEOUTS = frozenset({"ConnectTimeout", "ConnectionTimeoutError"})
"""What httpx and aiohttp call it."""
MAX_RETRY_AFTER_S = 60.0
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


async def close_chat_model(model: BaseChatModel) -> None:
    """Close the connections of a model, where it has some of its own."""
    aclose = getattr(model, "aclose", None)
    if aclose is not None:
        await aclose()


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
    from graph.openai_model import OpenAICompatible, Timeout

    make = OpenAICompatible.fast if settings.openai_client == "fast" else OpenAICompatible
    return make(
        model=settings.model.removeprefix(OPENAI_PREFIX),
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else ALIVE_WITHOUT_KEY,
        base_url=settings.openai_base_url,
        max_tokens=settings.max_output_tokens,
        max_retries=0,  # graph/model_stream.py tries again, and keeps the time without a timer a read
        timeout=Timeout(None, connect=CONNECT_TIMEOUT_S),
        stream_chunk_timeout=None,
        stream_usage=True,
        use_responses_api=False,
    )


def _translate(exc: Exception) -> ModelError:
    if _is_connect_timeout(exc):
        return ModelUnavailable("the model's server cannot be reached. The operator must check OPENAI_BASE_URL.")
    if isinstance(exc, core.ModelTimeoutError | TimeoutError):
        return ModelTimeout("the model did not answer in time. Try again in a while.")
    if isinstance(exc, core.ModelRateLimitError):
        return ModelRateLimited(
            "the model's server asks for fewer requests. Try again in a while.", retry_after_s=_retry_after_s(exc)
        )
    if isinstance(exc, core.ModelAuthenticationError | core.ModelPermissionDeniedError):
        return ModelRefused("the model's server rejects the key. The operator must check OPENAI_API_KEY.")
    if isinstance(exc, core.ModelNotFoundError):
        return ModelRefused("the model's server does not know the model. The operator must check CITESTREAM_MODEL.")
    if isinstance(exc, core.ContextOverflowError):
        return ModelRefused(
            "the prompt is too long for the model. The operator must lower CITESTREAM_CONTEXT_BUDGET_TOKENS."
        )
    if isinstance(exc, core.ModelConnectionError | core.ModelAPIError | ConnectionError):
        return ModelUnavailable(
            "the model's server cannot be reached or is failing. Try again in a while.",
            retry_after_s=_retry_after_s(exc),
        )
    if isinstance(exc, core.ModelInvalidRequestError) or _is_client_error(exc):
        return ModelRefused("the model's server rejects the request. The operator finds the reason in the log.")
    if isinstance(exc, json.JSONDecodeError | UnicodeDecodeError):
        return ModelMisbehaved("the model's server sent something that is not an answer. Try again.")
    return ModelMisbehaved("the model's answer broke off with an error. Try again.")


def _is_connect_timeout(exc: BaseException | None) -> bool:
    """Whether the HTTP client, a library that providers choose, did not get a connection in time."""
    while exc is not None:
        if type(exc).__name__ in CONNECT_TIMEOUTS:
            return True
        exc = exc.__cause__
    return False


def _is_client_error(exc: Exception) -> bool:
    status = getattr(exc, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500


def _retry_after_s(exc: Exception) -> float | None:
    """Seconds in the `Retry-After` of a provider's answer (RFC 9110, 10.2.3: a number or a date), 0 to 60."""
    headers = getattr(getattr(exc, "response", None), "headers", None)
    value = headers.get("retry-after") if isinstance(headers, Mapping) else None
    if not isinstance(value, str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
