"""The errors of citestream.

* CitestreamError
  + SettingsError            settings_invalid
  + LibraryError
    - IndexEmpty             index_empty
    - CollectionNotFound     collection_not_found
    - DocumentNotFound       document_not_found
    - SourceNotFound         source_not_found
    - IndexMismatch          index_mismatch
    - IndexLocked            index_locked
    - IndexUnusable          index_unusable
      + DiskFull
  + ModelError
    - ModelUnavailable       model_unavailable
    - ModelTimeout           model_timeout
    - ModelRateLimited       model_rate_limited
    - ModelRefused           model_refused
    - ModelMisbehaved        model_misbehaved

Each class has a stable `code` that a client may switch on; the message tells a person what happened and
what to do next. It never holds text that came from a model provider.
"""

from typing import ClassVar


class CitestreamError(Exception):
    """Base of all errors that citestream raises on purpose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(CitestreamError):
    """A setting has a value that cannot work."""

    code = "settings_invalid"


class LibraryError(CitestreamError):
    """Something about the indexed documents."""


class IndexEmpty(LibraryError):
    """There is nothing to search yet."""

    code = "index_empty"


class CollectionNotFound(LibraryError):
    """No collection has this name."""

    code = "collection_not_found"


class DocumentNotFound(LibraryError):
    """No document has this id."""

    code = "document_not_found"


class SourceNotFound(LibraryError):
    """A source id names no stored text."""

    code = "source_not_found"


class IndexMismatch(LibraryError):
    """A collection was built with another embedding or chunker, or by a newer citestream."""

    code = "index_mismatch"


class IndexLocked(LibraryError):
    """Another process is writing the index."""

    code = "index_locked"
    retryable = True


class TransferUnreadable(LibraryError):
    """A file that was to be imported holds no collection."""

    code = "invalid_request"


class TooManyGone(LibraryError):
    """So many documents would be removed that somebody has to confirm it."""

    code = "invalid_request"


class IndexUnusable(LibraryError):
    """The index or its embedding cannot be opened or queried."""

    code = "index_unusable"
    retryable = True


class DiskFull(IndexUnusable):
    """The index cannot be written, or not even opened, as its disk is full."""


class ModelError(CitestreamError):
    """The language model did not do its part.

    `retry_after_s`: seconds after which its server says that another call may succeed, 60 at most; None when it says
    nothing.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ModelError):
    """The model's server cannot be reached or is failing."""

    code = "model_unavailable"
    retryable = True


class ModelTimeout(ModelError):
    """The model did not answer in time."""

    code = "model_timeout"
    retryable = True


class ModelRateLimited(ModelError):
    """The model's server asks for fewer requests."""

    code = "model_rate_limited"
    retryable = True


class ModelRefused(ModelError):
    """The model's server rejects the request, for its key, permission, model name, size or content."""

    code = "model_refused"


class ModelMisbehaved(ModelError):
    """The model's server sent something that is not a proper answer."""

    code = "model_misbehaved"
    retryable = True
