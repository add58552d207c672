"""Answer in the terminal: the text as it streams, then the sources and the quotes that prove it."""

import sys
from contextlib import aclosing
from typing import Any

import anyio.to_thread
from langchain_core.messages import HumanMessage
from rich.console import Console
from rich.markup import escape

from graph.build import build_graph
from graph.errors import IndexEmpty
from graph.events import Source, read_emitted
from graph.resources import Resources, open_resources
from graph.settings import Settings
from graph.state.context import TurnContext
from graph.state.evidence import Citation
from ingest.terminal import shown, shown_text

MARKS = {"exact": "✓ exact", "supported": "≈ supported", "unsupported": "✗ unsupported"}


async def answer(settings: Settings, question: str, context: TurnContext) -> None:
    """Ask the graph and print what it says. Raises CitestreamError."""
    async with open_resources(settings) as resources:
        if await anyio.to_thread.run_sync(resources.library.is_empty):
            raise IndexEmpty("there is nothing to search yet. `citestream ingest PATH` adds documents.")
        printer = _Printer()
        await _run(resources, question, context, printer)
        printer.print_sources()


async def _run(resources: Resources, question: str, context: TurnContext, printer: "_Printer") -> None:
    async with aclosing(read_emitted(build_graph(resources), [HumanMessage(question)], context)) as events:
        async for event in events:
            if event["event"] == "on_custom_event":
                printer.take(event["name"], event["data"])


class _Printer:
    """Writes the answer to stdout and everything about it, where that is a terminal, around it."""

    def __init__(self) -> None:
        self._steps = Console(stderr=True)
        self._out = Console()
        self._sources: list[Source] = []
        self._citations: list[Citation] = []

    def take(self, event: str, data: Any) -> None:
        if event == "status" and data["state"] == "start" and self._steps.is_terminal:
            self._steps.print(f"[dim]· {data['label']}[/]")
        elif event == "source":
            self._sources = data["sources"]
        elif event == "citation":
            self._citations.append(data)
        elif event == "message":
            sys.stdout.write(shown_text(data["delta"]))
            sys.stdout.flush()

    def print_sources(self) -> None:
        self._out.print("\n")
        cited = {citation["index"] for citation in self._citations}
        for source in self._sources:
            if source["index"] in cited:
                self._out.print(f"\\[{source['index']}] [bold]{escape(shown(_place(source)))}[/]", highlight=False)
                for citation in self._citations:
                    if citation["index"] == source["index"]:
                        quote = " ".join(citation["quote"].split())
                        line = f"    {MARKS[citation['verified']]}: “{quote}”"
                        self._out.print(escape(shown_text(line)), highlight=False)


def _place(source: Source) -> str:
    metadata = source["metadata"]
    parts = [metadata["source"], metadata.get("heading", "")]
    if "page" in metadata:
        parts.append(f"page {metadata['page']}")
    return " · ".join(part for part in parts if part)
