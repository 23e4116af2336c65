"""All settings of one deployment, and the hash by which tables remember what they were computed with.

Belongs here: the groups together, contradictions between them, a replay. Does not belong here: a single setting
(``computing.py``, ``operating.py``, ``connecting.py``), reading files and the environment (``loading.py``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from setbull_pipelines.settings.computing import (
    AggregationSettings,
    BandWidthSettings,
    FilterSettings,
    GroupSettings,
    IndicatorSettings,
    LookBackSettings,
    SampleSettings,
    SequenceSettings,
)
from setbull_pipelines.settings.connecting import (
    AlertSettings,
    ApiSettings,
    InputSettings,
    LiveSettings,
    UpstoxSettings,
)
from setbull_pipelines.settings.declaring import require
from setbull_pipelines.settings.operating import (
    CalendarSettings,
    ProcessingSettings,
    QualitySettings,
    ReconciliationSettings,
    RefreshSettings,
    ReportSettings,
    RolloutSettings,
    RunSettings,
    StorageSettings,
)


@dataclass(frozen=True)
class Replay:
    """The tables as they were known at a moment, in a data folder of their own."""

    as_of: datetime
    """With time zone; what arrived later does not count."""
    landing: Path
    """Where the data folder that is replayed keeps what it has taken in."""


@dataclass(frozen=True)
class Settings:
    """All settings of one deployment. A plain dataclass: its groups have checked their values themselves."""

    data_directory: Path = Path("data")
    input: str | None = None
    """File or folder with candles; None is the generated sample."""
    replay: Replay | None = None
    """None: everything that has arrived counts. Set by ``setbull run --as-of``, never in a file of settings."""
    reading: InputSettings = field(default_factory=InputSettings)
    """The table ``[input]`` of the settings file, and options of the command line."""
    aggregation: AggregationSettings = field(default_factory=AggregationSettings)
    indicators: IndicatorSettings = field(default_factory=IndicatorSettings)
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    filters: FilterSettings = field(default_factory=FilterSettings)
    bb_width: BandWidthSettings = field(default_factory=BandWidthSettings)
    look_back: LookBackSettings = field(default_factory=LookBackSettings)
    reconciliation: ReconciliationSettings = field(default_factory=ReconciliationSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    calendar: CalendarSettings = field(default_factory=CalendarSettings)
    refresh: RefreshSettings = field(default_factory=RefreshSettings)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    processing: ProcessingSettings = field(default_factory=ProcessingSettings)
    runs: RunSettings = field(default_factory=RunSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    upstox: UpstoxSettings = field(default_factory=UpstoxSettings)
    groups: GroupSettings = field(default_factory=GroupSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)


_READING = "reading"
READING_TABLE = "input"
"""The table of the settings file. As a field of the settings its word is the place of the candles."""


def groups_of(settings: Settings) -> dict[str, Any]:
    """Every group by its name in the settings file."""
    return {
        READING_TABLE if item.name == _READING else item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if dataclasses.is_dataclass(getattr(settings, item.name)) and item.name != "replay"
    }


def with_groups(settings: Settings, groups: dict[str, Any]) -> Settings:
    """The settings with these groups, by their names in the settings file.

    Raises InvalidSettings for settings of different groups that each are possible and together are not.
    """
    changed = dataclasses.replace(
        settings,
        **{_READING if name == READING_TABLE else name: made for name, made in groups.items()},
    )
    _refuse_contradictions(changed)
    return changed


def _refuse_contradictions(settings: Settings) -> None:
    moves = settings.look_back.sessions_moves
    for name, needed in (
        ("sequences.look_back_days", settings.sequences.look_back_days),
        ("filters.volume_days", settings.filters.volume_days),
    ):
        require(
            needed <= moves,
            name,
            needed,
            f"at most look_back.sessions_moves ({moves}), which are read",
        )
    length = settings.filters.minimum_sequence_length
    days = settings.sequences.look_back_days
    expected = f"at most sequences.look_back_days ({days})"
    require(length <= days, "filters.minimum_sequence_length", length, expected)
    shortest = settings.sequences.pattern_minimum_length
    require(shortest <= days, "sequences.pattern_minimum_length", shortest, expected)
    bar = settings.aggregation.bar_minutes
    for name in ("first_entry_bar", "second_entry_bar"):
        start = getattr(settings.groups, name)
        since_open = int(start[:2]) * 60 + int(start[3:]) - (9 * 60 + 15)
        expected = f"the start of a bar of {bar} minutes that counts from 09:15"
        require(since_open >= 0 and since_open % bar == 0, f"groups.{name}", start, expected)


def replaying(settings: Settings, replay: Replay, data_directory: Path) -> Settings:
    """The settings of a replay in a data folder of its own. It tells nobody: its alerts are of the past, and its
    tables are not those that machines share."""
    return dataclasses.replace(
        settings,
        data_directory=data_directory,
        replay=replay,
        alerts=dataclasses.replace(settings.alerts, channels=()),
        live=dataclasses.replace(settings.live, receivers=(), on_candle_close=""),
        storage=dataclasses.replace(settings.storage, remote=""),
    )


def fingerprint(*groups: Any) -> str:
    """A short stable hash of settings groups, recorded with every table computed from them."""
    text = json.dumps([dataclasses.asdict(group) for group in groups], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
