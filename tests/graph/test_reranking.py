from collections.abc import Sequence

import pytest
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document

from graph.errors import SettingsError
from graph.library import LiveChunk
from graph.retrieval.reranking import RERANKED, Reranker, open_reranker
from graph.settings import Settings
from tests.graph.asking import ask
from tests.graph.conftest import OpenWith


class ByLength(BaseDocumentCompressor):
    """Keeps the two shortest documents, the shortest first."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        return sorted(documents, key=lambda document: len(document.page_content))[:2]


def chunks(*texts: str) -> list[tuple[LiveChunk, float]]:
    made = [
        LiveChunk(f"d.v.{n}-{n + 1}", text, n, n + 1, None, "", "d", "s", "t", "en", "0")
        for n, text in enumerate(texts)
    ]
    return [(chunk, 0.9 - n / 100) for n, chunk in enumerate(made)]


def texts(ranked: list[tuple[LiveChunk, float]]) -> list[str]:
    return [chunk.text for chunk, _ in ranked]


def test_the_model_s_order_counts_with_scores_between_0_and_1() -> None:
    found = Reranker(lambda _question, texts: [-5.0, 7.0, 1.0]).rerank("Why?", chunks("a", "b", "c"))
    assert texts(found) == ["b", "c", "a"]
    assert [score for _, score in found] == [1.0, 0.5, 0.0]


def test_what_ranks_further_back_is_not_sent_and_stays_behind() -> None:
    seen: list[str] = []

    def score(_question: str, texts: Sequence[str]) -> list[float]:
        seen.extend(texts)
        return [float(text) for text in texts]

    found = Reranker(score).rerank("Why?", chunks(*map(str, range(RERANKED + 2))))
    assert len(seen) == RERANKED
    assert texts(found)[0] == str(RERANKED - 1)
    assert texts(found)[-2:] == [str(RERANKED), str(RERANKED + 1)]
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_model_that_fails_or_answers_too_little_leaves_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_question: str, _texts: Sequence[str]) -> list[float]:
        raise ConnectionError("secret")

    before = chunks("a", "b")
    assert Reranker(fail).rerank("Why?", before) == before
    assert Reranker(lambda _question, _texts: [1.0]).rerank("Why?", before) == before
    assert Reranker(fail).rerank("Why?", []) == []
    assert "secret" not in "".join(capsys.readouterr())


async def test_a_langchain_compressor_is_used_by_its_name(open_with: OpenWith) -> None:
    async with open_with(reranker="tests.graph.test_reranking:ByLength", model="extractive") as resources:
        run = await ask(resources, "Where does the fox sleep?")
    shown = [len(source["text"]) for source in run.of("source")[0]["sources"]]
    assert shown[0] == min(shown)


@pytest.mark.parametrize(
    "name", ["cross-encoder:some/model", "no.such.module:Thing", "json:nothing", "collections:OrderedDict", "nonsense"]
)
def test_a_name_that_makes_no_reranker_is_refused_with_what_to_write(settings: Settings, name: str) -> None:
    with pytest.raises(SettingsError, match="CITESTREAM_RERANKER"):
        open_reranker(settings.model_copy(update={"reranker": name}))


def test_without_a_name_there_is_none(settings: Settings) -> None:
    assert open_reranker(settings) is None
