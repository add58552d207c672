"""Pages of PDF files, as pictures and boxes."""

import hashlib

import httpx2
import pytest

from graph.library import Chunk, Library, LibraryWriter, NewVersion, keep, path_of
from tests.ingest.conftest import pdf_of
from tests.server.conftest import LiveServer

TEXT = "The first line\nand the second"


@pytest.fixture
def source(library: Library, tmp_path) -> str:
    """The id of a passage on the only page of a PDF whose file is kept."""
    data = pdf_of([TEXT.split("\n")])
    (tmp_path / "a.pdf").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    keep(library.data_dir, sha256, tmp_path / "a.pdf")
    writer = LibraryWriter(library._engine, library.data_dir)
    collection = writer.ensure_collection("default", "minilm", "test")
    new = NewVersion(
        source="a.pdf", path="/a.pdf", format="pdf", title="A", lang="en", sha256=sha256, size_bytes=len(data),
        mtime_ns=1, loader="pdf/1", text=TEXT, chunks=[Chunk(0, len(TEXT), page=1)],
    )  # fmt: skip
    _, (chunk,) = writer.stage(collection, new)
    writer.publish()
    return chunk.id


def test_a_passage_of_a_pdf_comes_with_its_boxes(server: LiveServer, source: str) -> None:
    body = server.http.get(f"/v1/sources/{source}").json()
    assert [sorted(box) for box in body["boxes"]] == [["bottom", "left", "right", "top"]] * 2
    assert all(0 < box["left"] < box["right"] < 1 and 0 < box["top"] < box["bottom"] < 1 for box in body["boxes"])


def test_its_page_is_a_picture_that_may_be_kept(server: LiveServer, source: str) -> None:
    whole = server.http.get(f"/v1/sources/{source}/page.png")
    part = server.http.get(f"/v1/sources/{source}/page.png", params={"start": 4, "end": 9})
    assert whole.headers["content-type"] == part.headers["content-type"] == "image/png"
    assert "immutable" in whole.headers["cache-control"]
    assert whole.content.startswith(b"\x89PNG")
    assert whole.content != part.content


def test_other_documents_and_files_that_are_not_kept_have_no_page(
    server: LiveServer, library: Library, source: str
) -> None:
    def refused(source_id: str, **params: int) -> tuple[int, str]:
        answer: httpx2.Response = server.http.get(f"/v1/sources/{source_id}/page.png", params=params)
        return answer.status_code, answer.json()["error"]["code"]

    other = next(document for document in library.documents() if document.format != "pdf")
    chunk = next(iter(library.live_ids(library.collection("default")) - {source}))
    assert chunk.startswith(other.id)
    assert refused(chunk) == (404, "page_not_found")
    assert refused(source, start=9, end=4) == (404, "source_not_found")
    assert refused("nonsense") == (404, "source_not_found")
    path_of(library.data_dir, library.source(source).document.sha256).write_bytes(b"%PDF-1.4 damaged")
    assert refused(source) == (404, "page_not_found")
    path_of(library.data_dir, library.source(source).document.sha256).unlink()
    assert refused(source) == (404, "page_not_found")
    assert "boxes" not in server.http.get(f"/v1/sources/{source}").json()
