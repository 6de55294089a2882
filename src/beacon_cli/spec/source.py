"""Files to plain Python that remembers where it stood: bytes, text, YAML. The only importer of yaml.

Must not know what a job is. Mappings are `Block`, lists are `Items`, scalars stay the text that was typed: `Plain`
without quotes, `str` with them, None for nothing, `~` and `null`. What a scalar means (a number, an id) is for the
place where it is used to decide. Everything that can make a small file grow (anchors, aliases, merge keys) or that
names a type (tags) is refused while the parser's events pass by, before anything is built from them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from beacon_cli.errors import Fault, SpecError
from beacon_cli.names import printable, quoted

LARGEST = 10_000_000
"""Bytes of a file."""
DEEPEST = 50
"""Levels of nesting."""
MOST = 85_000
"""Keys and values in a YAML file, lists and mappings counted twice: some 10,000 questions."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there: ten times faster

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""

Loc: TypeAlias = tuple[int | str, ...]
"""Where a value stands in the tree: keys, and indices from 0."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,59}")


class Plain(str):
    """A scalar that was typed without quotes: text, unless a number is wanted where it stands."""

    __slots__ = ()


class Block(dict[str, Any]):
    """A mapping. `at` has for each key the place of the key and of its value."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, tuple[Place, Place]] = {}


class Items(list[Any]):
    """A list. `at` has the place of each item."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        super().__init__()
        self.at: list[Place] = []


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed file. `faults` are those that do not stand in the way of reading on: keys given twice."""

    file: str
    tree: Any
    at: Place
    faults: tuple[Fault, ...] = ()

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        """Where the value at `loc` stands, or its key; what is not there is at the nearest thing that holds it."""
        node, at = self.tree, self.at
        for part in loc:
            if isinstance(node, Block) and part in node:
                name = str(part)
                at = node.at[name][0 if key and part == loc[-1] else 1]
                node = node[name]
            elif isinstance(node, Items) and isinstance(part, int) and part < len(node):
                at = node.at[part]
                node = node[part]
            else:
                break
        return at


