"""The printed pages in ``docs/`` are what the code prints now."""

from __future__ import annotations

import pytest

from setbull_pipelines.cli.documentation import PAGES
from setbull_pipelines.cli.home import PROJECT


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_printed_one(name: str) -> None:
    committed = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run: python -m setbull_pipelines.cli.documentation"
