"""Every page by axe-core, at a desk and on a phone, light and dark: nothing that keeps somebody from using it.

axe-core is no package of the project. ``SETBULL_AXE`` names its script, such as ``axe.min.js`` of the npm package
axe-core.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from setbull_pipelines.api.reference import page_of
from setbull_pipelines.api.server import create_app
from setbull_pipelines.reconciliation.page import html_page as html_difference
from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.reporting.content import Stored
from setbull_pipelines.reporting.overview import html_overview
from setbull_pipelines.reporting.page import html_page
from setbull_pipelines.settings import Settings
from setbull_pipelines_tests.reconciliation.hand_made_findings import findings
from setbull_pipelines_tests.reconciliation.three_instruments import A, candles, changed
from setbull_pipelines_tests.reporting.browser import Page, axe, browsing, chromium
from setbull_pipelines_tests.reporting.hand_made_chart import stock_chart
from setbull_pipelines_tests.reporting.hand_made_sessions import sessions

pytestmark = pytest.mark.run
WINDOWS = {"desk": (1400, 1000, False), "phone": (390, 844, True)}
UNREADABLE = (
    '<html lang="en"><title>x</title><main><h1 style="color:#aaa">Stocks</h1><img src="x"></main>'
)


@pytest.fixture(scope="module")
def script() -> str:
    named = axe()
    if named is None:
        pytest.skip("no axe-core: name its script in SETBULL_AXE")
    return named.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    executable = chromium()
    if executable is None:
        pytest.skip("no browser: install Debian's chromium, or name one in SETBULL_CHROMIUM")
    with browsing(executable, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def documents(stored: Stored, folder: Path) -> dict[str, str]:
    """Every kind of page, by its name."""
    report = html_page(stored, "x")
    return {
        "report": report,
        "sessions": html_overview(sessions(), "made"),
        "chart": html_chart(stock_chart(1.005)),
        "difference": html_difference(findings(folder, changed(candles(), A, [5], close=1.0))),
        "reference": page_of(create_app(lambda: Settings(data_directory=folder)).openapi()),
    }


def test_what_cannot_be_used_is_found(page: Page, script: str, tmp_path: Path) -> None:
    path = tmp_path / "unreadable.html"
    path.write_text(UNREADABLE, encoding="utf-8")
    page.open(path)
    assert {found.split(":")[0] for found in page.violations(script)} == {
        "color-contrast",
        "image-alt",
    }


def test_every_page_can_be_used_by_everybody(
    page: Page, script: str, stored: Stored, tmp_path: Path
) -> None:
    found: dict[str, list[str]] = {}
    for name, document in documents(stored, tmp_path).items():
        path = tmp_path / f"{name}.html"
        path.write_text(document, encoding="utf-8")
        for window, (width, height, is_mobile) in WINDOWS.items():
            page.size(width, height, mobile=is_mobile)
            for scheme in ("light", "dark"):
                page.prefer(scheme)
                page.open(path)
                found[f"{name}, {window}, {scheme}"] = page.violations(script)
                if name == "report":
                    page.click("#top .stock")
                    found[f"a stock, {window}, {scheme}"] = page.violations(script)
    assert len(found) == 24
    assert {where: wrong for where, wrong in found.items() if wrong} == {}
