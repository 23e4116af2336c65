"""How commands end with an error: its sentence, its exit code, and whether a file cannot be read or work failed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import click
import pytest
from click.testing import CliRunner

import setbull_pipelines
from setbull_pipelines.cli.commands import self_test
from setbull_pipelines.cli.ending import asking, working
from setbull_pipelines.cli.importing import Miscounted
from setbull_pipelines.cli.main import main
from setbull_pipelines.cli.run import RunFailed
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.sources.found_files import NoInput
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
    StoreUnavailable,
)

SENTENCE = "found this, expected that"


@pytest.mark.parametrize(
    ("around", "error", "code"),
    [
        (nullcontext, InvalidSettings, 2),
        (nullcontext, NoInput, 2),
        (nullcontext, StoreUnavailable, 2),
        (nullcontext, DamagedPartition, 1),
        (nullcontext, RunFailed, 1),
        (nullcontext, Miscounted, 1),
        (nullcontext, KeyboardInterrupt, 130),
        (asking, DamagedPartition, 2),
        (asking, MissingPartition, 2),
        (asking, ContractViolation, 2),
        (asking, OSError, 2),
        (asking, Miscounted, 1),
        (working, DamagedPartition, 1),
        (working, ContractViolation, 1),
        (working, OSError, 1),
    ],
)
def test_an_error_ends_a_command_with_its_sentence_and_code(
    around: Callable[[], AbstractContextManager[None]],
    error: type[BaseException],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        with around():
            raise error(SENTENCE)

    monkeypatch.setattr(self_test, "settings_in_force", fail)
    ended = CliRunner().invoke(main, ["self-test"])
    assert ended.exit_code == code
    if error is not KeyboardInterrupt:
        assert ended.stderr == f"error: {SENTENCE}\n"
    assert ended.stdout == ""


def test_the_family_has_two_exit_codes() -> None:
    for module in pkgutil.walk_packages(setbull_pipelines.__path__, "setbull_pipelines."):
        if not module.name.endswith((".cluster", ".definitions", ".main")):
            importlib.import_module(module.name)
    family = [SetbullError]
    for each in family:
        family += [below for below in each.__subclasses__() if below not in family]
    assert len(family) > 20
    assert {each.__name__ for each in family if each.exit_code == 1} == {
        "DamagedPartition",
        "LogLost",  # the rollout log, a damaged partition
        "Miscounted",
        "RunFailed",
    }
    assert {each.exit_code for each in family} == {1, 2}


def test_every_verb_says_what_it_does() -> None:
    verbs = dict(main.commands)
    for group in [verb for verb in verbs.values() if isinstance(verb, click.Group)]:
        verbs |= {f"{group.name} {name}": verb for name, verb in group.commands.items()}
    assert len(verbs) > 30
    assert not [name for name, verb in verbs.items() if not verb.help]
