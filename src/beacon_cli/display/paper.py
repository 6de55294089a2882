"""Puts finished pictures and lines on stdout or stderr. A reader that has gone away is no error.

Rich is imported where a picture is drawn: `beacon validate`, which says one line, does not wait for it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from beacon_cli.disk import store_error
from beacon_cli.display.clean import clean

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])})
"""What the system says where a disk takes no more."""
_CLAIMS = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which Rich takes for a terminal what is none."""
WIDTH = 100
"""The width where there is no terminal to ask."""


def may_be_terminal(stream: IO[str]) -> bool:
    """Whether Rich has to be asked: the stream is a terminal, or a variable makes Rich take it for one."""
    return stream.isatty() or any(name in os.environ for name in _CLAIMS)


def console(stream: IO[str]) -> Console:
    """A console on this stream that takes text as it is: no markup, no emoji codes, no guessing of colours."""
    from rich.console import Console

    found = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = WIDTH
    return found


def show(draw: Callable[[int], RenderableType], stream: IO[str], *, whole: bool = True) -> None:
    """Print what `draw` gives for the stream's width; `whole` and what it raises are those of `put`."""
    paper = console(stream)

    def write() -> None:
        with paper.capture() as drawn:  # where nobody reads, Rich itself would leave with 1
            paper.print(draw(paper.width))
        stream.write(drawn.get())

    (_wholly if whole else _quietly)(write, stream)


def say(lines: Iterable[str], stream: IO[str], *, whole: bool = False) -> None:
    """Print lines, made safe; `whole` as for `put`, but lines mostly tell of what was done, and may be lost."""
    text = "".join(clean(line) + "\n" for line in lines)
    (_wholly if whole else _quietly)(lambda: stream.write(text), stream)


def tell(lines: Iterable[str]) -> None:
    """Print lines about what went wrong on stderr, made safe and free of the environment's credentials."""
    from beacon_cli.masking import credentials, masked  # its patterns take a while, and little goes wrong

    secrets = credentials(os.environ)
    say((masked(line, secrets) for line in lines), sys.stderr)


def put(text: str, stream: IO[str], *, whole: bool = True) -> None:
    """Print text that is safe already (JSON in ASCII), with a line end.

    Raises:
        StoreError: the disk behind the stream is full, and the output is to be `whole`: half of it must not pass
            for all where a command is for its output alone. A run, which is kept elsewhere, goes on without.
    """
    (_wholly if whole else _quietly)(lambda: stream.write(text + "\n"), stream)


def put_json(value: object, stream: IO[str]) -> None:
    """Print a value of JSON types, indented; whatever its texts hold, it is ASCII."""
    put(json.dumps(value, indent=2), stream)


def pour(chunks: Iterable[bytes], stream: IO[str]) -> None:
    """Write bytes that a program reads, as they come. A reader that has gone away ends it.

    Raises:
        StoreError: the stream cannot take them all; a part of an export must not pass for the whole.
    """
    try:
        stream.flush()
        for chunk in chunks:
            stream.buffer.write(chunk)  # type: ignore[attr-defined]  # stdout has one
        stream.flush()
    except BrokenPipeError:
        give_up(stream)
    except OSError as error:
        give_up(stream)
        raise store_error(Path(stream.name), error) from error


def _wholly(write: Callable[[], object], stream: IO[str]) -> None:
    """As `_quietly`, but a full disk is said."""
    try:
        write()
        stream.flush()
    except (OSError, ValueError) as error:
        give_up(stream)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise store_error(Path(stream.name), error) from error


def _quietly(write: Callable[[], object], stream: IO[str]) -> None:
    try:
        write()
        stream.flush()
    except (OSError, ValueError):
        give_up(stream)


def give_up(stream: IO[str]) -> None:
    """Nobody reads any more: let everything that still comes go nowhere, the interpreter's last flush included."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return
