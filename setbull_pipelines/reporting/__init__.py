"""Pages: stored rows in, one HTML document out, of one trading day, of all sessions or of one stock.

Belongs here: choosing and wording what is shown of a day (``content``, ``answer``), the data of the charts
(``charts``), the document (``page`` with its template, style and script), reading it back (``reading``), the page of
all sessions (``overview`` with its template and style), and the chart of a stock (``stock_chart``, ``chart_marks``,
``chart_page`` with its template, style and script). What they share is in ``document`` and ``drawing.js``. Does not
belong here: reading tables, writing files (``pipeline/``), computing anything that a table does not hold, Dagster, a
clock.
"""
