"""Credentials known by their names or by their looks, and taken out of texts that are shown or kept. Pure.

Must not know where a text or an environment comes from. What a model answers is not masked: an answer is kept word
for word, and whoever runs the model decides what it can see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

MASK = "[credential withheld]"

_NAME = re.compile(
    r"(?:token|tokenid|jwt|bearer|signature"
    r"|(?:secret|password|passwd|passphrase|credential|cookie|accesskey|accesskeyid|apikey|privatekey|sshkey)s?"
    r"|authori[sz]ation|connectionstring|dsn)$"
    r"|^(?:token|secret)(?=[-_. ])",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[-_. ]")
_LOOKS = re.compile(
    r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JSON Web Token, as MODAL_IDENTITY_TOKEN is
    r"|\b(?:ak|as)-[A-Za-z0-9]{12,}"  # Modal's
    r"|\b(?:hf_|gh[a-z]_|sk-|xox[a-z]-|AKIA)[A-Za-z0-9_-]{12,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # the user and the password in an address
)
_ASSIGNED = re.compile(
    r"""(?P<name>\b[A-Z0-9_]*(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIALS?)(?:_ID)?\b["']?\s*[=:,]\s*)"""
    r"""(?P<value>"[^"]*"|'[^']*'|[^\s"',;}\]]+)"""
)
_SUSPECT = re.compile("eyJ|a[ks]-|hf_|gh[a-z]_|sk-|xox|AKIA|://|TOKEN|SECRET|PASS|KEY|CREDENTIAL")
"""What every text holds that one of the two patterns finds something in."""
_SHORTEST = 6
"""A value shorter than this is found in harmless text too often."""


@lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether something with this name is most likely a credential: `HF_TOKEN`, `apiKey`, `client-secret`."""
    return bool(_NAME.search(_BETWEEN.sub("", name)) or _NAME.match(name))


def credentials(environ: Mapping[str, str]) -> list[str]:
    """The values in an environment whose names say that they are credentials."""
    return [value for name, value in environ.items() if is_credential(name)]


def is_suspect(text: str) -> bool:
    """Whether anything in the text might look like a credential; most texts are through after this."""
    return _SUSPECT.search(text) is not None


def masked(text: str, values: Iterable[str] = ()) -> str:
    """`text` with `MASK` in the place of these values, and of whatever else looks like a credential."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK)
    if not is_suspect(text):
        return text
    return _LOOKS.sub(MASK, _ASSIGNED.sub(rf"\g<name>{MASK}", text))
