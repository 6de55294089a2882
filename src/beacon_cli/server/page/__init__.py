"""The one page: the queues, live. Three files that the browser gets from here and nothing from anywhere else."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own three files and the server's answers."""

_PARTS = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


@cache
def part(path: str) -> tuple[bytes, str]:
    """The content at one of the page's paths, and its type."""
    name, kind = _PARTS[path]
    return (files(__name__) / name).read_bytes(), kind
