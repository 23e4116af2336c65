"""Tests of ``setbull_pipelines/reporting``."""
