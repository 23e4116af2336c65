"""Files of corporate actions and aliases beside a file of candles: writing them, and taking them in.

Belongs here: what tests of their rules and of their layouts share. Does not belong here: assertions about single rows.
"""

from __future__ import annotations

from pathlib import Path

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in
from setbull_pipelines.tables import CORPORATE_ACTIONS, INSTRUMENT_ALIASES, INTAKE, QUARANTINE
from setbull_pipelines_tests.moments import LATER

CANDLES = (
    "instrument_key,timestamp,open,high,low,close,volume\n"
    "NSE_EQ|INE066A01021,2020-08-24,2199.45,2199.45,2199.45,2199.45,1\n"
)


def with_candles(folder: Path) -> Path:
    """A new folder with a day of the share whose actions are told."""
    folder.mkdir()
    (folder / "candles.csv").write_text(CANDLES)
    return folder


def write(path: Path, header: str, *rows: str) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")


def take(folder: Path) -> Intake:
    """What is taken in of a folder; each row is either kept or told of."""
    taken = take_in(folder, folder.parent / "landing", SampleSettings(), LATER)
    CORPORATE_ACTIONS.schema.validate(taken.corporate_actions)
    INSTRUMENT_ALIASES.schema.validate(taken.instrument_aliases)
    QUARANTINE.schema.validate(taken.unassigned)
    INTAKE.schema.validate(taken.files)
    assert (taken.files["received"] == taken.files["assigned"] + taken.files["unassigned"]).all()
    assert taken.files["unassigned"].sum() == len(taken.unassigned)
    return taken
