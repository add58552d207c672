"""Measure streaming: the service, a raw relay and what a tutorial builds, in one interleaved run.

Usage: python -m bench.streaming [--rounds N] [--chunks N] [--levels …] [--targets …] [--llamaindex PYTHON] [--workers]

Servers have one core, the model's server and the load generator another one (Linux). Prints each result and keeps it as
a line of JSON: of the whole in `bench/streaming/results.jsonl`, from which the table and the plots of
docs/performance.md are written, of a part in `build/bench/part.jsonl`.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.streaming.checks import check, ways_taken
from bench.streaming.corpus import make_corpus, program_for
from bench.streaming.report import PARTS, write_report

SERVE = ("serve", "--port", "PORT")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
RESULTS = HERE / "results.jsonl"
CHUNKS = 10_000
START_S = 120
START = "start"
"""The line that tells how long a server took until its first answer."""
FRESH = "open400"
"""The level whose memory is measured."""
REDIS, POSTGRES = "redis://127.0.0.1:6379/0", "postgresql://root@127.0.0.1:5432/citestream_bench"

Levels = Mapping[str, tuple[dict[str, Any], list[str]]]
"""What is asked of the model's server, and of the load generator."""
LEVELS: Levels = {
    "one": ({"tokens": 1, "pause_s": 0}, ["--at-once", "1", "--total", "40"]),
    "fixed": ({"tokens": 1, "pause_s": 0}, ["--at-once", "5", "--total", "100"]),
    "full20": ({"tokens": 200, "pause_s": 0}, ["--at-once", "20", "--total", "100"]),
    "paced10": ({"tokens": 400, "pause_s": 0.02}, ["--at-once", "10", "--total", "10", "--ramp-s", "0.2"]),
    "paced100": ({"tokens": 200, "pause_s": 0.02}, ["--at-once", "100", "--total", "100", "--ramp-s", "2"]),
    "paced400": ({"tokens": 100, "pause_s": 0.02}, ["--at-once", "400", "--total", "400", "--ramp-s", "2"]),
    "leave400": (
        {"tokens": 400, "pause_s": 0.1},
        ["--at-once", "400", "--total", "400", "--ramp-s", "10", "--close-after", "100"],
    ),
    "open400": ({"tokens": 60, "pause_s": 0.5}, ["--at-once", "400", "--total", "400", "--ramp-s", "12"]),
}


@dataclass(frozen=True)
class Target:
    """A server to measure."""

    command: Sequence[str]
    path: str = "/ask"
    body: str = '{"question": "QUESTION", "session": "SESSION"}'
    env: Mapping[str, str] = field(default_factory=dict)
    levels: Sequence[str] = tuple(LEVELS)
    cites: bool = True
    """Whether whole sentences must bring `citation` events; a service other than citestream has none."""
    fast: bool = True
    """Whether plain text is asked for and read the cheap way (checks.py)."""
    rewrites: bool = False
    """Whether the model is asked to rewrite each question first, which it answers with one token."""

    @property
    def is_ours(self) -> bool:
        """Whether it is citestream."""
        return self.path.startswith("/v1")


def targets(llamaindex: str | None, upstream: int, program: str = "citestream") -> dict[str, Target]:
    """The servers by name; each gets its port and a copy of the data. `program` runs citestream's commands."""
    model = {"OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1", "OPENAI_API_KEY": "none"}
    service = {
        **model,
        "CITESTREAM_MODEL": "openai:bench",
        "CITESTREAM_TOP_K": "3",
        "CITESTREAM_MAX_RUNS": "1000",
        "CITESTREAM_DISCONNECT_GRACE_S": "0",
        "CITESTREAM_LOG_LEVEL": "warning",
    }
    ours = [sys.executable, "-m", program, *SERVE]
    less = [sys.executable, "-m", "bench.streaming.without"]
    ask = Target(ours, "/v1/chat/stream", '{"question": "QUESTION"}', service)
    part = replace(ask, levels=PARTS)
    found = {
        "raw relay": Target(_uvicorn(sys.executable, "bench.streaming.relay"), env=model),
        "plain LangGraph": Target(_uvicorn(sys.executable, "bench.streaming.plain"), env=model),
        "citestream": ask,
        "… like LlamaIndex": replace(ask, command=[*less, "citations,hybrid,suggestions", *SERVE], cites=False),
        "… without citations": replace(part, command=[*less, "citations", *SERVE], cites=False),
        "… without verification": replace(part, command=[*less, "verification", *SERVE]),
        "… without hybrid search": replace(part, command=[*less, "hybrid", *SERVE]),
        "… without stored turns": replace(part, body='{"question": "QUESTION", "history": []}'),
        "… with the library's client": replace(
            part, env={**service, "CITESTREAM_OPENAI_CLIENT": "library"}, fast=False
        ),
    }
    if llamaindex is not None:
        found["LlamaIndex"] = Target(_uvicorn(llamaindex, "llamaindex_"), env=model)
    return found


def worker_targets(upstream: int, program: str) -> dict[str, Target]:
    """The service with one process and with two, which share Redis and PostgreSQL."""
    service = targets(None, upstream, program)["citestream"]
    env = {**service.env, "CITESTREAM_EVENTS_URL": REDIS, "CITESTREAM_DATABASE_URL": POSTGRES}
    return {
        f"{number} worker{'s' * (number > 1)}": replace(
            service, command=[*service.command, "--workers", str(number)], env=env
        )
        for number in (1, 2)
    }


def _uvicorn(python: str, module: str) -> list[str]:
    return [python, "-m", "uvicorn", f"{module}:app", "--port", "PORT", "--no-access-log", "--log-level", "warning"]


