"""Questions that could come next, taken from what the passages can answer. No model is asked."""

import re
from collections.abc import Collection, Iterator, Sequence

from graph.sentences import sentence_spans
from graph.state.evidence import Passage
from graph.terms import is_cjk, terms

MOST = 3
LONGEST = 100
"""Characters of a heading, or of a question in a document, that makes a suggestion."""
QUESTION_SIGNS = ("?", "？")
ABOUT_EN = "What do the documents say about “{}”?"
ABOUT_ZH = "文档中关于“{}”是怎么说的？"

_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[IVX]+\.|第[一二三四五六七八九十百\d]+[章节節])\s+")
_MARKUP = re.compile(r"[`*_#]+")


def suggest(question: str, passages: Sequence[Passage], cited: Collection[int]) -> list[str]:
    """At most three questions, those of passages that the answer did not use first.

    A passage gives the questions that stand in it, and one about its heading where that says something new.
    """
    unused = [passage for passage in passages if passage["index"] not in cited]
    used = [passage for passage in passages if passage["index"] in cited]
    about = ABOUT_ZH if is_cjk(question) else ABOUT_EN
    said = [frozenset(terms(question))]
    found: list[str] = []
    for topic, is_question in (topic for passage in [*unused, *used] for topic in _topics(passage)):
        words = frozenset(terms(topic))
        if words and not any(words <= before for before in said):
            said.append(words)
            found.append(topic if is_question else about.format(topic))
        if len(found) == MOST:
            break
    return found


def _topics(passage: Passage) -> Iterator[tuple[str, bool]]:
    """What a passage could be asked about, and whether that is a question already."""
    heading = _plain(passage.get("heading", "").rpartition(" > ")[2])
    if 0 < len(heading) <= LONGEST:
        yield heading, heading.endswith(QUESTION_SIGNS)
    if not any(sign in passage["text"] for sign in QUESTION_SIGNS):
        return
    for start, end in sentence_spans(passage["text"]):
        sentence = _plain(passage["text"][start:end])
        if sentence.endswith(QUESTION_SIGNS) and len(sentence) <= LONGEST:
            yield sentence, True


def _plain(text: str) -> str:
    return _NUMBERING.sub("", " ".join(_MARKUP.sub("", text).split()))
