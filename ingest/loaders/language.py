"""Language of a document, as a filter and for the choice of search terms."""

import re

SAMPLE_CHARS = 20_000
SCRIPTS = (
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
KANA = re.compile("[\u3040-\u30ff]")
HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7af]")
LETTER = re.compile(r"[^\W\d_]")
WORD = re.compile(r"[^\W\d_]+")
FUNCTION_WORDS = {
    "en": frozenset("the and of to is that for with are this not it".split()),
    "de": frozenset("der die das und ist nicht mit ein eine für von den".split()),
    "fr": frozenset("le la les des est une dans que pour pas sur du".split()),
    "es": frozenset("el los las una que por con para es del como se".split()),
    "it": frozenset("il gli che una per con non del della sono di è".split()),
    "pt": frozenset("o os uma que não com para por do da em são".split()),
    "nl": frozenset("de het een van en niet dat voor met zijn op te".split()),
}


def language_of(text: str) -> str:
    """Two-letter code of the language most of `text` seems to be written in.

    By the share of scripts: kana means Japanese, Han without kana Chinese, and one language stands for every
    other script (`ru` for all of Cyrillic). Latin script goes by frequent function words, `en` when these do
    not decide. Cheap, and good enough to filter by; text without letters counts as `en`.
    """
    sample = text[:SAMPLE_CHARS]
    letters = len(LETTER.findall(sample)) or 1
    han, kana, hangul = (len(pattern.findall(sample)) / letters for pattern in (HAN, KANA, HANGUL))
    if kana > 0.1 or (kana > 0.02 and kana > han / 4):
        return "ja"
    if hangul > 0.2:
        return "ko"
    # A Chinese word is two signs where an English one is five letters.
    if han > 0.15:
        return "zh"
    for code, pattern in SCRIPTS:
        if len(pattern.findall(sample)) / letters > 0.4:
            return code
    return _latin(sample)


def _latin(sample: str) -> str:
    words = WORD.findall(sample.lower())
    votes = {code: sum(word in frequent for word in words) for code, frequent in FUNCTION_WORDS.items()}
    best = max(votes, key=lambda code: votes[code])
    distinct = len(FUNCTION_WORDS[best].intersection(words))
    return best if distinct >= 3 and votes[best] > 1.5 * votes["en"] else "en"
