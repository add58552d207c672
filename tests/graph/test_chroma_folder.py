"""What two processes with one Chroma folder do to each other's vectors, and what one leaves that dies as it writes."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.errors import IndexUnusable
from graph.retrieval import chroma_folder
from graph.retrieval.chroma_folder import COPIES, DATABASE, FILES, ChromaFolder
from graph.retrieval.index import DenseIndex
from graph.settings import Settings

NAME = "numbers"
LOT = 512
DIMENSIONS = 128
READER = "from tests.graph.test_chroma_folder import read_on; read_on({!r})"
WRITER = "from tests.graph.test_chroma_folder import write_until_killed; write_until_killed({!r}, {})"


def vectors_of(lot: int) -> NDArray[np.float32]:
    return np.random.default_rng(lot).standard_normal((LOT, DIMENSIONS)).astype(np.float32)


def opened(folder: Path | str) -> DenseIndex:
    return DenseIndex(Settings.load(data_dir=Path(folder), chroma_texts=False))


def add(index: DenseIndex, lot: int) -> None:
    names = [f"{lot}-{number}" for number in range(LOT)]
    index.add(NAME, names, [""] * LOT, [{"lot": lot}] * LOT, vectors_of(lot))


def lost(folder: Path, lots: int) -> int:
    """How many of every eighth vector a search with it does not meet."""
    index = opened(folder)
    try:
        return sum(
            f"{lot}-{number}" not in index.search(NAME, vectors[number], 5)
            for lot in range(lots)
            for vectors in [vectors_of(lot)]
            for number in range(0, LOT, 8)
        )
    finally:
        index.close()


def read_on(folder: str) -> None:
    """Open the index again and again, as a server does that follows a writer."""
    while True:
        index = opened(folder)
        index.warm(NAME)
        index.close()
        sys.stdout.write("opened\n")
        sys.stdout.flush()


def write_until_killed(folder: str, file_bytes: int) -> None:
    """Add lots; the kernel kills this process as it writes a file beyond so many bytes.

    The graph is what grows beyond 8 MB first: SQLite's log is taken into its database at 4 MB, and that stays below.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    index = opened(folder)
    for lot in range(40):
        add(index, lot)
        sys.stdout.write(f"{lot}\n")
        sys.stdout.flush()


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_readers_that_open_while_lots_are_written_lose_nothing(tmp_path: Path) -> None:
    """Without the lock, each of three tries left a `link_lists.bin` of over 290 MB, and the next search was the end."""
    lots = 16
    with python(READER.format(str(tmp_path))) as one, python(READER.format(str(tmp_path))) as other:
        readers = (one, other)
        try:
            assert [reader.stdout and reader.stdout.readline() for reader in readers] == ["opened\n"] * 2
            index = opened(tmp_path)
            for lot in range(lots):
                add(index, lot)
            index.close()
        finally:
            for reader in readers:
                reader.kill()
        times = [reader.communicate()[0].count("opened\n") for reader in readers]
        assert min(times) >= lots / 4, "a writer lets others in between two lots"
        assert [reader.returncode for reader in readers] == [-signal.SIGKILL] * 2
    assert lost(tmp_path, lots) == 0


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    """Written again, some vectors lose all ways that lead to them: 4 of 4,500 did."""
    index = opened(tmp_path)
    add(index, 0)
    index.add(NAME, ["0-1", "new"], ["", ""], [{"lot": 0}] * 2, vectors_of(1)[:2])
    index.close()
    kept = opened(tmp_path).vectors(NAME, ["0-1", "new"])
    for name, vector in (("0-1", vectors_of(0)[1]), ("new", vectors_of(1)[1])):
        assert kept[name] @ vector == pytest.approx(np.linalg.norm(kept[name]) * np.linalg.norm(vector), rel=1e-5)


