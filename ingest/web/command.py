"""Addresses on the command line: which ones are taken."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.terminal import shown

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

AllowWeb = Annotated[
    bool, typer.Option("--allow-web", help="Take pages and sitemaps from the web, where their addresses are given.")
]


def split_places(places: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The paths and the addresses among the arguments. Raises BadParameter for a path that does not exist."""
    addresses = [place for place in places if _is_address(place)]
    paths = [place for place in places if not _is_address(place)]
    for path in paths:
        if not os.path.exists(path):
            raise typer.BadParameter(f"Path '{shown(path)}' does not exist.", param_hint="PATH")
    return [Path(path) for path in paths], addresses


def check_addresses(addresses: Sequence[str], *, allow_web: bool, watch: bool, source: str | None) -> None:
    """Raise BadParameter for addresses that may not, or cannot, be taken in this way."""
    if not addresses:
        return
    shown_first = shown(addresses[0])
    for address in addresses:
        if not address.lower().startswith(("http://", "https://")):
            raise typer.BadParameter(f"{shown(address)}: only http and https are fetched.", param_hint="PATH")
    if not allow_web:
        raise typer.BadParameter(
            f"{shown_first} is on the web, and nothing is fetched from there unless --allow-web is given.",
            param_hint="PATH",
        )
    if watch:
        raise typer.BadParameter("pages cannot be watched; run this again to see what has changed.", param_hint="--watch")
    if source is not None:
        raise typer.BadParameter("names a file; a page is called by its address.", param_hint="--source")


def _is_address(place: str) -> bool:
    return SCHEME.match(place) is not None and not os.path.exists(place)
