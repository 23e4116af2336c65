"""Ctrl-C and SIGTERM end a run with one sentence; nobody is alerted, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import dagster as dg
import pytest

from setbull_pipelines.cli.home import prepare_dagster_home
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.processes import SETBULL

pytestmark = pytest.mark.run

BARS = [f"NSE_EQ|{key},2025-06-0{day},100,101,99,100,10" for key in "AB" for day in (2, 3)]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_a_sentence_and_goes_on(
    sign: signal.Signals, data_directory: Path, tmp_path: Path
) -> None:
    candles = tmp_path / "candles.csv"
    candles.write_text(
        "\n".join(["instrument_key,timestamp,open,high,low,close,volume", *BARS]) + "\n"
    )
    command = [*SETBULL, "run", "--input", str(candles)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        stored = data_directory / "warehouse" / "raw" / "candles_daily_history"
        deadline = time.monotonic() + PATIENCE
        while not list(stored.glob("*.parquet")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # The run has begun, and most of it is to come.
        process.send_signal(sign)
        printed, told = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert told == "error: interrupted; what was published is whole, and the same command goes on\n"
    assert "alert" not in printed
    prepare_dagster_home(data_directory)
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]

    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "alerts: 0 open" in again.stdout
    assert os.listdir(data_directory / "reports")
