"""The `citestream` command: serve, ingest, index, ask, eval, version."""

import signal
import sys
import threading
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from citestream.process import step_back
from graph.imports import without_garbage_collection
from graph.limits import DEFAULT_COLLECTION, MAX_QUESTION_CHARS
from ingest.cli import ingest_command
from ingest.command import failure_of
from ingest.index_cli import index_app
from ingest.upkeep_cli import export_command, import_command, rebuild_command, verify_command

EXIT_WORSE = 3
"""Some measure became worse than in the result that was compared with."""

app = typer.Typer(
    name="citestream",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("ingest")(ingest_command)
index_app.command("verify")(verify_command)
index_app.command("rebuild")(rebuild_command)
index_app.command("export")(export_command)
index_app.command("import")(import_command)
app.add_typer(index_app, name="index")

BEHIND = frozenset({"ingest", "index"})
"""Commands that may run beside a server, which is to notice little of it."""
OWN_PROCESS = object()
"""What `main` hands to the commands: that they do not run within another program, as they do in tests."""


@app.callback()
def prepare(context: typer.Context) -> None:
    """Ask your own documents, and get answers that are proved sentence by sentence."""
    if context.obj is OWN_PROCESS and context.invoked_subcommand in BEHIND:
        step_back()


DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the index. [setting DATA_DIR]")]
Model = Annotated[str | None, typer.Option("--model", help="Who answers. [setting MODEL]")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [setting HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [setting PORT]")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    workers: Annotated[
        int | None, typer.Option(help="Server processes; several need PostgreSQL and Redis. [setting WORKERS]")
    ] = None,
    worker_fds: Annotated[tuple[int, int] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the page and the HTTP API."""
    from graph.settings import Settings

    settings = Settings.load(host=host, port=port, data_dir=data_dir, model=model, workers=workers)
    if worker_fds is not None:
        with without_garbage_collection():
            from server.serve import serve_as_worker

        serve_as_worker(settings, *worker_fds)
    elif settings.workers > 1:
        from server.supervise import supervise

        supervise(settings)
    else:
        with without_garbage_collection():
            from server.serve import serve as serve_alone

        serve_alone(settings)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know.")],
    collection: Annotated[list[str] | None, typer.Option("--collection", help="Collection to search.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, max=20, help="Passages to read.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Answer one question here in the terminal, with its sources and quotes."""
    import asyncio

    with without_garbage_collection():
        from citestream.ask import answer
        from graph.settings import Settings
        from graph.state.context import TurnContext

    if not 0 < len(question.strip()) <= MAX_QUESTION_CHARS:
        raise typer.BadParameter(f"a question has 1 to {MAX_QUESTION_CHARS:,} characters.", param_hint="QUESTION")
    settings = Settings.load(data_dir=data_dir, model=model)
    asyncio.run(answer(settings, question, TurnContext(collections=collection or [DEFAULT_COLLECTION], top_k=top_k)))


@app.command("eval")
def eval_command(
    questions: Annotated[list[Path], typer.Argument(help="Files of questions, one JSON object a line.")],
    texts: Annotated[
        Path | None,
        typer.Option(help="Folder of <file>.jsonl or .parquet: the texts to search, in an index of their own."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="A running server to ask.")] = None,
    collection: Annotated[list[str] | None, typer.Option("--collection", help="Collection to search.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, max=20, help="Passages to read.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions of each file, from its beginning.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the result goes as JSON.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier result; exit code 3 when something became worse.")
    ] = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Ask questions whose answers are known, and measure what comes back."""
    from citestream.evaluate.command import Task, evaluate
    from graph.settings import Settings

    if url is not None and texts is not None:
        raise typer.BadParameter("a running server searches what it has indexed.", param_hint="--texts")
    settings = Settings.load(data_dir=data_dir, model=model)
    task = Task(questions, texts, url, collection or [DEFAULT_COLLECTION], top_k, limit, out, compare)
    if not evaluate(task, settings):
        sys.exit(EXIT_WORSE)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(installed_version("citestream"))


def main() -> None:
    """Run the command; what the user can mend is one line on stderr, without a traceback."""
    from graph.errors import CitestreamError

    try:
        app(obj=OWN_PROCESS)
    except (CitestreamError, OSError) as exc:
        message, code = failure_of(exc)
        sys.stderr.write(f"citestream: {message}\n")
        sys.exit(code)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is Python's own end, which would show its trace