def read(path: Path, *, regular: bool = False) -> bytes:
    """The file as it is. A pipe will do, unless it has to be a `regular` file: a pipe may never say anything.

    Raises:
        SpecError: it is not there, is a folder, cannot be read, or has more than `LARGEST` bytes.
    """
    try:
        if path.is_dir():
            raise _refused(path, "is a folder; name a file")
        if regular and path.exists() and not path.is_file():
            raise _refused(path, "is a pipe or a device; name a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > LARGEST else file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _refused(path, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(path, f"cannot be read: {reason}") from None
    if size > LARGEST or len(data) > LARGEST:
        raise _refused(path, f"is larger than {LARGEST // 1_000_000} MB")
    return data


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        SpecError: it is not UTF-8, or empty.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        message = f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"
        raise SpecError((fault(file, (line, column), message),)) from None
    if not text.strip():
        raise SpecError((Fault(file=printable(file), message="is empty"),))
    return text


def parse(text: str, file: str) -> Document:
    """The one YAML document in `text`.

    Raises:
        SpecError: with one fault, the first found: it is not YAML, holds nothing or several documents, uses an
            anchor, alias, merge key or tag, or is too deep or too large.
    """
    loader = None
    try:
        loader = _LOADER(text)
        return _Reader(iter(loader.get_event, None), file).document()
    except yaml.YAMLError as error:
        raise SpecError((_syntax(error, text, file),)) from None
    except ValueError as error:  # the pure parser passes on what chr() and int() say of wild escapes
        raise SpecError((Fault(file=printable(file), message=f"is not valid YAML: {error}"),)) from None
    finally:
        if loader is not None:
            loader.dispose()


def fault(file: str, place: Place, message: str, key: str = "") -> Fault:
    """A fault at a place."""
    return Fault(file=printable(file), line=place[0], column=place[1], key=key, message=message)


def key_path(loc: Loc) -> str:
    """`models[1].regions`."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += ("." if path else "") + (step if _WORD.fullmatch(step) else quoted(step))
    return path


class _Reader:
    """Builds the tree from the parser's events, and lets in only what cannot make a small file grow."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events = events
        self._file = file
        self._left = MOST
        self._twice: list[tuple[Block, str, Place]] = []

    def document(self) -> Document:
        next(self._events)
        if not isinstance(next(self._events), DocumentStartEvent):
            raise SpecError(
                (Fault(file=printable(self._file), message="is empty: it holds nothing but comments"),)
            )
        first = next(self._events)
        tree = self._value(first, 1)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise self._error(after, "a second YAML document begins here; one file holds one")
        if tree is None:
            raise SpecError((Fault(file=printable(self._file), message="is empty"),))
        return Document(file=self._file, tree=tree, at=_place(first), faults=tuple(self._repetitions(tree)))

    def _value(self, event: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or event.anchor is not None or event.tag is not None:
            raise self._unwanted(event)
        if isinstance(event, ScalarEvent):
            if event.style:
                return event.value
            return None if event.value in _NULLS else Plain(event.value)
        self._left -= 1
        if depth > DEEPEST:
            raise self._error(event, f"nested deeper than {DEEPEST} levels")
        return self._items(depth + 1) if isinstance(event, SequenceStartEvent) else self._block(depth + 1)

    def _items(self, depth: int) -> Items:
        items = Items()
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._value(event, depth))
            items.at.append(_place(event))
        return items

    def _block(self, depth: int) -> Block:
        block = Block()
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            key, value = self._key(event), next(self._events)
            content = self._value(value, depth)
            if key in block:
                self._twice.append((block, key, _place(event)))
            else:
                block[key] = content
                block.at[key] = (_place(event), _place(value))
        return block

    def _key(self, event: Any) -> str:
        self._left -= 1
        if self._left < 0 or event.anchor is not None or event.tag is not None:
            raise self._unwanted(event)
        if not isinstance(event, ScalarEvent):
            raise self._error(event, "a key must be a word, not a list or a mapping")
        if event.value == "<<" and not event.style:
            raise self._error(event, "the merge key << is not allowed; write the keys out")
        return str(event.value)

    def _unwanted(self, event: Any) -> SpecError:
        if isinstance(event, AliasEvent):
            return self._error(
                event, f"the alias *{printable(str(event.anchor))} is not allowed; write its value out"
            )
        if event.anchor is not None:
            return self._error(event, f"the anchor &{printable(event.anchor)} is not allowed; write values out")
        if event.tag is not None:
            tag = printable(event.tag).replace("tag:yaml.org,2002:", "!!")
            return self._error(event, f"the tag {tag} is not allowed; write the value alone")
        return self._error(event, f"more than {MOST:,} keys and values; many questions belong in a CSV file")

    def _repetitions(self, tree: Any) -> Iterator[Fault]:
        """The keys that were given twice. Their paths are looked up only now: most files have none."""
        if not self._twice:
            return
        locs = {id(node): loc for loc, node in _walk(tree, ())}
        for block, key, place in self._twice:
            message = f"is given twice, here and on line {block.at[key][0][0]}"
            yield fault(self._file, place, message, key_path((*locs.get(id(block), ()), key)))

    def _error(self, event: Any, message: str) -> SpecError:
        return SpecError((fault(self._file, _place(event), message),))


def _walk(node: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    yield loc, node
    if isinstance(node, Block):
        for key, value in node.items():
            yield from _walk(value, (*loc, key))
    elif isinstance(node, Items):
        for index, item in enumerate(node):
            yield from _walk(item, (*loc, index))


def _place(event: Any) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


def _refused(path: Path, message: str) -> SpecError:
    return SpecError((Fault(file=printable(str(path)), message=message),))


_HINTS = (
    ("mapping values are not allowed", "look at the indentation; a text that holds ': ' needs quotes"),
    ("a tab character", "indent with spaces, not with tabs"),
    ("found character '\\t'", "indent with spaces, not with tabs"),
    (
        "found character that cannot start",
        "indent with spaces, not tabs; a text that begins with @, ` or % needs quotes",
    ),
    ("unexpected end of stream", "a quote is opened and never closed"),
    (
        "did not find expected ',' or",
        "a bracket is not closed, a comma is missing, or a text with braces needs quotes",
    ),
    ("expected ',' or", "a bracket is not closed, a comma is missing, or a text with braces needs quotes"),
    ("did not find expected key", "look at the indentation and the quotes here and on the line above"),
    ("did not find expected '-' indicator", "look at the indentation here and on the line above"),
    ("could not find expected ':'", "a key is not followed by a colon"),
    ("expected <block end>", "look at the indentation and the quotes here and on the line above"),
)


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Fault:
    """The parser's own error with its place, and with what usually is behind it."""
    if isinstance(error, yaml.MarkedYAMLError):
        problem = error.problem or error.context or "unknown problem"
        hint = next((f": {hint}" for words, hint in _HINTS if words in problem), "")
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML ({printable(problem)}){hint}"
        if mark is not None:
            return fault(file, (mark.line + 1, mark.column + 1), message)
        return Fault(file=printable(file), message=message)
    for line, content in enumerate(text.split("\n"), 1):
        for column, char in enumerate(content, 1):
            if not char.isprintable() and not _may_stand(char):
                return fault(file, (line, column), f"the character {quoted(char)} may not stand in a YAML file")
    return Fault(file=printable(file), message=f"is not valid YAML: {printable(str(error))}")


def _may_stand(char: str) -> bool:
    return char in "\t\r\x85" or ("\xa0" <= char <= "\ufffd") or char >= "\U00010000"
