"""History: which earlier turns a prompt may hold.

A conversation may begin with a system message: a summary of what was said before its first turn.
"""

from collections.abc import Iterable, Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from graph.retrieval.tokenizer import count_tokens


def split_question(messages: Sequence[AnyMessage]) -> tuple[list[AnyMessage], str]:
    """The turns before the question, and the question: the text of the last message.

    Raises ValueError when the conversation does not end with a person's words.
    """
    if not messages or not isinstance(messages[-1], HumanMessage) or not messages[-1].text.strip():
        raise ValueError("the last message must be the question: a human message with text")
    return list(messages[:-1]), messages[-1].text.strip()


def questions(history: Sequence[AnyMessage]) -> list[str]:
    """What was asked, oldest first."""
    return [message.text for message in history if isinstance(message, HumanMessage)]


def answers(history: Sequence[AnyMessage]) -> list[str]:
    """What was answered, oldest first."""
    return [message.text for message in history if isinstance(message, AIMessage)]


def fit_history(history: Sequence[AnyMessage], budget_tokens: int) -> tuple[list[AnyMessage], int]:
    """The summary, the newest whole turns within the budget, oldest first, and how many turns were left out."""
    turns = _turns(history)
    if may_be_tokens(message.text for message in history) <= budget_tokens:
        return [*history[: summary_of(history) is not None], *(message for turn in turns for message in turn)], 0
    kept: list[list[AnyMessage]] = []
    first = summary_of(history)
    used = 0 if first is None else count_tokens(first.text)
    for turn in reversed(turns):
        used += sum(count_tokens(message.text) for message in turn)
        if used > budget_tokens:
            break
        kept.append(turn)
    messages = [message for turn in reversed(kept) for message in turn]
    return [*([first] if first else []), *messages], len(turns) - len(kept)


def may_be_tokens(texts: Iterable[str]) -> int:
    """As many tokens as the texts can have at most, for nothing: a word piece has at least one byte."""
    return sum(len(text.encode(errors="replace")) for text in texts)


def summary_of(history: Sequence[AnyMessage]) -> SystemMessage | None:
    """The summary that a conversation begins with."""
    return history[0] if history and isinstance(history[0], SystemMessage) else None


def _turns(history: Sequence[AnyMessage]) -> list[list[AnyMessage]]:
    """Question and answer pairs; a question that was never answered is left out, as models expect alternation."""
    turns: list[list[AnyMessage]] = []
    asked: AnyMessage | None = None
    for message in history:
        if isinstance(message, HumanMessage):
            asked = message
        elif isinstance(message, AIMessage) and asked is not None and message.text.strip():
            turns.append([asked, message])
            asked = None
    return turns
