"""The web application: what it opens at its start, and which routes it has."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import cast

from fastapi import FastAPI

from graph.settings import Settings
from server.body_limit import BodyLimit
from server.conductor import Graph
from server.errors import RESPONSES, install_error_handlers
from server.logs import RequestLog
from server.record import CONTRACT_VERSION
from server.routes import chat, health, library, messages, metrics, page, runs, sources, threads
from server.runs import open_runs
from server.schema import DescribedApp
from server.state import AppState, Backend
from server.stores import open_stores
from server.uploads import Uploads


def build_app(opening: Callable[[], AbstractAsyncContextManager[AppState]]) -> FastAPI:
    """The app around a state that is opened when it starts and closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with opening() as state:
            app.state.opened = state
            yield

    # Swagger's pages would load scripts from another host.
    app = DescribedApp(
        title="citestream", version=f"v{CONTRACT_VERSION}", lifespan=lifespan, docs_url=None, redoc_url=None
    )
    install_error_handlers(app)
    for module in (chat, runs, threads, messages, sources, library, health, metrics):
        app.include_router(module.router, responses=RESPONSES)
    app.router.routes.extend(page.build_page_routes(page.STATIC))
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog)
    return app


@asynccontextmanager
async def open_state(
    settings: Settings, resources: Backend | None = None, graph: Graph | None = None
) -> AsyncGenerator[AppState]:
    """Open everything that routes work with. Raises SettingsError, LibraryError and DatabaseNewer."""
    async with AsyncExitStack() as stack:
        if resources is None:
            resources = await stack.enter_async_context(_open_resources(settings))
        graph = graph or _build_graph(resources)
        stores = await stack.enter_async_context(open_stores(settings, resources.summarizer))
        runs = await stack.enter_async_context(open_runs(graph, resources.model_name, stores, settings))
        uploads = Uploads(settings.data_dir)
        stack.push_async_callback(uploads.close)
        yield AppState(resources, stores.threads, stores.event_log, runs, uploads)


# Chroma, tantivy and the embedding take a second to import, which a command that only shows its help must not pay.


@asynccontextmanager
async def _open_resources(settings: Settings) -> AsyncGenerator[Backend]:
    from graph.resources import open_resources  # noqa: PLC0415

    async with open_resources(settings) as resources:
        await resources.warm()
        yield resources


def _build_graph(resources: Backend) -> Graph:
    from graph.build import build_graph  # noqa: PLC0415
    from graph.resources import Resources  # noqa: PLC0415

    return build_graph(cast(Resources, resources))
