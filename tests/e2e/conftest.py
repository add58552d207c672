"""Real processes: documents, the command that indexes them, and what answers from them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from graph.settings import PREFIX, Settings, env_name
from tests.e2e.browser import GRACE_S, SLOW, Proxy, browser, looked, page  # noqa: F401  # fixtures of the page's tests
from tests.upstream import Upstream, run_upstream

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("citestream")
START_S = 90
"""Far more than any start takes: a machine that is busy with other tests is no failure."""
END_S = 30
READY = re.compile(r"^citestream is ready at (http://127\.0\.0\.1:\d+)$", re.MULTILINE)

DOCUMENTS = {
    "foxes.md": """# Foxes

## Where they live

The fox sleeps in a den. It digs the den itself, or takes over the burrow of a badger. A den has several exits.

## Sightings

A fox was seen near Oxford in 1998. It crossed the river on the ice.
""",
    "lighthouse.md": """# The lighthouse keeper's handbook

## Lamp

The lamp burns paraffin and must be trimmed every four hours. Clean the lens with spirit and a soft cloth, never with
soap. At dawn the curtains are drawn, as the lens would set the room on fire in the sun.

## Fog signal

In fog the horn sounds for five seconds once a minute. The compressor is started by hand:

```sh
valve --open main
compressor start --pressure 2.5
```

If the pressure falls below two bar, stop the horn and drain the water trap.

## Log

Every vessel that passes within a mile is written into the log with its name, its course and the hour.
""",
    "猫.txt": "猫每天睡十六个小时。它们喜欢在篮子里睡觉。狗比猫睡得少。\n\n猫用胡须判断洞口的宽度。\n",
}

Environment = Mapping[str, str]


class Process:
    """A program that was started, where its output goes, and how it ended."""

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self._popen = popen
        self._log = log
        self.started_in_s = 0.0

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, seen: Callable[[str], bool]) -> None:
        """Wait until the output shows that the program is ready."""
        began = time.monotonic()
        while not seen(self.output):
            assert self._popen.poll() is None, (
                f"ended with {self._popen.returncode} before it was ready:\n{self.output}"
            )
            assert time.monotonic() - began < START_S, f"not ready in {START_S} s:\n{self.output}"
            time.sleep(0.05)
        self.started_in_s = time.monotonic() - began

    def end(self) -> int:
        """Ask it to end; returns its exit status."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            return self._popen.wait(END_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise AssertionError(f"still there {END_S} s after SIGTERM:\n{self.output}") from None


@contextmanager
def running(command: Sequence[str | Path], *, cwd: Path, env: Environment) -> Iterator[Process]:
    """Start a program in a folder of its own, and end it by its pid, whatever happened."""
    log = cwd / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
    with log.open("wb") as out:
        popen = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    process = Process(popen, log)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def serving(command: Path, *, cwd: Path, env: Environment) -> Iterator[str]:
    """`citestream serve` on a free port: the address that it prints. It has to end by SIGTERM, cleanly."""
    with running([command, "serve", "--port", "0"], cwd=cwd, env=env) as process:
        process.wait_for(lambda output: READY.search(output) is not None)
        sys.stdout.write(f"citestream serve was ready in {process.started_in_s:.1f} s\n")
        found = READY.search(process.output)
        assert found is not None
        yield found[1]
        assert process.end() == -signal.SIGTERM
        assert "Traceback" not in process.output


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """This process's environment with these settings and no others of citestream's."""
    ours = {env_name(field) for field in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith(PREFIX)}
    chosen = {env_name(field): str(value) for field, value in settings.items()}
    return {**kept, env_name("data_dir"): str(data_dir), **chosen}


def answered_by(upstream: Upstream, model: str) -> dict[str, str]:
    """Settings that let a model of tests/upstream.py answer."""
    return {"model": f"openai:{model}", "openai_base_url": upstream.base_url, "openai_api_key": "none"}


def write_documents(folder: Path, documents: Mapping[str, str] = DOCUMENTS) -> Path:
    folder.mkdir()
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that `citestream ingest` filled with `DOCUMENTS`."""
    folder = tmp_path_factory.mktemp("indexed")
    write_documents(folder / "documents")
    data_dir = folder / "data"
    ingested = subprocess.run(
        [COMMAND, "ingest", "documents"],
        cwd=folder, env=environment(data_dir), capture_output=True, text=True, timeout=START_S,
    )  # fmt: skip
    assert ingested.returncode == 0, ingested.stderr
    assert ingested.stdout.startswith(f"{len(DOCUMENTS)} added"), ingested.stdout
    return data_dir


Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def serve(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Start `citestream serve` on the documents, with some settings changed; the block gets its address."""

    def start(**settings: object) -> AbstractContextManager[str]:
        return serving(COMMAND, cwd=tmp_path_factory.mktemp("serve"), env=environment(indexed, **settings))

    return start


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with run_upstream() as server:
        yield server


@pytest.fixture(scope="session")
def extractive(serve: Serve) -> Iterator[str]:
    with serve() as address:
        yield address


@pytest.fixture(scope="module")
def slow(serve: Serve, upstream: Upstream) -> Iterator[str]:
    with serve(**answered_by(upstream, SLOW[0]), disconnect_grace_s=GRACE_S) as address:
        yield address


@pytest.fixture
def proxy(slow: str) -> Iterator[Proxy]:
    with Proxy(slow) as passing:
        yield passing


@pytest.fixture
def calls(upstream: Upstream) -> Callable[[], int]:
    """How often the model was called in this test."""
    before = len(upstream.requests)
    return lambda: len(upstream.requests) - before
