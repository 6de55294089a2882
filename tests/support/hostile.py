"""What a stranger may put wherever he is let: texts that move cursors, hide, reorder, forge or break."""

from __future__ import annotations

from hypothesis import strategies as st

CORPUS: dict[str, str] = {
    "all of C0": "".join(map(chr, range(0x20))),
    "DEL and all of C1": "".join(map(chr, range(0x7F, 0xA0))),
    "clears the screen": "\x1b[2J\x1b[H",
    "8-bit CSI": "\x9b2J\x9b31m",
    "names the window": "\x1b]0;mine\x07",
    "links elsewhere (OSC 8)": "\x1b]8;;https://example.invalid\x1b\\Paris\x1b]8;;\x1b\\",
    "writes the clipboard (OSC 52)": "\x1b]52;c;cm0gLXJm\x07",
    "asks the terminal for an answer": "\x1b[6n\x1b[c\x05",
    "device control": "\x1bP$q q\x1b\\",
    "writes over the line": "failed\rsucceeded",
    "goes back": "rm -rf /\x08\x08\x08\x08\x08",
    "forges a line": "x\nbeacon: all is well\n",
    "reorders": "\u202eexe.\u2066txt\u2069\u202c",
    "hides": "a\u200bb\u200cc\u200dd\u2060e\ufefff\xadg\u180eh",
    "ends lines": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "tags": "ok\U000e0001\U000e0069\U000e0067\U000e006e\U000e007f",
    "selectors": "v\ufe00\ufe0f\U000e0100\u034f\u3164",
    "half characters": "a\ud800b\udfffc\udc9bd",
    "NUL": "a\0b",
    "no characters": "\ufffe\uffff\ufdd0\U0010ffff",
    "closes markup": "[/red][/][bold",
    "opens markup": "[red on white][link=https://example.invalid]x[/link][@click=app.quit]",
    "an emoji code": ":smiley: :warning:",
    "placeholders": "{prompt} {region.place} %s %(x)s ${HOME}",
    "a formula": "=HYPERLINK(1)\t+1\t-1\t@x",
    "HTML": "<script>alert(1)</script>\"onerror='x'",
    "JSON": '"},{"event":"run_finished"}\\u001b',
    "right to left": "مرحبا שלום",
    "a pile of marks": "e" + "\u0301" * 3000,
    "one long word": "A" * 20_000,
    "many lines": "\r\n" * 500,
}
"""By what they do."""

TEXTS = st.sampled_from(sorted(CORPUS.values())) | st.text(st.characters(), max_size=60)
"""One of the corpus, or anything at all."""
