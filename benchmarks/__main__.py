"""``python -m benchmarks``: V2 beside V1 and other tools, as Markdown; ``--short``: is a ratio below the recorded?

Belongs here: the order of measuring, targets, the printed tables. Does not belong here: the clock (``measuring``), the
jobs (``contestants``), the file of all results (``results``).
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measuring import Measurement

FOLDER = Path(__file__).parent
RATIOS = FOLDER / "ratios.json"
BARS, INDICATORS, KERNELS, *STEPS = JOBS = (
    "bars from a file",
    "indicators, frame to frame",
    "indicators, arrays to arrays",
    "step aggregation",
    "step indicators",
    "step sequences and filters",
    "whole day",
)
ONE_THREAD = (INDICATORS, KERNELS)
"""Jobs that are held against a rival of one thread: on one processor, in processor seconds."""
TOLERANCES = {
    BARS: (0.0, 0.0),
    INDICATORS: (1e-6, 1e-9),
    KERNELS: (1e-6, 1e-9),
    **dict.fromkeys(STEPS, (1e-12, 1e-9)),
}
"""Absolute and relative difference of floats that counts as equal. Rivals keep a running sum of squares, whose error
in a narrow band is far above that of V2, which the tests hold to 1e-9."""
TARGETS = {
    (BARS, "Polars, dynamic group-by"): 1.0,
    (BARS, "Polars, group-by"): 1.0,
    (INDICATORS, "TA-Lib and NumPy"): 1.5,
    (KERNELS, "TA-Lib, its 10 columns"): 1.5,
    ("step aggregation", "V1"): 10.0,
    ("step indicators", "V1"): 20.0,
    ("step sequences and filters", "V1"): 20.0,
    ("whole day", "V1"): 10.0,
}
"""How many times the seconds of V2 the other one takes, at least."""
MEMORY_TARGET = 0.5
"""Peak memory of V2 over that of V1, at most."""
SHORT_INSTRUMENTS = 150
SHORT_PAIRS = 3
SHORT_SECONDS = 1.0
"""Pairs are repeated until they took this long, and at least ``SHORT_PAIRS`` times."""
SHORT_RIVALS = {
    BARS: "Polars, dynamic group-by",
    INDICATORS: "TA-Lib and NumPy",
    KERNELS: "TA-Lib, its 10 columns",
    **dict.fromkeys(STEPS[:-1], "V1"),
}
"""Whom V2 is held against in the short form; the whole day is the sum of its steps."""
LOWEST_SHARE = 0.75
"""Of its recorded value that a ratio must reach: a loss of more than 25 % fails."""
ATTEMPTS = 3
"""A ratio that is too low is measured again: a busy machine passes by, a regression does not."""


def measure(instruments: int, rounds: int, repeats: int) -> list[str]:
    """Measure every contestant of every job in processes that take turns; the lines of a Markdown report."""
    from benchmarks import exchange
    from benchmarks.contestants import CONTESTANTS
    from benchmarks.measuring import difference, measured

    lines = []
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        exchange.write(exchange.generate(instruments), folder)
        for job in JOBS:
            names = list(CONTESTANTS[job])
            one_thread = job in ONE_THREAD
            results = {}
            for who in names:
                print(f"{job}: result of {who}", file=sys.stderr)
                kept = folder / "result.pickle"
                measured(job, who, folder, repeats=0, one_thread=one_thread, result=kept)
                results[who] = pickle.loads(kept.read_bytes())
                found = difference(results[names[0]], results[who], *TOLERANCES[job])
                if found:
                    raise SystemExit(f"{job}: {names[0]} and {who} differ in {found}")
            del results
            turns: list[dict[str, Measurement]] = []
            for turn in range(rounds):
                print(f"{job}: round {turn + 1} of {rounds}", file=sys.stderr)
                turns.append(
                    {
                        who: measured(job, who, folder, repeats=repeats, one_thread=one_thread)
                        for who in names
                    }
                )
            lines += _table(job, names, turns)
    return lines


def _table(job: str, names: list[str], turns: list[dict[str, Measurement]]) -> list[str]:
    """One row per contestant: medians over the rounds, ratios within each round."""

    def median(figure: Callable[[dict[str, Measurement]], float]) -> float:
        return statistics.median(figure(turn) for turn in turns)

    ours = names[0]
    rows = turns[0][ours].rows
    seconds = "processor seconds, one thread" if job in ONE_THREAD else "seconds"
    lines = [
        f"### {job[0].upper()}{job[1:]} ({rows:,} rows)",
        "",
        f"| who | {seconds} | million rows per second | it takes | target | peak memory | of it imports and input |",
        "|---|---|---|---|---|---|---|",
    ]
    for who in names:
        taken = median(lambda turn, who=who: turn[who].seconds)
        ratio = median(lambda turn, who=who: turn[who].seconds / turn[ours].seconds)
        peak = median(lambda turn, who=who: turn[who].peak_bytes) / 2**20
        loaded = median(lambda turn, who=who: turn[who].loaded_bytes) / 2**20
        target = TARGETS.get((job, who))
        verdict = "" if target is None else f"{target:g}x: {_verdict(ratio >= target)}"
        times = "" if who == ours else f"{ratio:.2f}x"
        lines.append(
            f"| {who} | {taken:.3f} | {rows / taken / 1e6:.2f} | {times} | {verdict} "
            f"| {peak:,.0f} MiB | {loaded:,.0f} MiB |"
        )
    if job in STEPS:
        share = median(lambda turn: turn["V2"].peak_bytes / turn["V1"].peak_bytes)
        added = median(lambda turn: turn["V2"].added_bytes / turn["V1"].added_bytes)
        lines += [
            "",
            f"Peak memory of V2 over V1: {share:.0%}, target {MEMORY_TARGET:.0%}: "
            f"{_verdict(share <= MEMORY_TARGET)}. Of what each adds to imports and input: {added:.0%}.",
        ]
    return [*lines, ""]


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def short_ratios(jobs: tuple[str, ...]) -> dict[str, float]:
    """Ratios of a small exchange, in this process and in processor seconds: how many times V2's the rival takes.

    The two take turns, and their medians are divided.
    """
    from benchmarks import exchange
    from benchmarks.contestants import CONTESTANTS
    from benchmarks.measuring import timed

    ratios = {}
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        exchange.write(exchange.generate(SHORT_INSTRUMENTS), folder)
        for job in jobs:
            rival = SHORT_RIVALS[job]
            sides = (next(iter(CONTESTANTS[job].values())), CONTESTANTS[job][rival])
            states = [side.load(folder) for side in sides]
            timed(sides[0], states[0], time.process_time)
            runs: list[list[float]] = []
            while len(runs) < SHORT_PAIRS or sum(map(sum, runs)) < SHORT_SECONDS:
                runs.append(
                    [timed(*side, time.process_time)[0] for side in zip(sides, states, strict=True)]
                )
            ours, theirs = map(statistics.median, zip(*runs, strict=True))
            ratios[f"{job}, {rival} over V2"] = round(theirs / ours, 2)
    return ratios


def best_ratios(
    recorded: dict[str, float], measure: Callable[[tuple[str, ...]], dict[str, float]]
) -> tuple[dict[str, float], list[str]]:
    """The best ratio of up to ``ATTEMPTS`` measurements, and the names of those that stay too low."""
    best: dict[str, float] = {}
    low = list(recorded)
    for _ in range(ATTEMPTS):
        jobs = tuple(job for job in SHORT_RIVALS if any(name.startswith(job) for name in low))
        for name, ratio in measure(jobs).items():
            best[name] = max(ratio, best.get(name, 0.0))
        low = [name for name, ratio in recorded.items() if best[name] < LOWEST_SHARE * ratio]
        if not low:
            break
    return best, low


def short(record: bool) -> int:
    """Hold the ratios against the recorded ones, or record them; the exit code."""
    # One thread each, so that what else the machine does changes both sides alike.
    os.environ["POLARS_MAX_THREADS"] = "1"
    if record:
        measured = [short_ratios(tuple(SHORT_RIVALS)) for _ in range(ATTEMPTS)]
        ratios = {name: statistics.median(each[name] for each in measured) for name in measured[0]}
        RATIOS.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")
        print(RATIOS.read_text(encoding="utf-8"))
        return 0
    recorded = json.loads(RATIOS.read_text(encoding="utf-8"))
    best, low = best_ratios(recorded, short_ratios)
    for name, ratio in recorded.items():
        verdict = "TOO LOW" if name in low else "ok"
        print(f"{verdict:8} {best[name]:7.2f}x, recorded {ratio:7.2f}x: {name}")
    return 1 if low else 0


def main() -> None:
    """Parse the options, measure, print or judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--instruments", type=int, default=2_400)
    parser.add_argument("--rounds", type=int, default=3, help="in which everybody is measured once")
    parser.add_argument("--repeats", type=int, default=7, help="of one contestant in a round")
    parser.add_argument("--short", action="store_true", help="hold ratios against ratios.json")
    parser.add_argument("--record", action="store_true", help="with --short: write ratios.json")
    chosen = parser.parse_args()
    if chosen.short:
        sys.exit(short(chosen.record))
    print(
        f"{chosen.instruments:,} generated instruments x 375 minutes. Everybody runs in a process of its own, with a "
        "warm-up; processes take turns; figures are medians over repeats and rounds, ratios are taken within a round. "
        "Results are compared before anything is timed. Peak memory is that of the whole process, its imports and "
        'input included. "It takes" is the seconds of the other over those of V2.\n'
    )
    print("\n".join(measure(chosen.instruments, chosen.rounds, chosen.repeats)))


if __name__ == "__main__":
    main()
