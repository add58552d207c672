"""Logs: what they say, and what they keep quiet about."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from graph.errors import ModelUnavailable
from server.logs import describe_exception, set_up_logs
from tests.fakes import Answerer
from tests.server.client import Connection
from tests.server.conftest import LiveServer


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the logging of the process back as it was."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    config = structlog.get_config()
    yield
    structlog.configure(**config)
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("restored")
def test_logs_are_lines_of_json_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info")
    structlog.get_logger("server.test").info("turn_finished", tokens=3)
    structlog.get_logger("server.test").debug("too_detailed")
    logging.getLogger("some.library").warning("careful: %s", "x")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("turn_finished", "info"), ("careful: x", "warning")]
    assert lines[0]["tokens"] == 3
    assert lines[0]["timestamp"].endswith("Z")


def raised() -> BaseException:
    try:
        try:
            raise ValueError("sk-SECRET")
        except ValueError as exc:
            raise ModelUnavailable("the model's server cannot be reached.") from exc
    except ModelUnavailable as exc:
        return exc


def test_an_exception_is_told_by_type_and_place_without_foreign_text() -> None:
    event = describe_exception(None, "error", {"event": "x", "exc_info": raised()})

    assert "builtins.ValueError" in event["exception"]
    assert "graph.errors.ModelUnavailable: the model's server cannot be reached." in event["exception"]
    assert "test_logs.py" in event["exception"]
    assert "SECRET" not in event["exception"]


def test_exc_info_may_come_in_every_form() -> None:
    exc = raised()
    by_tuple = describe_exception(None, "error", {"exc_info": (type(exc), exc, exc.__traceback__)})
    group = describe_exception(None, "error", {"exc_info": ExceptionGroup("sk-SECRET", [ValueError("x")])})
    try:
        raise KeyError("sk-SECRET")
    except KeyError:
        by_true = describe_exception(None, "error", {"exc_info": True})

    assert "ModelUnavailable" in by_tuple["exception"]
    assert "ValueError" in group["exception"]
    assert "KeyError" in by_true["exception"]
    assert "SECRET" not in f"{by_tuple}{group}{by_true}"
    assert describe_exception(None, "info", {"event": "x"}) == {"event": "x"}
    assert sys.exception() is None


def test_connections_are_logged_with_the_number_that_is_active(server: LiveServer, answerer: Answerer) -> None:
    answerer.pause_s = 10
    with capture_logs() as logs:
        first, second = Connection(server.address), Connection(server.address)
        for connection in (first, second):
            connection.post("/v1/chat/stream", {"question": "Cats?", "run_id": "run-of-mine"})
            connection.read_until(b"event: source")
        for closed, connection in enumerate((first, second), start=1):
            connection.close()
            server.wait_until(lambda: [entry["event"] for entry in logs].count("request") == closed)  # noqa: B023
        server.wait_until(lambda: any(entry["event"] == "run_ended" for entry in logs))

    streams = [(entry["event"], entry["active"]) for entry in logs if entry["event"].startswith("stream_")]
    assert streams == [("stream_opened", 1), ("stream_opened", 2), ("stream_closed", 1), ("stream_closed", 0)]
    ended = next(entry for entry in logs if entry["event"] == "run_ended")
    assert (ended["status"], ended["stop_reason"]) == ("stopped", "left")


def test_a_request_is_logged_under_the_id_that_its_answer_carries(server: LiveServer) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        response = server.http.get("/v1/nothing")
        server.wait_until(lambda: bool(logs))

    (entry,) = logs
    assert (entry["event"], entry["method"], entry["path"], entry["status"]) == ("request", "GET", "/v1/nothing", 404)
    assert entry["request_id"] == response.headers["x-request-id"]
