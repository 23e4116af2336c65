"""Where bytes live: immutable partition files, the pointers to them, and DuckDB over exactly those.

``store`` publishes and reads partitions, ``remote`` lets machines share them, ``queries`` and ``catalog``
put SQL over them, ``resources`` hands all of it to Dagster. No rule about markets, candles or variants
belongs here.
"""
