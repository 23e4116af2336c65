"""Which variant is served for each instrument, decided from recorded evidence only.

Belongs here: bucketing, stages, the pure decision function, and the fold over the evidence log. Does not belong
here: reading evidence or keeping the log (I/O), Dagster, a clock, formulas.
"""
