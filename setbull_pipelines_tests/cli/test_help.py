"""What ``--help`` says of every command, in a window of 80 columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.home import PROJECT
from setbull_pipelines.cli.main import main
from setbull_pipelines.errors import FAILED, INTERRUPTED, PROGRAM_FAULT, UNUSABLE

COLUMNS = 80


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def help_of(*path: str) -> str:
    arguments = [*path, "--help"]
    result = CliRunner().invoke(main, arguments, prog_name="setbull", terminal_width=COLUMNS)
    assert result.exit_code == 0, result.output
    return result.output


def examples_in(text: str) -> list[str]:
    lines = text.split("Options:")[0].splitlines()
    return [line.strip() for line in lines if line.startswith("  setbull ")]


@pytest.mark.parametrize("path", [(), *commands(main)], ids=" ".join)
def test_every_command_is_told_whole_with_an_example_that_can_be_typed(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    text = help_of(*path)
    listed = text.partition("Commands:")[2].splitlines()
    assert not [line for line in listed if line.endswith("...")], "cut"
    assert not [line for line in listed if line.startswith(" " * 10)], "broken into lines"
    examples = examples_in(text)
    assert examples, text
    for example in examples:
        assert example.startswith(" ".join(["setbull", *path])) or not path
        command, arguments = main, shlex.split(re.split(r" [>|] ", example)[0])[1:]
        while isinstance(command, click.Group) and arguments[0] in command.commands:
            command, arguments = command.commands[arguments[0]], arguments[1:]
        if not isinstance(command, click.Group):
            command.make_context(example, arguments)  # raises for what no option accepts


def test_exit_codes_are_in_the_help_and_in_the_documents() -> None:
    document = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    for code in (0, FAILED, UNUSABLE, PROGRAM_FAULT, INTERRUPTED):
        assert re.search(rf"^ +{code}  \w", help_of(), re.MULTILINE)
        assert f"\n| {code} | " in document


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ro", {"rollout"}),
        ("run --as", {"--as-of"}),
        ("alerts m", {"mute"}),
        ("sql --format ", {"table", "csv", "json", "parquet"}),
    ],
)
def test_the_shells_of_the_document_complete_what_is_typed(typed: str, offered: set[str]) -> None:
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    (variable,) = re.findall(r"(\w+)=bash_source setbull", text)
    shells = re.findall(r"(\w+)_source\b", text)
    assert {*shells} == {"bash", "zsh", "fish"}
    words = typed.split(" ")
    asked = {"COMP_WORDS": f"setbull {typed}", "COMP_CWORD": str(len(words))}
    told = CliRunner().invoke(
        main, [], prog_name="setbull", env=asked | {variable: "bash_complete"}
    )
    assert {line.partition(",")[2] for line in told.output.splitlines()} == offered
    for shell in shells:
        script = CliRunner().invoke(
            main, [], prog_name="setbull", env={variable: f"{shell}_source"}
        )
        assert f"{shell}_complete" in script.output
