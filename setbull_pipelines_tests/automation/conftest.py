"""The small finished run, and a copy of it."""

from setbull_pipelines_tests.pipeline.small_run import copied_run, small_run

__all__ = ["copied_run", "small_run"]
