"""`python -m citestream` is the `citestream` command."""

from citestream.cli import main

main()
