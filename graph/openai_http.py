"""A streamed chat completion by aiohttp alone: the request that openai's client would send, and its errors.

openai's client makes pydantic models, a request and a response of httpx for each request, and carries each read of the
answer through all of them. Address, key, headers and the classes of errors are still its own.
"""

import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx2
import openai
import orjson
from openai.types.chat import ChatCompletionChunk

KEEP_ALIVE_S = 5.0
"""How long an idle connection is kept, as openai's client does."""


def is_proxied() -> bool:
    """Whether the environment names a proxy. openai's client knows which address goes through which; this does not."""
    return any(scheme != "no" for scheme in urllib.request.getproxies())  # NO_PROXY is among them


class CompletionRequests:
    """Requests of an openai client, whose key does not change. Whoever makes it calls `aclose()`."""

    def __init__(self, client: openai.AsyncOpenAI, connect_timeout_s: float | None) -> None:
        self.request = httpx2.Request("POST", f"{client.base_url}chat/completions")
        """What errors are about."""
        self._client = client
        self._url = str(self.request.url)
        named = {**client.auth_headers, **client.default_headers, "Accept-Encoding": "identity"}
        # openai marks those that are not to be sent by a value of its own.
        self._headers = {name: value for name, value in named.items() if isinstance(value, str)}
        # Made here, not with the session: it reads certificates from the disk, and that is made in the event loop.
        self._tls = httpx2.create_ssl_context() if self._url.startswith("https:") else True
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, payload: dict[str, Any]) -> aiohttp.ClientResponse:
        """The answer, whose body is still to come; the caller closes it. Raises an openai.APIError."""
        try:
            response = await self._opened().post(self._url, data=orjson.dumps(payload), headers=self._headers)
            if response.status < 400:
                return response
            async with response:
                said = self._as_httpx(response, content=await response.read())
        except TimeoutError as exc:
            raise openai.APITimeoutError(request=self.request) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise openai.APIConnectionError(request=self.request) from exc
        raise self._client._make_status_error_from_response(said)

    def as_openai_stream(self, response: aiohttp.ClientResponse) -> openai.AsyncStream[ChatCompletionChunk]:
        """What openai's client would make of an answer."""
        found = self._as_httpx(response, stream=_Body(response))
        return openai.AsyncStream(cast_to=ChatCompletionChunk, response=found, client=self._client)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session; it belongs to the event loop that asks first."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=openai.DEFAULT_CONNECTION_LIMITS.max_connections or 0,
                keepalive_timeout=KEEP_ALIVE_S,
                ssl=self._tls,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _as_httpx(self, response: aiohttp.ClientResponse, **body: Any) -> httpx2.Response:
        return httpx2.Response(response.status, headers=response.raw_headers, request=self.request, **body)


class _Body(httpx2.AsyncByteStream):
    """The body of an answer as httpx reads it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for read in self._response.content.iter_any():
                yield read
        except (aiohttp.ClientError, OSError) as exc:
            raise httpx2.ReadError(str(exc)) from exc

    async def aclose(self) -> None:
        self._response.close()
