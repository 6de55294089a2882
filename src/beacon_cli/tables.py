"""TOML files that people write, read safely: what is wrong with one is said with its place. Knows no key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from beacon_cli.errors import Fault
from beacon_cli.names import printable

LARGEST = 1_000_000
"""Bytes of a file."""

_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def read(path: Path, file: str) -> dict[str, Any] | Fault:
    """The table in a file, or what is wrong with it; `file` is its name in messages.

    Raises:
        FileNotFoundError: it is not there.
    """
    try:
        text = _bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError:
        return Fault(file=file, message="is not UTF-8; save it as UTF-8")
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return Fault(file=file, message=reason)
    return _parsed(text, file)


def _parsed(text: str, file: str) -> dict[str, Any] | Fault:
    import tomllib  # where there is no such file, nothing has to be imported for it

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        message = f"not valid TOML: {printable(_PLACE.sub('', str(error)))}"
        return Fault(file=file, line=line, column=column, message=message)
    except RecursionError:
        return Fault(file=file, message="nested too deeply")
    except ValueError as error:
        return Fault(file=file, message=str(error))


def _bytes(path: Path) -> bytes:
    if path.is_fifo():  # whoever made this folder may have put one there: nobody would ever write to it
        raise ValueError("is a pipe; it has to be a file")
    with path.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"is larger than {LARGEST // 1_000_000} MB")
    return data
