"""``setbull alerts`` and the alerts of ``setbull run``, as a user meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import variants
from setbull_pipelines.alerts.finding import Says, Severity
from setbull_pipelines.cli import alerts as work
from setbull_pipelines.cli.main import main
from setbull_pipelines.cli.run import RunFailed, Runner
from setbull_pipelines.pipeline import engine
from setbull_pipelines.pipeline.alert_delivery import ALERTS, read_ledger, record_findings
from setbull_pipelines.pipeline.rollout_log import read_log
from setbull_pipelines.pipeline.stage_decisions import states
from setbull_pipelines.rollout.stages import Stage
from setbull_pipelines.settings import AlertSettings
from setbull_pipelines.warehouse.pointers import WHOLE
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests import stored as faults
from setbull_pipelines_tests.alerts.findings import at, finding
from setbull_pipelines_tests.cli.conftest import QUICK
from setbull_pipelines_tests.pipeline.receivers import (
    SECRETS,
    Webhook,
    http_receiver,
)
from setbull_pipelines_tests.ports import free_port

pytestmark = pytest.mark.run

HEADER = "instrument_key,timestamp,open,high,low,close,volume"


def setbull(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch, data_directory: Path) -> Iterator[Webhook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http_receiver() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        yield receiver


@pytest.fixture
def settings_file(data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(QUICK + '[alerts]\nchannels = ["log", "HOOK"]\n', encoding="utf-8")
    monkeypatch.setenv("SETBULL_SETTINGS", str(path))
    return path


@pytest.fixture
def warehouse(data_directory: Path) -> Warehouse:
    return Warehouse(data_directory / "warehouse")


def raised(warehouse: Warehouse, *findings) -> None:
    settings = AlertSettings(channels=("log", "HOOK"))
    record_findings(findings, warehouse, settings, lambda: at(0))


def test_without_alerts_the_list_says_so_and_writes_nothing(data_directory: Path) -> None:
    result = setbull("alerts", "list")
    assert (result.exit_code, result.stdout) == (0, "0 open of 0 alerts\n")
    assert not data_directory.exists()


def test_the_list_has_open_alerts_first_with_their_age(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised(warehouse, finding(0, key="check a"), finding(2, Says.WELL, key="check a"))
    raised(warehouse, finding(0, key="check b", severity=Severity.WARNING))
    raised(warehouse, finding(0, key="check c"), finding(0.1, key="check c"))
    raised(warehouse, finding(0, Says.CHANGED, key="news", severity=Severity.INFO))
    monkeypatch.setattr(work, "now", lambda: at(3))
    result = setbull("alerts", "list")
    headlines = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert headlines == [
        "3 open for 3 h, error, seen 2 times: check c fails",
        "2 open for 3 h, warning: check b fails",
        "4 noted 3 h ago, info: news fails",
        "1 recovered after 2 h, error: check a fails",
        "2 open of 4 alerts",
    ]
    assert "  seen at 0.1" in result.stdout
    assert "and 3 more in operations.alerts" in setbull("alerts", "list", "--rows", "1").stdout


BY = ("--by", "A. Operator")


def test_what_people_did_is_listed_and_asked_for_by_sql(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = at(3)
    monkeypatch.setattr(work, "now", lambda: moment)
    raised(warehouse, finding(0, key="check v2/candles_5min bars 2026-06-30"))
    raised(warehouse, finding(0, key="check b", severity=Severity.WARNING, asset=None))
    raised(warehouse, finding(0, key="rollout", severity=Severity.CRITICAL))
    muting = (
        "alerts",
        "mute",
        "v2.candles_5min",
        "--until",
        "2026-07-02",
        *BY,
        "--reason",
        "known",
    )
    result = setbull(*muting)
    told = "table v2/candles_5min: muted until 2026-07-02 by A. Operator: known\n"
    assert (result.exit_code, result.stdout) == (0, told)
    result = setbull("alerts", "acknowledge", "2", *BY)
    assert (result.exit_code, result.stdout) == (
        0,
        "alert 2: acknowledged by A. Operator at 2026-07-01 00:30\n",
    )
    listed = setbull("alerts", "list").stdout.splitlines()
    assert [line for line in listed if not line.startswith("  seen")] == [
        "3 open for 3 h, critical: rollout fails",
        "2 open for 3 h, warning: check b fails",
        "  alert 2: acknowledged by A. Operator at 2026-07-01 00:30",
        "1 open for 3 h, error: check v2/candles_5min bars 2026-06-30 fails",
        f"  {told.strip()}",
        "3 open of 3 alerts",
        told.strip(),
    ]
    asked = setbull("sql", "--format", "csv", "SELECT act, name, actor FROM operations.alert_acts")
    assert asked.stdout.splitlines()[1:] == [
        "muted,v2/candles_5min,A. Operator",
        "acknowledged,check b,A. Operator",
    ]
    moment = at(24 + 3)  # 00:30 of the second of July at the exchange
    assert "muted" not in setbull("alerts", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mute", "7", "--until", "2126-01-01", "--reason", "x"), "found no alert 7, expected"),
        (("mute", "brs", "--until", "2126-01-01", "--reason", "x"), "found 'brs', expected"),
        (("mute", "1", "--until", "2126-01-01", "--reason", "x"), "alert 1 is critical"),
        (("mute", "1", "--until", "2020-01-01", "--reason", "x"), "lies in the past"),
        (("mute", "1", "--until", "tomorrow", "--reason", "x"), "expected a date YYYY-MM-DD"),
        (("acknowledge", "7"), "found no alert 7, expected"),
    ],
)
def test_an_act_that_cannot_be_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, warehouse: Warehouse
) -> None:
    raised(warehouse, finding(0, severity=Severity.CRITICAL))
    result = setbull("alerts", *arguments, *BY)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert read_ledger(warehouse).acts == ()


@pytest.mark.usefixtures("settings_file")
def test_a_test_says_for_every_channel_whether_it_was_delivered(webhook: Webhook) -> None:
    result = setbull("alerts", "test")
    assert (result.exit_code, result.output) == (0, "log: delivered\nHOOK: delivered\n")
    assert [body["title"] for body in webhook.bodies] == ["setbull: test of the alerts"]


@pytest.mark.usefixtures("settings_file")
def test_a_test_that_fails_says_why_and_exits_with_1(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", Webhook(free_port()).url)
    result = setbull("alerts", "test")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "log: delivered"
    assert "onnection" in result.stdout.splitlines()[1]
    assert result.stderr == "error: 1 of 2 channels did not accept it\n"
    assert not any(secret in result.output for secret in SECRETS)


def test_a_test_without_channels_is_refused(settings_file: Path) -> None:
    settings_file.write_text("[alerts]\nchannels = []\n", encoding="utf-8")
    result = setbull("alerts", "test")
    assert result.exit_code == 2
    assert "alerts.channels" in result.stderr


@pytest.mark.usefixtures("settings_file")
def test_deliver_sends_what_is_due_once(warehouse: Warehouse, webhook: Webhook) -> None:
    raised(warehouse, finding(0))
    webhook.answers = [500]
    result = setbull("alerts", "deliver")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:2] == ["alerts: 1 open - setbull alerts list", "  setbull: check a fails"]
    assert lines[2].startswith("  not delivered to HOOK, will be tried again: ")
    result = setbull("alerts", "deliver")
    assert (result.exit_code, result.stdout) == (0, "alerts: 1 open - setbull alerts list\n")
    assert "HOOK: 1 notices waiting: " in setbull("alerts", "list").stdout


@pytest.mark.usefixtures("settings_file")
def test_damaged_alerts_are_one_sentence(warehouse: Warehouse) -> None:
    raised(warehouse, finding(0))
    faults.damage(warehouse, ALERTS, WHOLE)
    for verb in ("list", "deliver"):
        result = setbull("alerts", verb)
        assert result.exit_code == 2
        assert "is damaged where it tells of operations.alerts" in result.stderr
        assert "Traceback" not in result.output


@pytest.fixture(autouse=True)
def events_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored instance is tested in ``automation/noticing/``."""
    monkeypatch.setattr(dg.DagsterInstance, "get", dg.DagsterInstance.ephemeral)


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    rows = [
        f"NSE_EQ|INE002A01018,2025-06-03T09:{15 + minute}:00+05:30,100,101,99,100.5,{1000 + minute}"
        for minute in range(30)
    ]
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


