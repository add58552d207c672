"""The built-in answerer: a chat model that picks the sentences of the passages that answer best. No language model.

It reads the evidence as data (`additional_kwargs["evidence"]` of the last message), not as prompt text, so what it
quotes is verbatim. Sentence score: similarity to the question + .8 of its rare words + .5 of its passage's score + .2
when it holds the type of thing asked for; for CJK questions no similarity, as the embedding knows English only.
How often the answer is among them is measured in docs/quality.md.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import numpy as np
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict
from typing_extensions import TypedDict

from graph.citations import escape_brackets
from graph.sentences import LEADS_ON, sentence_spans
from graph.state.evidence import Passage, SearchQuery
from graph.terms import is_cjk, terms

SENTENCES = 3
READ_PASSAGES = 5
LEXICAL_WEIGHT, PASSAGE_WEIGHT, TYPE_WEIGHT = 0.8, 0.5, 0.2
CJK_PASSAGE_WEIGHT = 0.6
BEFORE_SHARE, AFTER_SHARE = 0.4, 0.28
"""A question's words in the sentence before count this share, for an answer often goes on about what was named there;
those in the sentence after a little less."""
LEAST_SHARE = 0.45
"""A further sentence must score at least this share of the best one."""
REPEATED_SHARE, REPEATED_WORDS = 0.9, 5
"""A sentence says nothing new when a chosen one has this share of the fewer words of the two, if these are enough."""
LONGEST_LIST = 8
"""Items of a list that an answer keeps together."""
LONGEST_CODE = 1200
"""Characters of a block of code that an answer shows whole."""
DATA_SHARE = 0.06
"""Signs of code or data above which a text is none that people say; prose has hardly any."""
SHORTEST = 12
"""Characters below which a sentence is a heading or a fragment."""

_DATA_SIGN = re.compile(r'[{}<>=\\]|\$(?!\d)|":')
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|million|half|third|once|twice"
)
_TYPES = (
    (
        re.compile(r"^\s*when\b|\b(?:what|which) (?:year|date|time|month|day|century|decade)\b", re.I),
        re.compile(rf"\b(?:1\d|20)\d\d\b|\b\d{{1,2}}:\d\d\b|\b(?:{_MONTHS})\b|\bcentury\b"),
    ),
    (
        re.compile(
            r"\bhow (?:many|much|long|old|far|often|large|big|tall|high)\b"
            r"|\bwhat (?:percent|percentage|number|portion|amount)\b",
            re.I,
        ),
        re.compile(rf"\d|\b(?:{_NUMBERS})\b", re.I),
    ),
    (re.compile(r"\b(?:who|whom|whose)\b", re.I), re.compile(r"(?<!^)\b[A-Z][a-z]+")),
    (
        re.compile(r"\bwhere\b|\b(?:what|which) (?:city|country|state|place|location|river)\b", re.I),
        re.compile(r"\b(?:in|at|near|from|to) (?:the )?[A-Z][a-z]+"),
    ),
    (
        re.compile(r"\bwhy\b|\bwhat (?:was|is) the (?:reason|cause)\b", re.I),
        re.compile(r"\b(?:because|due to|since|so that|in order to|caused?|reason|as a result|therefore)\b", re.I),
    ),
    (
        re.compile(r"什么时候|什麼時候|何时|何時|哪一?[年天日月]|多少|几|幾"),
        re.compile(r"\d|[一二三四五六七八九十百千万萬]"),
    ),
    (re.compile(r"为什么|為什麼|为何|為何"), re.compile(r"因为|因為|由于|由於|所以|因此|原因|为了|為了")),
)
"""What a question asks for, and what a sentence that tells it has."""
_NUMBERED = re.compile(r"\d{1,2}[.)]\s")
_ITEM = re.compile(rf"[-+*•·]\s|{_NUMBERED.pattern}")
_BULLET = re.compile(r"^(?:[-+*•·]\s+|#+\s+|>\s*|\|\s*)+")
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)", re.MULTILINE | re.DOTALL)
_BLANK = re.compile(r"\s*")
_UNDER_HEAD = re.compile(r"[ \t]*\n[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+")
_PIECE = re.compile(r"\s*\S+\s*?|\s+", re.S)


class Evidence(TypedDict):
    """What the answer may be made of."""

    query: SearchQuery
    passages: list[Passage]
    idf: dict[str, float]


@dataclass(frozen=True)
class _Sentence:
    passage: int
    text: str
    found: frozenset[str]
    is_item: bool = False
    """Whether it is an item of a list."""
    is_fragment: bool = False
    """Whether it is too short to say anything without the list that it is of."""
    code: str = ""
    """The block of code that it leads to."""

    @property
    def leads_on(self) -> bool:
        """Whether what follows belongs to it."""
        return self.text.endswith(LEADS_ON)


class ExtractiveChatModel(BaseChatModel):
    """Answers with up to three sentences of the passages, best first, each with its `[n]`."""

    embeddings: Embeddings

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def _llm_type(self) -> str:
        return "citestream-extractive"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = extract(messages[-1].additional_kwargs["evidence"], self.embeddings)
        message = AIMessage(text, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(extract(messages[-1].additional_kwargs["evidence"], self.embeddings)):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        evidence = messages[-1].additional_kwargs["evidence"]
        text = await anyio.to_thread.run_sync(extract, evidence, self.embeddings)
        for chunk in _chunks(text):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def extract(evidence: Evidence, embeddings: Embeddings) -> str:
    """The answer's text: the best sentences, each followed by the marker of its passage."""
    passages = evidence["passages"][:READ_PASSAGES]
    sentences = _sentences(passages)
    if not sentences:
        return ""
    scores = _scores(evidence, passages, sentences, embeddings)
    paragraphs = [_paragraph(part, sentences, passages) for part in _choose(sentences, scores)]
    return "\n\n".join(paragraphs)


