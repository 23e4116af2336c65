"""What V2 does once per process, before its work is measured.

Belongs here: ``prepare``. Does not belong here: the kernels (``kernels.py``, imported inside the function).
"""

from __future__ import annotations

from functools import cache


@cache
def prepare() -> None:
    """Load the machine code of the kernels. The first time after their source changed it is compiled: 10 to 30 s."""
    from setbull_pipelines.variants.v2 import kernels

    kernels.load()