@pytest.mark.usefixtures("settings_file")
def test_a_wrong_v2_that_is_muted_is_taken_back_all_the_same(
    candles: Path, webhook: Webhook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = variants.v2.to_5min
    for about in ("candles_5min", "v2_agrees_with_v1", "rollout_log"):
        muting = ("alerts", "mute", about, "--until", "2126-01-01", *BY, "--reason", "noise")
        assert setbull(*muting).exit_code == 0

    def forgets_a_share(minutes: pd.DataFrame, *arguments: object) -> pd.DataFrame:
        bars = right(minutes, *arguments)
        return bars.assign(volume=bars["volume"] - 1)

    monkeypatch.setattr(variants.v2, "to_5min", forgets_a_share)
    assert setbull("run", "--input", str(candles)).exit_code == 1
    latched = [row for row in states(read_log(warehouse)).values() if row.latched]
    assert [row.stage for row in latched] == [Stage.OFF]
    found = read_ledger(warehouse)
    assert "check reconciliation/candles_5min v2_agrees_with_v1 2025-06-03" in {
        alert.key for alert in found.open
    }
    (body,) = webhook.bodies
    (critical,) = (alert for alert in found.open if alert.severity is Severity.CRITICAL)
    assert (critical.kind, critical.asset) == ("rollout", "operations/rollout_log")
    assert critical.title in body["message"], "told although its table is muted"
    assert "v2/candles_5min differs from v1" not in body["message"]
    assert critical.title in setbull("alerts", "list").stdout.splitlines()[0]


@pytest.mark.usefixtures("settings_file")
def test_a_wrong_v2_is_told_and_its_repair_too(
    data_directory: Path,
    candles: Path,
    webhook: Webhook,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right, known = variants.v2.to_5min, engine.variant_code_version

    def forgets_a_share(minutes: pd.DataFrame, *arguments: object) -> pd.DataFrame:
        bars = right(minutes, *arguments)
        return bars.assign(volume=bars["volume"] - 1)

    with monkeypatch.context() as wrong:
        wrong.setattr(variants.v2, "to_5min", forgets_a_share)
        wrong.setattr(engine, "variant_code_version", lambda name: f"wrong {known(name)}")
        result = setbull("run", "--input", str(candles))
    assert result.exit_code == 1
    assert "alerts: " in result.stdout
    found = {alert.key: alert for alert in read_ledger(warehouse).open}
    assert not any(key.startswith("stale") for key in found), "the file is history"
    alert = found["check reconciliation/candles_5min v2_agrees_with_v1 2025-06-03"]
    assert alert.title == "v2/candles_5min differs from v1 on 2025-06-03"
    assert "volume" in alert.message
    (body,) = webhook.bodies
    assert alert.title in body["message"]
    assert f"http://127.0.0.1:3000/runs/{alert.run_id}" in body["message"]

    result = setbull("run", "--input", str(candles))
    assert result.exit_code == 0, result.output
    assert "recovered" in result.stdout
    # What stays: warnings about so short a file, and the latch of the rollout.
    still_open = {(one.kind, one.severity.label) for one in read_ledger(warehouse).open}
    assert still_open == {("check", "warning"), ("rollout", "critical")}
    assert "recovered: v2/candles_5min differs from v1 on 2025-06-03" in (
        webhook.bodies[-1]["title"] + webhook.bodies[-1]["message"]
    )


@pytest.mark.usefixtures("settings_file")
def test_a_command_that_fails_outside_its_runs_is_told_until_it_succeeds(
    candles: Path, webhook: Webhook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> None:
        raise RunFailed("the run could not be launched")

    with monkeypatch.context() as broken:
        broken.setattr(Runner, "run", breaks)
        result = setbull("run", "--input", str(candles))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the run could not be launched")
    (alert,) = read_ledger(warehouse).open
    assert (alert.key, alert.title) == ("run setbull run", "the run of setbull run failed")
    assert "the run could not be launched" in webhook.bodies[0]["message"]
    setbull("run", "--input", str(candles))
    assert read_ledger(warehouse).alerts[0].state == "recovered"


@pytest.mark.usefixtures("settings_file")
def test_a_step_that_raises_is_told_once_by_its_run(
    candles: Path, webhook: Webhook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> pd.DataFrame:
        raise MemoryError("the minutes do not fit")

    monkeypatch.setattr(variants.v1, "to_5min", breaks)
    result = setbull("run", "--input", str(candles))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    alerts = [alert for alert in read_ledger(warehouse).open if alert.kind == "run"]
    assert [(alert.key, alert.message) for alert in alerts] == [
        (
            "run daily 2025-06-03",
            "step v1 failed: v1.candles_5min: MemoryError: the minutes do not fit; 3 tables that need it were left out",
        )
    ]


@pytest.mark.usefixtures("settings_file")
def test_alerts_that_cannot_be_kept_do_not_change_the_outcome_of_a_run(
    candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("setbull_pipelines.automation.noticing.look_and_deliver", breaks)
    result = setbull("run", "--input", str(candles))
    assert result.exit_code == 0, result.output
    assert "alerts: not recorded: disk full" in result.stdout
    assert "Traceback" not in result.output
