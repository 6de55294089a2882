"""The language that an answer is in, by its script and its function words. Pure; knows nothing of refusals.

Five languages are told apart, because their patterns are shipped: en, zh, fr, de, es. Japanese, Korean, Arabic and
Russian have codes too, so that nobody takes kana for Chinese; everything else is `other`.
"""

from __future__ import annotations

import re

OTHER = "other"
"""A script or a language that has no code here."""
LANGUAGES = ("en", "zh", "fr", "de", "es")
"""Those with patterns of their own."""

_LOOKED_AT = 500
"""Characters; function words are frequent enough for a few sentences to tell."""
_LATIN = "latin"
_SCRIPTS = {
    "ja": "\u3041-\u30ff\uff66-\uff9d",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "ru": "\u0400-\u052f",
    "ar": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    _LATIN: "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff",
}
_SCRIPT = {code: re.compile(f"[{letters}]") for code, letters in _SCRIPTS.items()}
_OTHERS = ("ko", "ru", "ar")
_FOREIGN = re.compile(r"[^\W\d_a-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")
"""A letter that is not Latin."""
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[a-zß-öø-ÿœ]+")
_KANA_SHARE = 0.1
"""Japanese is written with Chinese characters too: a tenth of kana tells it."""
_CJK_LETTERS = 2.5
"""Latin letters that say as much as one Chinese character: a Chinese text may quote much Latin."""
_LEAST_WORDS = 2
"""One function word may be anybody's."""

_WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": """the of and to is that it for was are with as this be on not by from at have i you an but or can
            which they his their has were been will would there what about my your we who when if do does did don
            am cannot t s m sorry could please topic other help how let more than into such""",
        "fr": """le la les de des du et est en un une que qui dans pour pas sur ne plus par je vous nous il elle
            ce cette ces sont au aux avec à être ou mais d l n c qu s j mon votre vos peux suis sujet désolé très
            cela leur tout où été ont dont même aucun""",
        "de": """der die das und ist nicht ein eine einen einem einer zu den dem des im in mit von auf für sich es
            ich sie wir als auch werden wird sind bei oder aber kann nach wie zum zur über dass hat haben wurde
            mir ihnen keine kein leider diese dieser dieses thema diesem tut leid man so nur noch um""",
        "es": """el la los las de del y es en un una que no se por para con su al lo como más pero sus le ha me si
            sin sobre este esta yo o fue son entre cuando muy también hay puedo lo siento sobre mi tu usted tema
            está ser era han ni desde porque nos te eso""",
        "it": """il lo la i gli le di che è e un una per non in con sono del della dei delle al alla da si nel
            nella come più ma anche mi questo questa posso sul ho ha essere""",
        "pt": """o a os as de do da dos das que e é em um uma para não com por no na nos nas se mais como mas foi
            ao eu você sobre isso este esta posso são seu sua tem ser""",
        "nl": """de het een en van is in dat op te zijn met voor niet aan er om ook als maar door bij ik je dit
            die wordt naar kan over deze onderwerp mij heeft werd geen wel""",
    }.items()
}
_EACH = 420
"""What a word tells of the languages that have it together; it can be shared by up to seven."""
_FIELD = 32
"""Bits of a language's sum in the sum of all: what a word tells of each language is one number."""
_BY_WORD = {
    word: sum(_EACH // len(owners) << _FIELD * place for place in owners)
    for word in frozenset().union(*_WORDS.values())
    for owners in [[place for place, words in enumerate(_WORDS.values()) if word in words]]
}
FUNCTION_WORDS = frozenset(_BY_WORD)
"""Words that are in most sentences of one of these languages."""


def language(text: str) -> str | None:
    """The code of the language that most of the beginning of `text` is in; None where too little tells.

    `text` is best normalised (`sentences.plain`): half-width kana and full-width letters look like others.
    """
    start = text[:_LOOKED_AT].lower()
    if start.isascii() or not _FOREIGN.search(start):
        return _latin(start)
    kana, han = len(_SCRIPT["ja"].findall(start)), len(_SCRIPT["zh"].findall(start))
    latin = len(_SCRIPT[_LATIN].findall(start))
    if (kana or han) and (kana + han) * _CJK_LETTERS >= latin:
        return "ja" if kana > (kana + han) * _KANA_SHARE else "zh"
    letters = len(_LETTER.findall(start))
    if latin * 2 >= letters:
        return _latin(start)
    return next((code for code in _OTHERS if len(_SCRIPT[code].findall(start)) * 2 >= letters), OTHER)


def _latin(start: str) -> str | None:
    told = [each for word in _WORD.findall(start) if (each := _BY_WORD.get(word))]
    if len(told) < _LEAST_WORDS:
        return None
    total = sum(told)
    scores = {code: total >> _FIELD * place & (1 << _FIELD) - 1 for place, code in enumerate(_WORDS)}
    best = max(scores, key=scores.__getitem__)
    return best if best in LANGUAGES else OTHER
