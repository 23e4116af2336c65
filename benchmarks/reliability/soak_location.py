"""The code location of the soak: the project's own definitions, and a V2 with a defect while a file says so.

Belongs here: the defect. Does not belong here: anything that the project's own definitions should have.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from setbull_pipelines.assets import variants
from setbull_pipelines.settings import load_settings
from setbull_pipelines.variants import V2

DEFECT = Path(os.environ["SETBULL_DATA_DIR"]).with_name("defect")
"""While it is there, the average true range of V2 is a tenth of a percent too large."""


def _indicators(*given: object, **named: object) -> pd.DataFrame:
    computed = V2.indicators(*given, **named)
    if DEFECT.exists():
        computed["atr"] *= 1.001
    return computed


_good = {name: getattr(V2, name) for name in V2.__all__}
variants.VARIANTS["v2"] = SimpleNamespace(**_good | {"indicators": _indicators})

from setbull_pipelines.definitions import build_defs  # noqa: E402

defs = build_defs(load_settings())
