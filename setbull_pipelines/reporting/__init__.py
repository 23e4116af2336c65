"""Pages about sessions: stored rows in, one HTML document out, of one trading day or of all sessions.

Belongs here: choosing and wording what is shown of a day (``content``, ``answer``), the data of the charts
(``charts``), the document (``page`` with its template, style and script), reading it back (``reading``), and the page
of all sessions (``overview`` with its template and style). Does not belong here: reading tables, writing files
(``pipeline/daily_reports.py``, ``pipeline/overview.py``), computing anything that a table does not hold, Dagster, a
clock.
"""
