"""The one family of errors that a user reads as a sentence, and the exit codes of ``setbull``.

Belongs here: the base class and the codes. Does not belong here: particular errors, which are in the room that raises
them, and errors that are faults of the program.
"""

from __future__ import annotations

FAILED = 1
"""The command did its work and the result is bad: a divergence, a failed check, something damaged that stays so."""
UNUSABLE = 2
"""The command cannot be carried out as asked: options, settings, input or data folder do not fit."""
PROGRAM_FAULT = 70
"""An error that nobody foresaw (``EX_SOFTWARE`` of sysexits.h)."""
INTERRUPTED = 130
"""What shells say of a command that SIGINT ended."""


TRACEBACKS, TRACEBACK_PREFIX = "logs", "error-"
"""The folder in the data folder, and how names of files begin, where tracebacks are kept that no user is shown."""


class SetbullError(Exception):
    """An error whose text is one sentence that says what was found, what was expected and what to do.

    A command ends with the sentence and ``exit_code``; a class whose errors mean something else than
    :data:`UNUSABLE` says so.
    """

    exit_code = UNUSABLE
