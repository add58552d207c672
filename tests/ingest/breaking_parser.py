"""A parser's process whose loader breaks at every file."""

from ingest import parser, reading

if __name__ == "__main__":
    reading.load = lambda *_: 1 / 0
    parser.main()