def _sentences(passages: Sequence[Passage]) -> list[_Sentence]:
    """What may be quoted: sentences outside code blocks; lines of code only where there is nothing else."""
    found: dict[str, _Sentence] = {}
    for number, passage in enumerate(passages):
        headings = passage.get("heading", "").split(" > ")
        for start, end in _prose(passage["text"]):
            text = passage["text"][start:end]
            if _UNDER_HEAD.match(passage["text"], end):
                continue  # the head of a table says nothing without its rows
            item = _ITEM.match(text) is not None
            fragment = len(text) < SHORTEST and not is_cjk(text)
            if (item or not fragment) and text.lstrip("# ") not in headings and not _is_data(text):
                code = _code_behind(passage["text"], end) if text.endswith(LEADS_ON) else ""
                sentence = _Sentence(number, _quotable(text), frozenset(terms(text)), item, fragment, code)
                found.setdefault(text, sentence)
    said = [sentence for sentence in found.values() if sentence.found]
    return said if any(not sentence.is_fragment for sentence in said) else _code_lines(passages)


def _is_data(text: str) -> bool:
    """Whether a text is code or data, as out of the middle of a block whose fence is not in the passage."""
    return len(_DATA_SIGN.findall(text)) > DATA_SHARE * len(text)


def _prose(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for block in _FENCED.finditer(text):
        yield from sentence_spans(text, position, block.start())
        position = block.end()
    yield from sentence_spans(text, position)


def _code_behind(text: str, end: int) -> str:
    """The whole block of code that follows at `end`; "" where there is none, or it is long or cut off."""
    blank = _BLANK.match(text, end)
    block = _FENCED.match(text, blank.end() if blank else end)
    if block is None or len(block[0]) > LONGEST_CODE:
        return ""
    return block[0] if block[0].endswith(f"\n{block[1]}") else ""


def _code_lines(passages: Sequence[Passage]) -> list[_Sentence]:
    lines = [
        _Sentence(number, f"`{line.strip()}`", frozenset(terms(line)))
        for number, passage in enumerate(passages)
        for line in passage["text"].splitlines()
        if "`" not in line
    ]
    return [line for line in lines if line.found]


def _scores(
    evidence: Evidence, passages: Sequence[Passage], sentences: Sequence[_Sentence], embeddings: Embeddings
) -> list[float]:
    query = evidence["query"]
    weights = {term: weight * evidence["idf"].get(term, 0.0) for term, weight in query["terms"].items()}
    lexical = _lexical(sentences, weights)
    top = passages[0]["score"] or 1.0
    shares = [passages[sentence.passage]["score"] / top for sentence in sentences]
    typed = [TYPE_WEIGHT * _holds_type(query["text"], sentence.text) for sentence in sentences]
    if is_cjk(query["text"]):
        return [
            words + CJK_PASSAGE_WEIGHT * share + fits for words, share, fits in zip(lexical, shares, typed, strict=True)
        ]
    vectors = np.asarray(embeddings.embed_documents([query["text"], *(s.text for s in sentences)]), np.float32)
    similar = vectors[1:] @ vectors[0] / (np.linalg.norm(vectors[1:], axis=1) * np.linalg.norm(vectors[0]) + 1e-12)
    return [
        float(cosine) + LEXICAL_WEIGHT * words + PASSAGE_WEIGHT * share + fits
        for cosine, words, share, fits in zip(similar, lexical, shares, typed, strict=True)
    ]


def _lexical(sentences: Sequence[_Sentence], weights: Mapping[str, float]) -> list[float]:
    """The share of the question's weight that each sentence has, and for less what stands beside it."""
    total = sum(weights.values()) or 1.0

    def share(found: Set[str]) -> float:
        return sum(weight for term, weight in weights.items() if term in found) / total

    def beside(here: int, there: int) -> float:
        if not 0 <= there < len(sentences) or sentences[there].passage != sentences[here].passage:
            return 0.0
        return share(sentences[there].found - sentences[here].found)

    return [
        share(sentence.found) + BEFORE_SHARE * beside(i, i - 1) + AFTER_SHARE * beside(i, i + 1)
        for i, sentence in enumerate(sentences)
    ]


def _choose(sentences: Sequence[_Sentence], scores: Sequence[float]) -> list[range]:
    """The parts of the answer, best first: sentences that stand together stay so, and a list stays whole."""
    alone = [i for i, sentence in enumerate(sentences) if not sentence.is_fragment]
    order = sorted(alone, key=lambda i: -scores[i])
    best = scores[order[0]]
    parts: list[range] = []
    for i in order[:SENTENCES]:
        if scores[i] < LEAST_SHARE * best:
            break
        if any(i in part or _is_said(sentences[i], sentences[part.start : part.stop]) for part in parts):
            continue
        part = range(i, _end_of_list(sentences, i))
        # What was chosen out of the list before makes place for the whole.
        swallowed = [place for place, other in enumerate(parts) if other.start in part]
        parts = [other for other in parts if other.start not in part]
        parts.insert(min(swallowed, default=len(parts)), part)
    return _joined(parts, sentences)


def _is_said(sentence: _Sentence, chosen: Sequence[_Sentence]) -> bool:
    """Whether a chosen sentence has these words already, as where a document repeats itself."""
    return any(
        len(sentence.found & other.found) >= REPEATED_SHARE * fewer
        for other in chosen
        if (fewer := min(len(sentence.found), len(other.found))) >= REPEATED_WORDS
    )


def _end_of_list(sentences: Sequence[_Sentence], first: int) -> int:
    """The index behind a sentence and the list that it opens; of a list too long to be read, the sentence alone."""
    end = first + 1
    if not sentences[first].leads_on:
        return end
    while end < len(sentences) and sentences[end].is_item and sentences[end].passage == sentences[first].passage:
        end += 1
    return end if end - first - 1 <= LONGEST_LIST else first + 1


def _joined(parts: Sequence[range], sentences: Sequence[_Sentence]) -> list[range]:
    """A part that goes on where a better one of its passage ends is joined to it; what answers best stays first."""
    joined: list[range] = []
    for part in parts:
        for place, better in enumerate(joined):
            if better.stop == part.start and sentences[better.start].passage == sentences[part.start].passage:
                joined[place] = range(better.start, part.stop)
                break
        else:
            joined.append(part)
    return joined


def _paragraph(part: range, sentences: Sequence[_Sentence], passages: Sequence[Passage]) -> str:
    """The sentences of a part, each with its marker; items of a list and code on lines of their own."""
    text = ""
    for i in part:
        sentence = sentences[i]
        listed = sentence.is_item and len(part) > 1
        bullet = "- " if listed and not _NUMBERED.match(sentence.text) else ""
        apart = listed or (text and sentences[i - 1].code)
        after = "" if not text else "\n" if listed and sentences[i - 1].is_item else "\n\n" if apart else " "
        text += f"{after}{bullet}{sentence.text} [{passages[sentence.passage]['index']}]"
        text += f"\n\n{sentence.code}" if sentence.code else ""
    return text


def _holds_type(question: str, sentence: str) -> float:
    return float(any(asks.search(question) and holds.search(sentence) for asks, holds in _TYPES))


def _quotable(sentence: str) -> str:
    """A sentence as it may stand in an answer: one line, without bullet and table bars, its brackets escaped."""
    return escape_brackets(" ".join(_BULLET.sub("", sentence).replace("|", " ").split()))


def _chunks(text: str) -> Iterator[ChatGenerationChunk]:
    """The text word by word, as a language model streams it."""
    for piece in _PIECE.findall(text):
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
    yield ChatGenerationChunk(
        message=AIMessageChunk(content="", response_metadata={"finish_reason": "stop"}, chunk_position="last")
    )


def as_evidence(query: SearchQuery, passages: Sequence[Passage], idf: Mapping[str, float]) -> Evidence:
    """The evidence as plain data."""
    return {"query": query, "passages": list(passages), "idf": dict(idf)}
