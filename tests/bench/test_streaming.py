"""What `make bench` says of citestream is of citestream with all that it does, read the cheap way."""

import argparse
import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bench.streaming.__main__ import START, Bench

pytestmark = pytest.mark.long
LEVELS = {
    "fixed": ({"tokens": 1, "pause_s": 0}, ["--at-once", "2", "--total", "4"]),
    "full20": ({"tokens": 40, "pause_s": 0}, ["--at-once", "2", "--total", "4"]),
    "paced10": ({"tokens": 40, "pause_s": 0.01}, ["--at-once", "2", "--total", "2"]),
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def bench(build: Path, *targets: str) -> Bench:
    cores = sorted(os.sched_getaffinity(0))
    arguments = argparse.Namespace(
        cores=(str(cores[0]), str(cores[-1])), chunks=60, workers=False, llamaindex=None, targets=targets
    )
    return Bench(arguments, LEVELS, build)


def test_every_line_of_citestream_shows_its_features_and_its_way(build: Path) -> None:
    uncited = ("… like LlamaIndex", "… without citations")
    names = ("citestream", *uncited, "… without hybrid search", "… with the library's client")
    results = list(bench(build, *names).run(list(LEVELS), rounds=1))
    assert {(result["level"], result["target"]) for result in results} == set(product((START, *LEVELS), names))
    for result in (result for result in results if result["level"] != START):
        tokens = LEVELS[result["level"]][0]["tokens"]
        assert (result["failed"], result["tokens"]) == (0, tokens * result["streams"])
        assert ("citation" in result["events"]) is (tokens > 1 and result["target"] not in uncited)


@pytest.mark.parametrize("changed", [{"CITESTREAM_OPENAI_CLIENT": "library"}, {"HTTP_PROXY": "http://127.0.0.1:9"}])
def test_tokens_that_took_another_way_are_not_measured(build: Path, changed: dict[str, str]) -> None:
    measured = bench(build, "citestream")
    target = measured.targets["citestream"]
    env = {**target.env, "NO_PROXY": "127.0.0.1", **changed}
    measured.targets["citestream"] = replace(target, env=env)
    with pytest.raises(SystemExit, match="another way"):
        list(measured.run(["full20"], rounds=1))
