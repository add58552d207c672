"""Documents made on the spot."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PdfMaker = Callable[..., bytes]


@pytest.fixture
def make_pdf() -> PdfMaker:
    """A function that writes a PDF: lines of text by page, and what else is wanted."""
    return pdf_of


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real and nasty documents that may lie beside the project."""
    folder = Path(__file__).parents[3] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus is not beside the project")
    return folder


def pdf_of(
    pages: Sequence[Sequence[str]],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
    encrypted: bool = False,
) -> bytes:
    """`outline` holds (title, page from 1) on one level."""
    kids = " ".join(f"{10 + 2 * index} 0 R" for index in range(len(pages)))
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R{'/Outlines 5 0 R' if outline else ''}>>",
        2: f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        4: f"<</Title({title})>>",
    }
    for index, lines in enumerate(pages):
        drawn = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
        stream = f"BT /F1 12 Tf 72 720 Td {drawn} ET" if lines else "0 0 50 50 re f"
        objects[10 + 2 * index] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {11 + 2 * index} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>"
        )
        objects[11 + 2 * index] = f"<</Length {len(stream)}>>stream\n{stream}\nendstream"
    first = 10 + 2 * len(pages)
    if outline:
        last = first + len(outline) - 1
        objects[5] = f"<</Type/Outlines/First {first} 0 R/Last {last} 0 R/Count {len(outline)}>>"
    for index, (entry, page) in enumerate(outline):
        following = f"/Next {first + index + 1} 0 R" if index + 1 < len(outline) else ""
        target = f"/Dest[{8 + 2 * page} 0 R/Fit]"
        objects[first + index] = f"<</Title({entry})/Parent 5 0 R{target}{following}>>"
    if encrypted:
        objects[6] = f"<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>"
    return _assemble(objects, "/Encrypt 6 0 R/ID[<00><00>]" if encrypted else "")


def _assemble(objects: dict[int, str], trailer: str) -> bytes:
    data = b"%PDF-1.4\n"
    offsets = {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(data)
        data += f"{number} 0 obj{body}endobj\n".encode("latin-1")
    size = max(objects) + 1
    table = "".join(
        f"{offsets[number]:010} 00000 n \n" if number in offsets else "0000000000 65535 f \n" for number in range(size)
    )
    end = (
        f"xref\n0 {size}\n{table}trailer<</Size {size}/Root 1 0 R/Info 4 0 R{trailer}>>\nstartxref\n{len(data)}\n%%EOF"
    )
    return data + end.encode()