def test_a_process_that_is_killed_as_it_writes_the_vectors_loses_none(tmp_path: Path) -> None:
    with python(WRITER.format(str(tmp_path), 8_000_000)) as writer:
        told, _ = writer.communicate()
    assert writer.returncode == -signal.SIGXFSZ
    (segment,) = [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()]
    copy = tmp_path / COPIES / segment.name
    assert (segment / FILES[1]).stat().st_size != (copy / FILES[1]).stat().st_size, "it was killed at another moment"
    lots = len(told.split())
    assert lots > 8
    assert lost(tmp_path, lots) == 0
    index = opened(tmp_path)
    for lot in range(lots, lots + 4):
        add(index, lot)
    index.close()
    assert lost(tmp_path, lots + 4) == 0


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder before and after its files were written for the second time."""
    folder = tmp_path_factory.mktemp("moments")
    for name, lots in (("before", range(3)), ("after", range(3, 4))):
        index = opened(folder / name)
        for lot in lots:
            add(index, lot)
        index.close()
        while list((folder / name / "chroma").glob(f"{DATABASE}-*")):  # Chroma closes it in the background
            time.sleep(0.01)
        if name == "before":
            shutil.copytree(folder / "before", folder / "after")
    return folder


@pytest.mark.parametrize(
    ("links", "names", "noted"),
    [(0, 0, False), (0.5, 0, False), (1, 0, False), (1, 0.5, False), (1, 1, False), (1, 1, True)],
)
def test_whatever_was_written_of_the_files_is_made_whole(
    moments: Path, tmp_path: Path, links: float, names: float, *, noted: bool
) -> None:
    """Chroma writes the graph, then the names, then a note in SQLite; the copy is that of the time before."""
    data_dir = tmp_path / "data"
    shutil.copytree(moments / "before", data_dir)
    after = moments / "after" / "chroma"
    (written,) = [path for path in after.iterdir() if path.is_dir()]
    files = data_dir / "chroma" / written.name
    for name, share in zip(FILES, (1, 1, 1, links, names), strict=True):
        if share:
            whole = (written / name).read_bytes()
            (files / name).write_bytes(whole[: round(len(whole) * share)])
    if noted:
        shutil.copy(after / DATABASE, data_dir / "chroma")
    assert lost(data_dir, 4 if noted else 3) == 0


def test_names_that_were_cut_off_the_first_time_are_made_anew(moments: Path, tmp_path: Path) -> None:
    index = opened(tmp_path)
    add(index, 0)
    index.close()
    (files,) = [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()]
    (whole,) = (moments / "before" / "chroma").glob("*/index_metadata.pickle")
    (files / FILES[4]).write_bytes(whole.read_bytes()[:5000])
    assert lost(tmp_path, 1) == 0


def shortened(folder: Path) -> None:
    file = folder / "link_lists.bin"
    file.write_bytes(file.read_bytes()[:-100])


def lengthened(folder: Path) -> None:
    with (folder / "link_lists.bin").open("r+b") as file:
        file.seek(2**32)
        file.write(b"\1")


def mixed(folder: Path) -> None:
    file = folder / "link_lists.bin"
    file.write_bytes(b"\1" + file.read_bytes()[1:])


def cut_off(folder: Path) -> None:
    file = folder / "data_level0.bin"
    file.write_bytes(file.read_bytes()[:100_000])


def headless(folder: Path) -> None:
    (folder / "header.bin").write_bytes(b"")


def nameless(folder: Path) -> None:
    file = folder / "index_metadata.pickle"
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [shortened, lengthened, mixed, cut_off, headless, nameless])
def test_damaged_files_without_a_copy_are_an_error_that_says_what_to_do(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    index = opened(tmp_path)
    add(index, 0)
    add(index, 1)
    index.close()
    (segment,) = [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()]
    damage(segment)
    index = opened(tmp_path)
    assert len(index.search(NAME, vectors_of(0)[0], 5)) == 5, "the copy takes its place"
    index.close()

    shutil.rmtree(tmp_path / COPIES)
    damage(segment)
    with pytest.raises(IndexUnusable, match=r"damaged.*citestream index rebuild"):
        opened(tmp_path).warm(NAME)


def test_other_collections_go_on_beside_a_damaged_one(tmp_path: Path) -> None:
    index = opened(tmp_path)
    add(index, 0)
    add(index, 1)
    index.add("others", ["one"], [""], [{"lot": 0}], vectors_of(0)[:1])
    index.close()
    (segment,) = (path.parent for path in (tmp_path / "chroma").glob(f"*/{FILES[4]}"))
    shutil.rmtree(tmp_path / COPIES)
    shortened(segment)
    index = opened(tmp_path)
    assert list(index.search("others", vectors_of(0)[0], 5)) == ["one"]
    with pytest.raises(IndexUnusable, match="damaged"):
        index.search(NAME, vectors_of(0)[0], 5)
    index.add("others", ["two"], [""], [{"lot": 0}], vectors_of(0)[1:2])
    index.drop(NAME)
    assert not segment.exists()


def test_waiting_for_another_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_folder, "WAIT_S", 0.2)
    with (
        ChromaFolder(tmp_path).alone(),
        pytest.raises(IndexUnusable, match="nothing is lost"),
        ChromaFolder(tmp_path).alone(),
    ):
        pytest.fail("two at once")


def test_files_of_a_deleted_collection_go_with_it(tmp_path: Path) -> None:
    index = opened(tmp_path)
    for lot in range(2):
        add(index, lot)
    assert list((tmp_path / COPIES).iterdir())
    index.drop(NAME)
    assert [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()] == []
    assert list((tmp_path / COPIES).iterdir()) == []
