"""robots.txt: what a site asks programs not to fetch, and how slowly it wants to be asked (RFC 9309)."""

from dataclasses import dataclass

from protego import Protego

from ingest.web import NotFetched

TOKEN = "citestream"
"""The name that a robots.txt may speak to."""
MAX_BYTES = 500 * 1024
"""What is read of one, as the RFC has it; what follows is as if it were not there."""
MAX_DELAY_S = 60.0


@dataclass(frozen=True)
class Rules:
    """What one site asks for; None where it asks for nothing."""

    parsed: Protego | None = None

    @classmethod
    def parse(cls, data: bytes) -> "Rules":
        """Read a robots.txt; what is no rule is passed over."""
        return cls(Protego.parse(data[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")))

    @property
    def delay_s(self) -> float:
        """Seconds between two requests that the site asks for."""
        return (self.parsed and self.parsed.crawl_delay(TOKEN)) or 0.0

    def check(self, url: str) -> None:
        """Raise NotFetched when the site does not want that address to be fetched, or hardly ever."""
        if self.parsed is not None and not self.parsed.can_fetch(url, TOKEN):
            raise NotFetched("robots", "the site's robots.txt asks programs to leave it alone")
        if self.delay_s > MAX_DELAY_S:
            raise NotFetched("robots", f"the site's robots.txt asks for {self.delay_s:g} s between two requests")
