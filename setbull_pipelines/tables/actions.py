"""Tables of what happened to a share: corporate actions, and keys that took the place of others."""

from __future__ import annotations

from setbull_pipelines.tables.checks import above
from setbull_pipelines.tables.columns import INSTRUMENT_KEY, day, label, text
from setbull_pipelines.tables.contract import Column, Kind, Table

SPLIT, BONUS, SPLIT_OR_BONUS = "split", "bonus", "split or bonus"
"""The third is said by sources, and by prices, that do not tell the two apart."""
DEMERGER, SPECIAL_DIVIDEND, RIGHTS = "demerger", "special dividend", "rights"
GENUINE = "genuine"
"""The price really moved that far overnight: nothing is adjusted, and the gap is explained."""
SHARE_ACTIONS = (SPLIT, BONUS, SPLIT_OR_BONUS)
"""Kinds that change the number of shares, and so volumes as well as prices."""
ACTION_KINDS = (SPLIT, BONUS, DEMERGER, SPECIAL_DIVIDEND, RIGHTS, SPLIT_OR_BONUS, GENUINE)
_SOURCE = label("source", "File the row came from, or 'generated sample'")

CORPORATE_ACTIONS = Table(
    name="corporate_actions",
    description="Splits, bonus issues and what else changes a price without a trade, by ex-date. Raw bars and "
    "candles never change; indicators, moves and filters of a day use the actions with an ex-date up to that day.",
    schemas=("raw",),
    key=("instrument_key", "ex_date", "kind"),
    partitioned=False,
    columns=(
        INSTRUMENT_KEY,
        day("ex_date", "First day on which the share trades without what the action gives"),
        label(
            "kind",
            "What happened; a split or bonus changes prices and volumes, the others prices only, genuine neither: the "
            "price really moved",
            ACTION_KINDS,
        ),
        Column(
            "ratio",
            Kind.FLOAT,
            "New shares per old share, or without new shares the old price per new price; earlier prices are "
            "divided by it, earlier volumes multiplied; 1 for genuine",
            "ratio",
            checks=(above(0),),
        ),
        _SOURCE,
    ),
)
ADJUSTMENT = CORPORATE_ACTIONS.sources("ex_date", "ratio")
"""Sources of every value from earlier days that is in prices and share counts of the as-of day."""

INSTRUMENT_ALIASES = Table(
    name="instrument_aliases",
    description="Keys that took the place of others, as after a split with a new ISIN. From from_date on, the "
    "earlier bars of the old key count as history of the new one.",
    schemas=("raw",),
    key=("old_instrument_key",),
    partitioned=False,
    columns=(
        text("old_instrument_key", "Key before the change"),
        text("instrument_key", "Key from from_date on"),
        day("from_date", "First day of the new key"),
        _SOURCE,
    ),
)
