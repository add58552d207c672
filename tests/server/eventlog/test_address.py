"""URLs of event logs, and what is said of bad ones."""

import sys

import pytest

from graph.errors import SettingsError
from server.eventlog import open_event_log
from server.eventlog.address import parse_address
from server.eventlog.memory import MemoryEventLog


async def test_an_event_log_is_opened_by_its_url() -> None:
    async with open_event_log("memory://") as log:
        assert isinstance(log, MemoryEventLog)
        assert await log.create("a", {})


@pytest.mark.parametrize(
    ("url", "redis_url", "db"),
    [
        ("redis://localhost", "redis://localhost", 0),
        ("redis://u:p%40ss@redis.internal:6380/3?ttl_s=60&prefix=x:", "redis://u:p%40ss@redis.internal:6380/3", 3),
        ("rediss://h:1/?db=2&ssl_cert_reqs=none&ttl_s=1", "rediss://h:1/?db=2&ssl_cert_reqs=none", 2),
        ("unix:///run/redis.sock?db=4", "unix:/run/redis.sock?db=4", 4),
    ],
)
def test_redis_gets_its_url_without_the_options_of_citestream(url: str, redis_url: str, db: int) -> None:
    address = parse_address(url)

    assert (address.redis_url, address.db, address.shared) == (redis_url, db, True)


def test_options_say_how_long_ended_logs_live_and_what_keys_begin_with() -> None:
    address = parse_address("redis://localhost?ttl_s=60&prefix=mine:")

    assert (address.ttl_s, address.prefix) == (60, "mine:")
    assert parse_address("memory://?ttl_s=0.5").ttl_s == 0.5
    assert not parse_address("memory://").shared


@pytest.mark.parametrize(
    "url",
    [
        "carrier-pigeon://:hunter2@h",
        "hunter2",
        "redis://:hun/ter2@h",
        "redis://:hun?ter2@h",
        "redis://:1?hunter2=x@h",
        "redis://:hun#ter2@h",
        "redis://:hunter2@[h",
        "redis://:hunter2@h:port",
        "redis://:hunter2@h:99999",
        "redis://:hunter2@h/name",
        "redis://:hunter2@h?db=name",
        "redis://:hunter2@h?ttl_s=soon",
        "redis://:hunter2@h?ttl_s=0",
        "redis://:hunter2@h?ttl_s=nan",
        "redis://:hunter2@h?socket_timeout=1",
        "redis://:hunter2@h?ssl_check_hostname=true",
        "rediss://:hunter2@h?ssl_check_hostname=perhaps",
        "rediss://:hunter2@h?ssl_cert_reqs=hunter2",
    ],
)
async def test_a_bad_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_event_log(url):
            pass

    assert "hunter2" not in caught.value.message
    assert "ter2" not in caught.value.message


def test_a_password_is_not_in_the_text_of_an_address() -> None:
    assert "hunter2" not in repr(parse_address("redis://:hunter2@h"))


def test_without_the_client_of_redis_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(SettingsError, match=r'pip install "citestream\[redis\]"'):
        parse_address("redis://localhost")
    parse_address("memory://")
