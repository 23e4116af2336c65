"""The steps of the pipeline and how one is carried out, without Dagster.

Belongs here: which tables a step reads (and how far back), which variant function it calls, and the walk
over trading days with cache, validation and publication. Does not belong here: formulas (``variants/``),
files (``warehouse/``), Dagster (``assets/``).
"""
