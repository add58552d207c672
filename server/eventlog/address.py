"""Address: what the URL of the event log says."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from graph.errors import SettingsError

_REDIS = frozenset({"db", "prefix", "ttl_s"})
_TLS = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"})
OPTIONS = {"memory": frozenset({"ttl_s"}), "redis": _REDIS, "rediss": _REDIS | _TLS, "unix": _REDIS}
"""What the query of a URL may hold, by scheme."""
_CHOICES = {"ssl_check_hostname": ("true", "false"), "ssl_cert_reqs": ("required", "optional", "none")}

# The parts of a URL that cannot be read may be parts of a password, so no message repeats them.
_MALFORMED = (
    "the URL of the event log cannot be read. Write redis://USER:PASSWORD@HOST:PORT/DB, with what is neither a letter "
    "nor a digit in the password as %XX."
)
_BAD_OPTION = (
    "the URL of the event log has an option that is not known or has no proper value. Known are ttl_s, for Redis also "
    "db and prefix, for rediss:// also ssl_ca_certs, ssl_ca_path, ssl_certfile, ssl_keyfile, ssl_check_hostname "
    "(true or false) and ssl_cert_reqs (none, optional or required)."
)


@dataclass(frozen=True)
class Address:
    """Where event logs are kept."""

    scheme: str
    redis_url: str = field(repr=False)
    """As redis-py reads it. It may hold a password."""
    db: int
    prefix: str
    """What every key and channel in Redis begins with."""
    ttl_s: float
    """Seconds that an ended log is kept."""

    @property
    def shared(self) -> bool:
        """Whether several processes see the same logs."""
        return self.scheme != "memory"


def parse_address(url: str) -> Address:
    """Read `memory://`, `redis://HOST:PORT/DB`, `rediss://…` (TLS) or `unix:///PATH?db=DB`.

    Options: `ttl_s`, seconds that an ended log is kept (900); for Redis `prefix` of all keys (`citestream:`), and
    redis-py's `db` and `ssl_*`. Raises SettingsError, also when the Redis client is not installed.
    """
    parts, options = _split(url)
    if parts.scheme not in OPTIONS:
        named = f" {parts.scheme}://" if "://" in url else ""
        raise SettingsError(f"the event log{named} is not known; use memory:// or redis://HOST:PORT/DB.")
    if not options.keys() <= OPTIONS[parts.scheme]:
        raise SettingsError(_BAD_OPTION)
    for name, values in _CHOICES.items():
        if options.get(name, values[0]) not in values:
            raise SettingsError(_BAD_OPTION)
    address = Address(
        scheme=parts.scheme,
        redis_url=_redis_url(parts, options),
        db=_db(parts, options),
        prefix=options.get("prefix", "citestream:"),
        ttl_s=_ttl_s(options),
    )
    if address.shared and find_spec("redis") is None:
        raise SettingsError('the event log in Redis needs its client: pip install "citestream[redis]".')
    return address


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise SettingsError(_MALFORMED) from None
    if parts.fragment:
        raise SettingsError(_MALFORMED)
    return parts, options


def _redis_url(parts: SplitResult, options: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in options.items() if name not in ("prefix", "ttl_s")})
    return urlunsplit(parts._replace(query=query))


def _db(parts: SplitResult, options: dict[str, str]) -> int:
    path = parts.path.strip("/") if parts.scheme in ("redis", "rediss") else ""
    db = options.get("db") or path or "0"
    if not (db.isascii() and db.isdigit()):
        raise SettingsError(_MALFORMED)
    return int(db)


def _ttl_s(options: dict[str, str]) -> float:
    try:
        ttl_s = float(options.get("ttl_s", "900"))
    except ValueError:
        raise SettingsError(_BAD_OPTION) from None
    if not 0.001 <= ttl_s <= 1e9:
        raise SettingsError(_BAD_OPTION)
    return ttl_s
