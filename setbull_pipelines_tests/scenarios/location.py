"""The code location of the scenarios: the project's own definitions, a V2 that can be broken, and a clock.

Belongs here: faults of V2 by day, read from a file, and a sensor that asks for the next session. Does not belong
here: anything that the project's own definitions should have.
"""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pandas as pd

from setbull_pipelines.assets import variants
from setbull_pipelines.assets.common import DAILY_JOB_NAME
from setbull_pipelines.settings import load_settings
from setbull_pipelines.variants import V2

SCRIPT = Path(os.environ["SETBULL_DATA_DIR"]) / "script.json"
"""``{"sessions": [days to run, in order], "crash": {day: instrument}, "sample deviation": [days]}``."""
_SAMPLE_OVER_POPULATION = math.sqrt(20 / 19)


def _script() -> dict:
    return json.loads(SCRIPT.read_text())


def _to_5min(minutes: pd.DataFrame, settings) -> pd.DataFrame:
    for day, key in _script()["crash"].items():
        if (
            (minutes["trading_day"] == pd.Timestamp(day)) & (minutes["instrument_key"] == key)
        ).any():
            raise FloatingPointError("no bar comes of this")
    return V2.to_5min(minutes, settings)


def _indicators(
    candles: pd.DataFrame, timeframe: str, starts, settings, since: pd.Timestamp, **others: object
) -> pd.DataFrame:
    computed = V2.indicators(candles, timeframe, starts, settings, since, **others)
    wrong = computed["trading_day"].isin(pd.to_datetime(_script()["sample deviation"]))
    for name in ("bb_upper", "bb_lower"):
        from_middle = (computed[name] - computed["bb_middle"]) * _SAMPLE_OVER_POPULATION
        computed[name] = computed[name].where(~wrong, computed["bb_middle"] + from_middle)
    for name in ("bb_width", "bb_width_normalized", "bb_width_normalized_percentage"):
        if name in computed:
            computed[name] = computed[name].where(~wrong, computed[name] * _SAMPLE_OVER_POPULATION)
    return computed


_good = {name: getattr(V2, name) for name in V2.__all__}
variants.VARIANTS["v2"] = SimpleNamespace(
    **_good | {"to_5min": _to_5min, "indicators": _indicators}
)

from setbull_pipelines.assets import partitions  # noqa: E402
from setbull_pipelines.definitions import build_defs  # noqa: E402

# The story goes on after the last session of the sample, with a day that nobody has data of.
partitions.last_session = lambda settings: None


@dg.sensor(
    job_name=DAILY_JOB_NAME,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def clock():
    """Asks for each session of the script once; the queue runs them one after the other."""
    return [dg.RunRequest(run_key=day, partition_key=day) for day in _script()["sessions"]]


defs = dg.Definitions.merge(build_defs(load_settings()), dg.Definitions(sensors=[clock]))
