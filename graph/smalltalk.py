"""Greetings and thanks: what a person says that asks nothing, and no document should answer."""

import re
from typing import Literal

Kind = Literal["greeting", "thanks"]

_NAME = r"(?: (?:there|again|all|everyone|everybody|team|friend|you|citestream|bot|assistant))?"
_WORDS: tuple[tuple[Kind, str], ...] = (
    (
        "greeting",
        rf"(?:hi+|hello|hey+|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)){_NAME}"
        r"|how are you(?: doing)?(?: today)?|how(?:'s| is) it going|what(?:'s| is) up|nice to meet you"
        r"|are you there|anybody (?:here|there)"
        r"|[你您]好(?:[啊呀吗]|[嗎])?|大家好|嗨|[哈嘿][喽囉罗啰]?|早上好|上午好|中午好|下午好|晚上好|早安|午安|在[吗嗎]",
    ),
    (
        "thanks",
        r"(?:(?:many|great|ok|okay|perfect) )?(?:thanks|thank you|thank u|thx|cheers|much appreciated)"
        rf"(?: (?:a lot|a bunch|so much|very much|again|for (?:your|the) help|for that)){{0,2}}{_NAME}"
        r"|(?:ok|okay|great|perfect|nice|cool|got it|i see|understood|awesome|excellent|well done|that helps"
        r"|that(?:'s| is) (?:great|perfect|helpful|all))"
        r"|(?:good)?bye(?: bye)?|see you(?: later| soon)?|have a (?:nice|good|great) (?:day|one|evening|weekend)"
        r"|谢谢(?:[你您啦了]|你们|大家)?|謝謝(?:[你您])?|多谢(?:了)?|多謝|感谢(?:[你您])?|感謝(?:[你您])?|非常感谢|太感谢了|辛苦了"
        r"|好的?|明白(?:了)?|知道了|了解(?:了)?|懂了|太好了|不错|再见|再見|拜拜|晚安",
    ),
)
_KINDS = [(kind, re.compile(pattern)) for kind, pattern in _WORDS]
_BETWEEN = re.compile(r"[^\w' ]+|_+")
MAX_CHARS = 100


def smalltalk(said: str) -> Kind | None:
    """What kind of small talk this is, or None when any part of it may be a question."""
    if len(said) > MAX_CHARS:
        return None
    said = said.lower().replace("’", "'")
    kinds = [_kind(" ".join(part.split())) for part in _BETWEEN.split(said) if part.strip()]
    if not kinds or None in kinds:
        return None
    return "greeting" if "greeting" in kinds else "thanks"


def _kind(part: str) -> Kind | None:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(part)), None)
