"""Quality: what must hold for a stored table on a trading day, as pure functions.

Belongs here: rules over frames and their verdicts in words. Does not belong here: V1 against V2
(``reconciliation/``), reading files, Dagster (``assets/``).
"""
