"""The daily report: stored rows of one trading day in, one HTML document out.

Belongs here: choosing and wording what is shown (``content``), the data of the charts (``charts``), the document
(``page`` with its template, style and script), and reading it back (``reading``). Does not belong here: reading
tables, writing files (``pipeline/daily_reports.py``), computing anything that a table does not hold, Dagster, a clock.
"""
