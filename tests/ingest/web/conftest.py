from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from ingest.cli import ingest_command
from ingest.index_cli import index_app
from tests.ingest.web.site import Site

app = typer.Typer()
app.command("ingest")(ingest_command)
app.add_typer(index_app, name="index")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as opened:
        yield opened


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command with a data folder of its own; this machine may be asked, and without a pause."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITESTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CITESTREAM_WEB_PRIVATE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CITESTREAM_WEB_DELAY_S", "0")

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), **options)

    return invoke
