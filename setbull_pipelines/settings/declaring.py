"""How a group of settings is declared, and the one sentence for a value that a setting cannot have.

Belongs here: the decorator of groups, the kinds of values with their limits, errors. Does not belong here: any
setting (``computing.py``, ``operating.py``, ``connecting.py``), reading files (``loading.py``).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le, Lt

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.secrets import without_secrets


class InvalidSettings(SetbullError, ValueError):
    """A setting has a value it cannot have; the message names key, value found and value expected."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key
        """The setting, ``group.name``, where the error is about one."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """Beside a type in ``Annotated``: what its values are, in the words of errors and of ``docs/settings.md``."""

    words: str
    holds: Callable[[Any], object] | None = None
    """Asked, beside the type, whether a value is one."""
    is_shown: bool = True
    """Whether an error repeats what was found; not where a secret could have been put by mistake."""

    def __get_pydantic_core_schema__(self, source: Any, make: Callable[[Any], Any]) -> Any:
        """What pydantic asks of everything beside a type: its check."""
        from pydantic_core import core_schema

        holds = self.holds
        if holds is None:
            return make(source)

        def checked(value: Any) -> Any:
            if not holds(value):
                raise ValueError(self.words)
            return value

        return core_schema.no_info_after_validator_function(checked, make(source))


def text_that(holds: Callable[[str], object], expected: str, is_shown: bool = True) -> Expected:
    """Beside ``str``: the texts for which ``holds`` is true, ``expected`` in words."""
    return Expected(expected, holds, is_shown)


def text_like(pattern: str, expected: str, is_shown: bool = True) -> Expected:
    """Beside ``str``: the texts that all of the regular expression matches, ``expected`` in words."""
    return text_that(re.compile(pattern).fullmatch, expected, is_shown)


Count = Annotated[int, Ge(1)]
CountOrNone = Annotated[int, Ge(0)]
"""A whole number for which 0 has a meaning."""
AboveZero = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Percent = Annotated[float, Gt(0), Lt(100)]

_Group = TypeVar("_Group", bound=type)
_CONFIGURATION = {"strict": True, "extra": "forbid", "allow_inf_nan": False}


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def group(name: str) -> Callable[[_Group], _Group]:
    """Make a class a group of settings: a frozen dataclass whose values pydantic checks, however it is made.

    Raises InvalidSettings, with one sentence, for the first value that its type or its ``__post_init__`` refuses.
    """

    def declare(declared: _Group) -> _Group:
        made: Any = dataclasses.dataclass(frozen=True)(declared)
        made.__pydantic_config__ = _CONFIGURATION

        @functools.wraps(made.__init__)
        def __init__(self: object, *arguments: object, **values: object) -> None:
            _fill(self, name, made, arguments, values)

        made.__init__ = __init__
        return cast(_Group, made)

    return declare


def _fill(
    filled: object, name: str, made: type, arguments: tuple[object, ...], values: dict[str, object]
) -> None:
    """Check the arguments of a new group and set its fields, as the ``__init__`` of a dataclass does."""
    # Imported with the first object: pydantic and the checks of all groups take as long as ten imports of this room.
    from pydantic import ValidationError
    from pydantic_core import ArgsKwargs

    try:
        _checks(made).validate_python(ArgsKwargs(arguments, values), self_instance=filled)
    except ValidationError as error:
        raise _refusal(name, made, error) from None


@functools.cache
def _checks(made: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(made).validator


def require(condition: bool, key: str, found: object, expected: str) -> None:
    """Raise InvalidSettings, in the words of all settings, unless ``condition`` holds."""
    if not condition:
        raise InvalidSettings(
            f"setting {key}: found {without_addresses(repr(found))}, expected {expected}", key
        )


def refuse_unknown(key: str, known: Iterable[str], hint: str = "") -> InvalidSettings:
    """The error for a ``key`` that does not exist: names the nearest of those that do, and never repeats its value."""
    name = key.rpartition(".")[2]
    near = nearest(name, known)
    expected = f"one such as {' or '.join(near)}" if near else f"one of {', '.join(sorted(known))}"
    more = f"; {hint}" if hint else ""
    return InvalidSettings(f"setting {key}: found an unknown key, expected {expected}{more}", key)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three of the ``known`` names that look like ``name``: they have a word of it, or most of its letters."""
    import difflib

    words = {word for word in name.lower().split("_") if len(word) > 2}
    alike = {
        each: max(
            difflib.SequenceMatcher(None, name.lower(), each).ratio(),
            0.6 if words & set(each.split("_")) else 0.0,
        )
        for each in sorted(known)
    }
    best = sorted((each for each in alike if alike[each] >= 0.6), key=lambda each: -alike[each])
    return best[:3]


