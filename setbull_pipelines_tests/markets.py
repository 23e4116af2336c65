"""The tables of the self-test's market, computed once in a process for all tests.

Belongs here: keeping them. Does not belong here: assertions. They are read only: a mutant makes frames of its own.
"""

from __future__ import annotations

from functools import cache

from setbull_pipelines.reconciliation.self_test.market import computed_by

computed_once = cache(computed_by)
"""What ``computed_by`` gives, the same frames at every call."""
