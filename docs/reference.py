"""Writes docs/cli.md from what the commands themselves say of their arguments and options.

    python docs/reference.py

Reads the declarations and not the rendered help, so that the page depends on no terminal, width or colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from beacon_cli.cli import application

PAGE = Path(__file__).with_name("cli.md")

_HEAD = """\
# The command line

Made by `python docs/reference.py` from the commands' own declarations: change those, not this page.

`beacon COMMAND --help` says the same in the terminal. Progress goes to stderr, and what a command gives to stdout.
What the exit codes mean is in [results.md](results.md#exit-codes).
"""
_FOOT = """\
## A script of failures

`beacon emulator --script FILE` makes things go wrong on purpose, so that a job's retries, breaker and time limits
can be watched. The file is JSON: a list of rules, of which the first that matches a call decides over it.

```json
{"rules": [{"effect": "unreachable", "region": "asia"},
           {"effect": "model_error", "model": "mistral*", "attempts": [1, 2]},
           {"effect": "hang", "question": "*Taiwan*", "probability": 0.2, "stubborn": true}]}
```

| effect | what goes wrong |
|---|---|
| `unreachable` | the call is refused: no connection |
| `throttled` | the call is refused: too many requests; come back after `amount` seconds, if given |
| `platform` | the provider fails the call with an internal error, and its container dies |
| `model_error` | the function answers `status: error` with `message` |
| `raises` | the remote code raises the built-in exception that `value` names, with `message` |
| `hang` | no answer ever comes |
| `slow` | the answer takes `amount` seconds longer |
| `bad_answer` | the function returns `value` as it stands |
| `huge` | the answer is `amount` bytes long |
| `preempted` | the container is taken away after `amount` seconds, and the call starts again in another |

A rule matches by `region`, `model` and `question` (the text as the app gets it), shell-style with `*`, `?` and
`[ab]`; by `attempts` and `calls`, each a first and a last number, counted from 1; and it hits the share
`probability` of what matches. What is left out matches everything. A `stubborn` call ignores a gentle
cancellation.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(application())
    lines = [_HEAD, *_section("beacon COMMAND", group)]
    for name, command in _commands(group):
        lines += _section(" ".join(["beacon", name, *_arguments(command)]), command)
    return "\n".join([*lines, _FOOT])


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of a group of their own behind the group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def _section(title: str, command: Any) -> Iterator[str]:
    yield from (f"## {title}", "", command.help, "")
    rows = [_row(parameter) for parameter in command.params if not parameter.hidden]
    if rows:
        yield from ("| what | meaning | default |", "|---|---|---|", *rows, "")


def _arguments(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield parameter.metavar if parameter.required else f"[{parameter.metavar}]"


def _row(parameter: Any) -> str:
    return f"| `{_form(parameter)}` | {parameter.help}{_range(parameter)} | {_default(parameter)} |"


def _form(parameter: Any) -> str:
    """How it is written: `JOB`, `--quiet`, `--region REGION`."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = "`, `".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar}"


def _range(parameter: Any) -> str:
    kind = getattr(parameter, "type", parameter)  # older versions of Typer keep the bounds in the type
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f" From {least} to {most}."
    return "" if least is None else f" At least {least}."


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value in (None, "") or isinstance(value, bool) or not parameter.show_default else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