@contextmanager
def running(
    command: Sequence[str], port: int, core: str, log: Path, env: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on a core of its own, from its first answer until the block ends."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=out, stderr=out, cwd=cwd, env={**os.environ, **env}
        )
    try:
        end = time.monotonic() + START_S
        while not _answers(port):
            if started.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command[-1]} did not start; see {log}")
            time.sleep(0.1)
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Bench:
    """A run: the model's server, and what is measured one after the other. What it makes is kept in `build`."""

    def __init__(self, arguments: argparse.Namespace, levels: Levels = LEVELS, build: Path = BUILD) -> None:
        self._cores = arguments.cores
        self._levels = levels
        self._build = build
        self._upstream = free_port()
        self._data = make_corpus(build, arguments.chunks)
        program = program_for(arguments.chunks)
        made = (
            worker_targets(self._upstream, program)
            if arguments.workers
            else targets(arguments.llamaindex, self._upstream, program)
        )
        self._ready_s: dict[str, float] = {}
        self.targets = {name: made[name] for name in arguments.targets or made}

    def run(self, levels: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
        """Results: each round measures each level with each server; memory in a fresh process."""
        upstream = [sys.executable, "-m", "bench.streaming.upstream", str(self._upstream)]
        with running(upstream, self._upstream, self._cores[1], self._build / "upstream.log", {}, ROOT):
            for number in range(rounds):
                with ExitStack() as stack:
                    started = {
                        name: stack.enter_context(self._started(name, target)) for name, target in self.targets.items()
                    }
                    for name in started:
                        yield {
                            "round": number,
                            "level": START,
                            "target": name,
                            "ready_s": round(self._ready_s[name], 2),
                        }
                    for level in levels:
                        for name, (port, pid) in started.items():
                            if level != FRESH and level in self.targets[name].levels:
                                yield self._measure(number, level, name, port, pid)
                if FRESH in levels:
                    for name in [name for name, target in self.targets.items() if FRESH in target.levels]:
                        with self._started(name, self.targets[name]) as (port, pid):
                            yield self._measure(number, FRESH, name, port, pid)

    @contextmanager
    def _started(self, name: str, target: Target) -> Iterator[tuple[int, int]]:
        """A fresh process, warmed: its port and pid."""
        port, data = free_port(), self._build / "copies" / name
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self._data, data)
        env = {
            **target.env,
            "CITESTREAM_DATA_DIR": str(data),
            "BENCH_CHROMA": str(data / "chroma"),
            "BENCH_CHUNKS": str(data / "chunks.npz"),
            "BENCH_CHATS": str(data / "chats.db"),
            "BENCH_MINILM": str(ROOT / "graph" / "retrieval" / "minilm"),
            "ANONYMIZED_TELEMETRY": "False",
            "LANGSMITH_TRACING": "false",
        }
        command = [part.replace("PORT", str(port)) for part in target.command]
        cwd = HERE if "llamaindex_:app" in command else ROOT
        log = self._build / f"{name.replace(' ', '-')}.log"
        began = time.monotonic()
        with running(command, port, self._cores[0], log, env, cwd) as process:
            self._ready_s[name] = time.monotonic() - began
            self._load(target, ["--at-once", "3", "--total", "9"], {"tokens": 20, "pause_s": 0}, port, process.pid)
            yield port, process.pid

    def _measure(self, number: int, level: str, name: str, port: int, pid: int) -> dict[str, Any]:
        target, (pace, load) = self.targets[name], self._levels[level]
        before = ways_taken(port) if target.is_ours else None
        found = self._load(target, load, pace, port, pid)
        if before is not None and "left" not in found:
            check(found, ways_taken(port) - before, cites=target.cites, fast=target.fast, rewrites=target.rewrites)
        return {"round": number, "level": level, "target": name, **found}

    def _load(
        self, target: Target, load: Sequence[str], pace: Mapping[str, Any], port: int, pid: int
    ) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self._upstream}"
        urllib.request.urlopen(f"{address}/pace", data=json.dumps(pace).encode()).read()
        generator = [sys.executable, "-m", "bench.streaming.load", str(port), target.path, target.body, str(pid)]
        command = ["taskset", "-c", str(self._cores[1]), *generator, f"{address}/stats", *load]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def main() -> None:
    """Measure, keep, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--targets", nargs="+", help="names of what to measure; all without it")
    parser.add_argument(
        "--workers", action="store_true", help="instead, one and two processes over Redis and PostgreSQL (see --cores)"
    )
    parser.add_argument("--llamaindex", help="a Python that has what bench/streaming/llamaindex_.py needs")
    parser.add_argument("--cores", nargs=2, default=("0", "1"), help="of the servers; of model and load")
    parser.add_argument("--results", type=Path, help="another file for the lines of JSON; it is replaced")
    arguments = parser.parse_args()
    part = arguments.workers or arguments.targets or arguments.levels != list(LEVELS) or arguments.chunks != CHUNKS
    results = arguments.results or (BUILD / "part.jsonl" if part else RESULTS)
    BUILD.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    with results.open("w", encoding="utf-8") as lines:
        for result in Bench(arguments).run(arguments.levels, arguments.rounds):
            about = {"commit": head.stdout.strip(), "chunks": arguments.chunks, "load_average": os.getloadavg()[0]}
            line = json.dumps({**result, **about})
            print(line, file=lines, flush=True)
            print(line, flush=True)
    if results == RESULTS:
        write_report(RESULTS, ROOT / "docs", minutes=round((time.monotonic() - began) / 60))


if __name__ == "__main__":
    main()
