"""``--json`` and ``--quiet``: what programs get, by the keys that the document lists."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import variants
from setbull_pipelines.cli.json_answers import as_text, of_run
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines_tests.documents import documented_keys as documented
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
DAY = "2025-06-03"


def setbull(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def candles(tmp_path: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minutes of two shares on one day, and a run whose events are kept in memory."""
    monkeypatch.setattr(dg.DagsterInstance, "get", dg.DagsterInstance.ephemeral)
    rows = [
        f"NSE_EQ|{isin},{DAY}T09:{15 + minute}:00+05:30,100,101,99,100,1000"
        for isin in ("INE002A01018", "INE467B01029")
        for minute in range(30)
    ]
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_the_answer_of_a_run_has_the_documented_keys(small_run: SmallRun) -> None:
    answer = json.loads(as_text(of_run(small_run.outcome)))
    assert list(answer) == documented("`setbull run --json`")
    days = [day.isoformat() for day in small_run.days]
    assert answer["sessions"] == days == list(answer["verdicts"])
    assert [sum(counts.values()) for counts in answer["verdicts"].values()] == [12, 12]
    assert answer["reconciliation"] == {"pass": 22, "diverged": 0, "not comparable": 0}
    checks = answer["checks"]
    assert checks["passed"] + len(checks["warned"]) == len(small_run.outcome.checks)
    for check in checks["warned"]:
        assert list(check) == documented("each of `warned`, `failed`")
    assert answer["report"] == str(report_path(small_run.settings, small_run.days[-1]))
    assert answer["overview"] == str(overview_path(small_run.settings))
    assert (answer["exit_code"], checks["failed"]) == (0, [])


def test_a_run_prints_nothing_but_the_object_and_tells_the_rest_aside(candles: Path) -> None:
    result = setbull("run", "--json", "--input", candles)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["sessions"], answer["input"]) == ([DAY], str(candles))
    assert "reading the input" in result.stderr
    plain = setbull("run", "--input", candles)
    assert "V1 against V2" in plain.stdout
    assert "V1 against V2" not in plain.stderr


def test_a_quiet_run_prints_nothing_unless_something_is_wrong(
    candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = setbull("run", "--quiet", "--input", candles)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    compute = variants.v2.to_5min

    def wrong(*arguments: object, **named: object) -> object:
        bars = compute(*arguments, **named)
        return bars.assign(close=bars["close"] + 0.05, high=bars["high"] + 0.05)

    monkeypatch.setattr(variants.v2, "to_5min", wrong)
    setbull("invalidate", "NSE_EQ|INE002A01018")
    wrong_run = setbull("run", "--quiet", "--json", "--input", candles)
    assert wrong_run.exit_code == 1, wrong_run.output
    answer = json.loads(wrong_run.stdout)
    assert answer["exit_code"] == 1
    assert answer["reconciliation"]["diverged"] > 0
    failed = answer["checks"]["failed"]
    assert list(failed[0]) == documented("each of `warned`, `failed`")
    *told, last = wrong_run.stderr.splitlines()
    assert last == f"error: {len(failed)} checks failed"
    assert [line.partition(":")[0] for line in told] == [
        f"{check['asset']} {check['check']}" for check in failed
    ]


@pytest.mark.usefixtures("data_directory")
def test_the_rollout_and_the_alerts_have_the_documented_keys(small_run: SmallRun) -> None:
    os.environ["SETBULL_DATA_DIR"] = str(small_run.settings.data_directory)
    status = json.loads(setbull("rollout", "status", "--json").stdout)
    assert list(status) == documented("`setbull rollout status --json`")
    assert [row["component"] for row in status["components"]] == [
        "aggregation",
        "indicators",
        "sequences",
    ]
    for row in status["components"]:
        assert list(row) == documented("each of `components`")
    for row in status["served"]:
        assert list(row) == documented("each of `served`")
        assert (row["day"], row["instruments"]) == (str(small_run.days[-1]), 12)
    listed = json.loads(setbull("alerts", "list", "--json").stdout)
    assert list(listed) == documented("`setbull alerts list --json`")
    assert listed == {"open": 0, "total": 0, "alerts": [], "mutes": []}


def test_alerts_are_listed_with_the_documented_keys(candles: Path) -> None:
    broken = candles.with_name("broken.csv")
    broken.write_text(
        candles.read_text() + f"NSE_EQ|INE002A01018,{DAY}T12:00:00+05:30,100,90,99,100,5\n"
    )
    setbull("run", "--input", broken)
    listed = json.loads(setbull("alerts", "list", "--json", "--rows", "1").stdout)
    assert listed["total"] >= 1
    (alert,) = listed["alerts"]
    assert list(alert) == documented("each of `alerts` of the list")
    assert alert["first_seen"].endswith(("+05:30", "+00:00"))
    assert (alert["muted_until"], alert["acknowledged_by"]) == (None, None)

    number, name, why = str(alert["number"]), "A. Operator", "known"
    day = "2126-07-01"
    acts = [("acknowledge", number, "--by", name), ("mute", number, "--until", day, "--by", name)]
    for act in (acts[0], (*acts[1], "--reason", why)):
        result = setbull("alerts", *act)
        assert result.exit_code == 0, result.output
    listed = json.loads(setbull("alerts", "list", "--json").stdout)
    (muted,) = (row for row in listed["alerts"] if row["number"] == alert["number"])
    assert muted["muted_until"] == f"{day}T00:00:00+05:30"
    assert muted["acknowledged_by"] == name
    (mute,) = listed["mutes"]
    assert list(mute) == documented("each of `mutes`")
    assert (mute["name"], mute["by"], mute["reason"]) == (alert["key"], name, why)
