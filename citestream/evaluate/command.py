"""The command `citestream eval`."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from rich.console import Console
from rich.progress import Progress

from citestream.evaluate.asking import Asker, Choice, InProcess, OverHttp, open_client
from citestream.evaluate.indexing import index_rows
from citestream.evaluate.measures import judge
from citestream.evaluate.questions import Question, read_questions, read_rows
from citestream.evaluate.report import Report, SetResult
from graph.errors import SettingsError
from graph.limits import DEFAULT_COLLECTION
from graph.resources import open_resources
from graph.settings import Settings

SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Task:
    """What is to be asked, of what, and where the result goes."""

    files: Sequence[Path]
    texts: Path | None = None
    """A folder with the texts of each file of questions, by its name; None: what is indexed already."""
    url: str | None = None
    collections: Sequence[str] = (DEFAULT_COLLECTION,)
    top_k: int | None = None
    limit: int | None = None
    out: Path | None = None
    compare: Path | None = None


def evaluate(task: Task, settings: Settings) -> bool:
    """Ask everything, print the table, and the comparison where one is asked for; False when something became worse.

    Raises CitestreamError.
    """
    before = Report.read(task.compare) if task.compare is not None else None
    sets = {path.stem: read_questions(path)[: task.limit] for path in task.files}
    report = anyio.run(_ask_all, task, sets, settings)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(report.table())
    if task.out is not None:
        report.write(task.out)
    if before is None:
        return True
    table, worse = report.compare(before)
    console.print(f"\nAgainst {task.compare}:\n\n{table}")
    if worse:
        console.print(f"\nWorse: {', '.join(worse)}")
    return not worse


async def _ask_all(task: Task, sets: dict[str, list[Question]], settings: Settings) -> Report:
    results = []
    for name, questions in sets.items():
        async with _open_asker(task, name, settings) as (asker, choice):
            results.append(await _ask_set(name, questions, asker, choice))
    where = {"url": task.url} if task.url is not None else {"model": settings.model, "embedding": settings.embedding}
    return Report({**where, "top_k": task.top_k or settings.top_k}, results)


async def _ask_set(name: str, questions: Sequence[Question], asker: Asker, choice: Choice) -> SetResult:
    result = SetResult(name)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        asking = progress.add_task(name, total=len(questions))
        for question in questions:
            answered = await asker.ask(question.history, question.text, choice)
            result.values[question.id] = judge(question, answered)
            progress.advance(asking)
    return result


@asynccontextmanager
async def _open_asker(task: Task, name: str, settings: Settings) -> AsyncIterator[tuple[Asker, Choice]]:
    async with AsyncExitStack() as stack:
        if task.url is not None:
            client = await stack.enter_async_context(open_client(task.url))
            yield OverHttp(client), Choice(tuple(task.collections), task.top_k)
            return
        if task.texts is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="citestream-eval-"))
            settings = settings.model_copy(update={"data_dir": Path(folder)})
            rows = await anyio.to_thread.run_sync(read_rows, _texts_of(task.texts, name))
            await anyio.to_thread.run_sync(index_rows, settings, DEFAULT_COLLECTION, rows)
        resources = await stack.enter_async_context(open_resources(settings))
        collections = tuple(task.collections) if task.texts is None else (DEFAULT_COLLECTION,)
        yield InProcess(resources), Choice(collections, task.top_k)


def _texts_of(folder: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    raise SettingsError(f"{folder} has no texts for {name!r}: neither {name}.jsonl nor {name}.parquet.")