def without_addresses(text: str) -> str:
    """``text`` without what follows ``://``: receivers of alerts are addresses with passwords, and one that was put
    into a wrong place by mistake is not repeated."""
    return re.sub(r"://[^\s'\"]+", "://...", text)


def _refusal(group_name: str, made: type, error: Any) -> InvalidSettings:
    found = error.errors(include_url=False)[0]
    raised = found.get("ctx", {}).get("error")
    if isinstance(raised, InvalidSettings):
        return raised
    name, types = str(found["loc"][0]), get_type_hints(made, include_extras=True)
    key = f"{group_name}.{name}"
    if name not in types:
        return refuse_unknown(key, types)
    kind, asked = found["type"], types[name]
    if len(found["loc"]) > 1:  # an element of a list or a table
        asked = get_args(asked)[0]
    if kind == "finite_number":
        expected = "a finite number"
    elif kind.startswith(("greater_than", "less_than")):
        expected = _limits(_beside(asked))
    else:
        expected = words_of(asked)
    hidden = any(isinstance(item, Expected) and not item.is_shown for item in _beside(asked))
    shown = "'...'" if hidden else _shown(found["input"], kind)
    return InvalidSettings(f"setting {key}: found {shown}, expected {expected}", key)


_NO_TEXTS = ("int_", "float_", "bool_")
"""Kinds of errors about values that are no texts."""
_SLIP = re.compile(
    r"[\d\s.,+_%-]{0,20}(e[\d+-]{1,4})?|true|false|yes|no|on|off|none|null|nan|[+-]?inf",
    re.IGNORECASE,
)
"""A text in the place of a number that is a slip of the pen; any other is perhaps a password."""


def _shown(value: object, kind: str) -> str:
    """What was found, as an error repeats it; only its length where it is, or could be, a secret."""
    if isinstance(value, str) and (
        without_secrets(value) != value
        or (kind.startswith(_NO_TEXTS) and not _SLIP.fullmatch(value))
    ):
        return f"a text of {len(value)} characters"
    return without_addresses(repr(value))


_BOUNDS = ("ge", "gt", "le", "lt")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def words_of(asked: Any) -> str:
    """What values of a type are, in words."""
    beside = _beside(asked)
    for item in beside:
        if isinstance(item, Expected):
            return item.words
    kind = get_args(asked)[0] if beside else asked
    parts = [part for part in get_args(kind) if part not in (type(None), ...)]
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin is tuple:
        return f"a list, each {words_of(parts[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table, name = text"
    if parts:  # X | None
        return words_of(parts[0])
    limits = _limits(beside)
    return f"{_WORDS[kind]}, {limits}" if limits else _WORDS[kind]


def _beside(asked: Any) -> tuple[Any, ...]:
    """What stands beside the type in ``Annotated``."""
    return asked.__metadata__ if get_origin(asked) is Annotated else ()


def _limits(metadata: Iterable[object]) -> str:
    bounds: dict[str, Any] = {}
    for item in metadata:
        bounds |= {name: getattr(item, name) for name in _BOUNDS if hasattr(item, name)}
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']} to {bounds['le']}"
    if "ge" in bounds:
        return f"{bounds['ge']} or more"
    if "lt" in bounds:
        return f"above {bounds['gt']} and below {bounds['lt']}"
    return f"above {bounds['gt']}" if bounds else ""
