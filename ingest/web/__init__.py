"""Pages of the web as documents: fetched politely and with suspicion, then read like any file."""


class NotFetched(Exception):
    """A page that was not fetched: a word that programs can switch on, and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
