"""The pages for people: the report of a day, the difference of a diverged one, and the links that lead to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from setbull_pipelines import tables
from setbull_pipelines.assets.daily_report import _place
from setbull_pipelines.assets.reconciliation import _findings
from setbull_pipelines.pipeline.comparing_days import outputs_of, reconcile
from setbull_pipelines.pipeline.daily_reports import report_path
from setbull_pipelines.pipeline.engine import PartitionResult
from setbull_pipelines.pipeline.overview import overview_path
from setbull_pipelines.settings import ApiSettings, Settings
from setbull_pipelines.variants import V2
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.api.answers import sentence
from setbull_pipelines_tests.api.running import serving
from setbull_pipelines_tests.pipeline.small_run import SmallRun

TABLE = tables.INDICATORS_DAILY


def test_the_report_of_a_day_is_a_page_that_loads_nothing(small_run: SmallRun) -> None:
    day = small_run.days[-1]
    with serving(small_run.settings) as client:
        answer = client.get(f"/reports/{day}")
        none = client.get(f"/reports/{day + timedelta(days=4000)}")
        wrong = client.get("/reports/..%2F..%2Fsetbull.toml")
    assert answer.text == report_path(small_run.settings, day).read_text(encoding="utf-8")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert sentence(none, 404).startswith("there is no report of ")
    assert wrong.status_code in (400, 404)


def test_the_page_of_all_sessions_leads_to_the_reports(small_run: SmallRun) -> None:
    day = small_run.days[-1]
    with serving(small_run.settings) as client:
        page = client.get("/reports", follow_redirects=True)
        report = client.get(f"/reports/{day}.html")
        difference = client.get(f"/reports/{TABLE.name}-{day}.html", follow_redirects=False)
        nothing = client.get("/reports/nothing.html")
    assert page.url.path == "/reports/index.html"
    assert page.text == overview_path(small_run.settings).read_text(encoding="utf-8")
    assert f'<a href="{day}.html">' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert report.text == report_path(small_run.settings, day).read_text(encoding="utf-8")
    assert sentence(nothing, 404) == "found 'nothing', expected a day or a table and a day"
    assert difference.headers["location"] == f"/divergence/{TABLE.name}/{day}"


def test_before_the_first_run_there_is_no_page_of_sessions(tmp_path: Path) -> None:
    with serving(Settings(data_directory=tmp_path)) as client:
        assert sentence(client.get("/reports/index.html"), 404) == (
            "there is no page of sessions yet; write it by: setbull run"
        )


def test_the_difference_of_a_diverged_day_is_a_page(copied_run: SmallRun) -> None:
    """V2's EMA 50 is one paisa higher for one instrument on the last day."""
    run, day = copied_run, copied_run.days[-1]
    stored = StoredTable(V2.name, TABLE)
    rows = run.warehouse.read(stored, [day.isoformat()])
    rows.loc[rows["ema_50"].notna().idxmax(), "ema_50"] += 0.01
    pointer = run.warehouse.pointer(stored, day.isoformat())
    run.warehouse.publish(
        stored,
        day.isoformat(),
        rows,
        code_version=pointer.code_version,
        settings_hash=pointer.settings_hash,
        inputs=pointer.inputs,
        run_id="tampered",
    )
    list(reconcile(TABLE, [day], run.warehouse, run.settings, "run"))
    before = run.days[-2]
    with serving(run.settings) as client:
        page = client.get(f"/divergence/{TABLE.name}/{day}")
        agreed = client.get(f"/divergence/{TABLE.name}/{before}")
        never = client.get(f"/divergence/{TABLE.name}/2019-01-01")
        unknown = client.get(f"/divergence/nonsense/{day}")
    assert page.status_code == 200
    assert TABLE.name in page.text
    assert rows["instrument_key"][rows["ema_50"].notna().idxmax()] in page.text
    assert sentence(agreed, 404).endswith("there is no difference to show")
    assert sentence(never, 404) == f"{TABLE.name} was never compared on 2019-01-01"
    assert "expected one of" in sentence(unknown, 404)

    def told(api: ApiSettings) -> dict[str, object]:
        describe = _findings(TABLE, run.warehouse, replace(run.settings, api=api))
        result = PartitionResult(day, {}, cached=False)
        return describe(result, outputs_of(TABLE)[0])

    reached = told(ApiSettings(public_url="https://candles.example"))
    assert reached["divergence page"].value == (
        f"https://candles.example/divergence/{TABLE.name}/{day}"
    )
    assert set(told(ApiSettings())) == {"V1 against V2"}


def test_the_report_is_a_link_where_the_api_is_reachable(small_run: SmallRun) -> None:
    day = small_run.days[-1]
    settings = replace(small_run.settings, api=ApiSettings(public_url="http://127.0.0.1:8000"))
    assert _place(settings, day)["page"].value == f"http://127.0.0.1:8000/reports/{day}"
    path = _place(small_run.settings, day)["path"].value
    assert path == str(report_path(small_run.settings, day))


def test_the_chart_of_a_stock_is_the_page_of_the_command(small_run: SmallRun) -> None:
    row = small_run.warehouse.read(StoredTable("raw", tables.INSTRUMENTS), [WHOLE]).iloc[0]
    symbol, key, day = row["symbol"], row["instrument_key"], small_run.days[-1]
    with serving(small_run.settings) as client:
        page = client.get(f"/chart/{symbol}")
        by_key = client.get(f"/chart/{quote(key, safe='')}", params={"to": f"{day}"})
        one_day = client.get(
            f"/chart/{symbol}", params={"from": f"{day}", "to": f"{day}", "timeframe": "day"}
        )
        unknown = client.get("/chart/NOBODY")
        reversed_range = client.get(
            f"/chart/{symbol}", params={"from": "2026-06-30", "to": "2026-06-29"}
        )
        empty = client.get(f"/chart/{symbol}", params={"from": "2019-06-03", "to": "2019-06-04"})
        no_date = client.get(f"/chart/{symbol}", params={"from": "yesterday"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f'<a href="/reports/{day}#{symbol}">Report of {day}</a>' in page.text
    assert by_key.text == page.text
    assert f"chart, {day} to {day}" in one_day.text
    assert 'data-frame="5minute"' not in one_day.text
    assert sentence(unknown, 404).startswith("found 'NOBODY', expected a key such as")
    assert sentence(reversed_range) == (
        "to: found 2026-06-29, expected no earlier than from 2026-06-30"
    )
    assert "has no bars from 2019-06-03 to 2019-06-04" in sentence(empty, 404)
    assert sentence(no_date) == "query.from: expected a date such as 2026-06-30"
