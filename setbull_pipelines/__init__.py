"""NSE one-minute candles to reconciled filter results: a Dagster and DuckDB project.

The rooms of the package and which may import which are described in ``docs/architecture.md``.
"""

import gc

# Modules, definitions, tables and events are objects by the hundred thousand, and most of them stay: searching them for
# garbage after every 700 new ones took a third of the processor time of a start, and 5 to 15 % of that of a day.
gc.set_threshold(50_000, 25, 25)
