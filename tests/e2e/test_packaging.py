"""What a user installs: the wheel and sdist of a clean checkout, and the command in an environment of its own."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import ROOT, environment, serving, write_documents

pytestmark = pytest.mark.timeout(600)

PACKAGES = {"graph", "server", "ingest", "citestream"}
DATA_FILES = {
    "server/static/index.html",
    "graph/retrieval/minilm/minilm.w8.onnx",
    "graph/retrieval/minilm/tokenizer.json",
    "graph/retrieval/minilm/LICENSE",
}
HEAVY = {
    "chromadb", "fastapi", "langchain_chroma", "langchain_core", "langgraph", "numpy", "onnxruntime", "openai",
    "pypdfium2", "sqlalchemy", "starlette", "tantivy", "tokenizers", "uvicorn",
}  # fmt: skip
"""What takes long to import, and what no command needs to show its help."""
HELP = """
import sys
from citestream.cli import main
sys.argv = ["citestream", *sys.argv[1:]]
try:
    main()
except SystemExit as exit:
    assert exit.code == 0
sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def uv(*arguments: str | Path, cwd: Path) -> None:
    found = shutil.which("uv") or Path(sys.executable).with_name("uv")
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    run(found, *arguments, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, built from nothing but the files that git knows or would add."""
    checkout = tmp_path_factory.mktemp("checkout")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, checkout / name)
    assert not (checkout / "server" / "static").exists()
    out = tmp_path_factory.mktemp("dist")
    uv("build", "--python", sys.executable, "--out-dir", out, cwd=checkout)
    return out


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    [found] = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`citestream` in a new environment that holds the wheel and what the wheel asks for, as locked."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    uv("venv", "--python", sys.executable, venv, cwd=venv.parent)
    python = venv / "bin" / "python"
    uv("pip", "install", "--python", python, "--constraint", ROOT / "requirements.lock", wheel, cwd=venv.parent)
    uv("pip", "check", "--python", python, cwd=venv.parent)
    return venv / "bin" / "citestream"


def test_the_wheel_holds_the_packages_the_page_and_the_embedding_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert names >= DATA_FILES
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert any(re.fullmatch(r"server/static/assets/.+\.js", name) for name in names)
    assert any(re.fullmatch(r"server/migrations/versions/\d{4}_.+\.py", name) for name in names)
    assert not [name for name in names if re.search(r"(^|/)(tests?|node_modules|data|\.[^/]+)/|conftest|\.map$", name)]


def test_the_wheel_says_what_it_is_and_which_licences_it_carries(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Name"] == "citestream"
    assert metadata["License-Expression"]
    assert metadata.get_all("License-File") == ["LICENSE", "graph/retrieval/minilm/LICENSE"]


def test_the_sdist_holds_the_built_page_and_its_sources_but_no_tests(distributions: Path) -> None:
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {*DATA_FILES, "pyproject.toml", "hatch_build.py", "web/src/main.tsx", "web/package-lock.json"}
    assert not [name for name in names if name.startswith(("tests/", "web/generated/", "web/node_modules/", ".ci/"))]


@pytest.mark.long
def test_the_installed_command_indexes_answers_and_serves_the_page_from_any_folder(
    command: Path, tmp_path: Path
) -> None:
    write_documents(tmp_path / "notes")
    env = environment(tmp_path / "data")
    assert "ingest" in run(command, "--help", cwd=tmp_path, env=env)
    assert run(command, "ingest", "notes", cwd=tmp_path, env=env).startswith("3 added")
    answer = run(command, "ask", "How often must the lamp be trimmed?", cwd=tmp_path, env=env)
    assert "trimmed every four hours. [1]" in answer
    assert "notes/lighthouse.md" in answer
    with serving(command, cwd=tmp_path, env=env) as address:
        page = httpx2.get(f"{address}/")
        linked = re.findall(r'(?:src|href)="\.?(/[^"]+)"', page.text)
        assert page.headers["content-type"].startswith("text/html")
        assert len(linked) >= 2
        assert [httpx2.get(address + path).status_code for path in linked] == [200] * len(linked)


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["ingest", "--help"], ["version"]])
def test_a_command_that_only_shows_text_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELP, *arguments]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout
    loaded = set(shown.stderr.split())
    assert "typer" in loaded
    assert not loaded & HEAVY
