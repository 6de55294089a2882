"""The command line builds the command that is called, and no other."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
import typer
import typer.main

from beacon_cli import cli


def named(app: typer.Typer) -> list[str]:
    """The commands and groups of an application."""
    return list(getattr(typer.main.get_command(app), "commands", {}))


@pytest.mark.parametrize("file", cli.FILES)
def test_the_table_says_which_commands_a_file_has(file: str) -> None:
    """Whatever a file registers is in the table under its name, and nothing else is."""
    app = typer.Typer(callback=lambda: None)
    import_module(f"beacon_cli.cli.{file}").register(app)
    assert sorted(named(app)) == sorted(cli.FILES[file])


@pytest.mark.parametrize("command", [each for commands in cli.FILES.values() for each in commands])
def test_a_command_that_is_called_is_the_only_one_built(command: str) -> None:
    """Its name decides, whichever options stand before it."""
    assert named(cli.application([command])) == [command]
    assert named(cli.application(["--debug", command, "--json"])) == [command]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["rnu"], ["--version"], ["-"]])
def test_what_names_no_command_is_answered_with_all(arguments: list[str]) -> None:
    """Help, a slip of the pen and a shell's completion see every command."""
    assert sorted(named(cli.application(arguments))) == sorted(
        each for commands in cli.FILES.values() for each in commands
    )


@pytest.mark.parametrize("command", [each for commands in cli.FILES.values() for each in commands])
def test_no_help_is_lost_as_markup(command: str) -> None:
    """Typer has Rich read help texts, which swallows `[extra]`: none of them has what Rich takes for a tag."""
    built = typer.main.get_command(cli.application([command]))
    waiting, texts = [built], []
    while waiting:
        each = waiting.pop()
        waiting.extend(getattr(each, "commands", {}).values())
        texts += [each.help or "", *(getattr(option, "help", None) or "" for option in each.params)]
    assert any(texts)
    assert [text for text in texts if re.search(r"\[[a-z#/@]", text)] == []
