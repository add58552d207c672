"""Addresses of pages: which ones are taken, and the one way in which each is written."""

import httpx2

from ingest.web import NotFetched

MAX_CHARS = 2048
"""Longest address; the sitemap protocol allows no longer one."""
SCHEMES = ("http", "https")
DEFAULT_PORTS = {"http": 80, "https": 443}

Address = httpx2.URL


def parse_address(text: str, base: Address | None = None) -> Address:
    """The address that `text` means, seen from `base`, without fragment and in its one form.

    Scheme and host are in lower case (IDNA for other scripts), `.` and `..` are resolved, the scheme's own port is left
    out. Raises NotFetched for all but http and https, and for an address with a name or password in it.
    """
    if len(text) > MAX_CHARS:
        raise NotFetched("address", f"the address has more than {MAX_CHARS:,} characters")
    try:
        url = httpx2.URL(text.strip()) if base is None else base.join(text.strip())
        port = url.port
    except (httpx2.InvalidURL, ValueError) as exc:
        raise NotFetched("address", "it is no proper address") from exc
    scheme, host = url.scheme.lower(), url.raw_host.decode("ascii").rstrip(".")
    if scheme not in SCHEMES:
        raise NotFetched("address", "only http and https addresses are fetched")
    if url.userinfo:
        raise NotFetched("address", "it has a user name or password in it, which would end up in the index")
    if not host or "%" in host or not (port is None or 0 < port < 65536):
        raise NotFetched("address", "it is no proper address")
    own = port is None or port == DEFAULT_PORTS[scheme]
    try:
        return url.copy_with(scheme=scheme, host=host, port=None if own else port, raw_path=url.raw_path, fragment=None)
    except httpx2.InvalidURL as exc:  # without its last dot a host may be an IPv4 address, and none that there is
        raise NotFetched("address", "it is no proper address") from exc


def host_of(url: Address) -> str:
    """The host's name or number."""
    return url.raw_host.decode("ascii")


def port_of(url: Address) -> int:
    """The port that is connected to."""
    return url.port or DEFAULT_PORTS[url.scheme]


def site_of(url: Address) -> str:
    """What pages of one site have in common: the host, and the port where it is not the scheme's own."""
    return host_of(url) if url.port is None else f"{host_of(url)}:{url.port}"


def folder_of(url: Address) -> str:
    """The address up to its last slash: what a sitemap speaks for (https://www.sitemaps.org/protocol.html#location)."""
    return str(url.copy_with(query=None)).rpartition("/")[0] + "/"
