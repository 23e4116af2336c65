"""NSE one-minute candles to reconciled filter results: a Dagster and DuckDB project.

The rooms of the package and which may import which are described in ``docs/architecture.md``.
"""
