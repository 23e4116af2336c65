"""The console command ``setbull``.

Belongs here: options, progress, and results as text. Does not belong here: anything a scheduled run would
need too (that is in ``assets/``, ``pipeline/``, ``automation/``).
"""

import gc
import importlib.util
import sys

if importlib.util.find_spec("fcntl") is None:
    print(
        "error: found no fcntl, as on Windows, expected Linux or macOS; use WSL 2 or a container: docs/hosts.md",
        file=sys.stderr,
    )
    raise SystemExit(2)

# As the definitions do, before anything else is imported: half a million objects come with modules, and searching
# them for garbage took a third of the processor time of a run that has nothing to do.
gc.set_threshold(50_000, 25, 25)
