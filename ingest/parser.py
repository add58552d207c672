"""The program that a parser's process runs: `python -m ingest.parser FILE_DESCRIPTOR`."""

import sys
from multiprocessing.connection import Connection

from ingest.reading import serve


def main() -> None:
    """Talk through the open file whose number is the argument."""
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
