"""Limits and defaults of what a person may say, the same at every entrance: HTTP, command line, Studio."""

DEFAULT_COLLECTION = "default"
"""What is written and searched where no collection is named."""
MAX_NAME_CHARS = 200
"""Characters in the name of a collection."""
MAX_QUESTION_CHARS = 8_000
