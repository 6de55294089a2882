# ruff: noqa: RUF001 - answers are written as models write them
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.evidence.languages import LANGUAGES, OTHER, language

OTHERS = {"ja", "ko", "ru", "ar"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The capital of France is Paris.", "en"),
        ("I'm sorry, but I can't help.", "en"),
        ("La capitale de la France est Paris.", "fr"),
        ("Je suis désolé, mais je ne peux pas répondre.", "fr"),
        ("Die Hauptstadt von Frankreich ist Paris.", "de"),
        ("Es tut mir leid, ich kann dazu nichts sagen.", "de"),
        ("La capital de Francia es París.", "es"),
        ("Lo siento, no puedo ayudar con eso.", "es"),
        ("法国的首都是巴黎。", "zh"),
        ("抱歉，這個問題我無法回答。", "zh"),
        ("台湾的 GDP per capita 是 32,000 美元。", "zh"),
        ("フランスの首都はパリです。", "ja"),
        ("その質問には答えられません。", "ja"),
        ("죄송하지만 답변할 수 없습니다.", "ko"),
        ("Извините, я не могу ответить на этот вопрос.", "ru"),
        ("آسف، لا أستطيع الإجابة عن هذا السؤال.", "ar"),
        ("Mi dispiace, non posso rispondere a questa domanda.", OTHER),
        ("Desculpe, não posso ajudar com isso.", OTHER),
        ("Het spijt me, ik kan daar niet over praten.", OTHER),
        ("ขออภัย ฉันตอบคำถามนี้ไม่ได้", OTHER),
        ("Λυπάμαι, δεν μπορώ να απαντήσω.", OTHER),
    ],
)
def test_a_sentence_tells_its_language(text: str, code: str) -> None:
    """Script and function words tell the five languages apart, and from those that are only named or not known."""
    assert language(text) == code
    assert language(text.upper()) == code


@pytest.mark.parametrize("text", ["", "42", "…", "🙂", "Paris.", "OK"])
def test_where_too_little_tells_there_is_no_language(text: str) -> None:
    """A name, a number or a sign may be in any language."""
    assert language(text) is None


def test_a_long_quotation_does_not_change_the_language() -> None:
    """Chinese that quotes some English is Chinese, and English that names a Chinese word is English."""
    assert language("他说：“The answer is simple.”然后他离开了房间，没有再回来。") == "zh"
    assert language("The word 民主 means democracy in Chinese, and it is written with two characters.") == "en"


@given(st.text(max_size=300))
def test_every_text_has_a_known_code_or_none(text: str) -> None:
    """Whatever the text, the answer is one of the codes or None."""
    assert language(text) in {*LANGUAGES, *OTHERS, OTHER, None}
