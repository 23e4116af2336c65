"""The report of one table and day as a single HTML file, for people without the user interface.

Belongs here: the frame around the Markdown of ``report``: title, verdict, style. Does not belong here: what
is told (``report``), where the file goes (``cli``). The file holds its pictures, and no script and no link.
"""

from __future__ import annotations

from html import escape

from markdown_it import MarkdownIt

from setbull_pipelines.reconciliation.report import Findings, markdown_report
from setbull_pipelines.tables.reconciliation import DIVERGED, NOT_COMPARABLE, PASS

_COLOURS = {PASS: "#1a7f37", DIVERGED: "#c62828", NOT_COMPARABLE: "#9a6700"}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h4 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
.state { border-radius: 4px; color: white; padding: 0.1rem 0.6rem; }
table { border-collapse: collapse; display: block; font-size: 12px; overflow-x: auto; }
th, td { border: 1px solid #8886; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
th { background: #8882; } td { font-variant-numeric: tabular-nums; }
img { display: block; margin: 1rem 0; max-width: 100%; }
"""


def html_page(findings: Findings) -> str:
    """Return the whole report as one HTML document: verdict, columns, causes, pictures, inputs, decisions."""
    # Raw HTML stays text: reasons and keys come from data.
    text = MarkdownIt("commonmark", {"html": False}).enable("table")
    verdict = findings.verdict.iloc[0]
    title = f"{findings.table.name}, {findings.trading_day:%Y-%m-%d}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>V1 against V2: {escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>V1 against V2: {escape(title)} "
        f'<span class="state" style="background: {_COLOURS[verdict["state"]]}">'
        f"{escape(verdict['state'])}</span></h1>\n"
        f"<p>{verdict['rows_v1']:,} rows in V1, {verdict['rows_v2']:,} in V2; "
        f"{verdict['cells_unequal']:,} of {verdict['cells_compared']:,} compared cells differ.</p>\n"
        f"{text.render(markdown_report(findings, with_pictures=True))}</body>\n</html>\n"
    )
