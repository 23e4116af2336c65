"""Settings of running the pipeline: how results are judged, kept and rolled out, and what work may use.

Belongs here: groups that ``reconciliation/``, ``quality/``, ``pipeline/``, ``rollout/``, ``reporting/``, ``warehouse/``
and ``automation/`` read. Does not belong here: what a computed value depends on (``computing.py``): none of these is
part of a code version.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from annotated_types import Ge, Le

from setbull_pipelines.settings.dates import is_date
from setbull_pipelines.settings.declaring import (
    AboveZero,
    Count,
    CountOrNone,
    Expected,
    NotNegative,
    Share,
    group,
    require,
    text_like,
    text_that,
)

_Cron = Annotated[
    str, text_like(r"[\d*,/-]+( [\d*,/-]+){4}", "five cron fields of digits and * , - /")
]
_InstrumentKeys = tuple[Annotated[str, Expected("an instrument key as text")], ...]


@group("reconciliation")
class ReconciliationSettings:
    """How much of a difference is kept for readers. What counts as one is in the table contracts."""

    sample_cells: Count = 20
    """Differing cells kept per column, the worst first."""
    window_rows: Count = 5
    """Input rows kept for the first and the worst cell of a column, up to the bar of the cell."""
    chart_bars: Annotated[int, Ge(2)] = 60
    """Bars kept and drawn around the first diverging one."""
    charts: CountOrNone = 3
    """Diverged columns drawn per table, one for each likely cause."""
    noise_instruments: CountOrNone = 3
    """Instruments whose V1 is computed twice for the noise floor of a day; 0 measures none."""


@group("quality")
class QualitySettings:
    """Limits of the checks that warn about the input."""

    minimum_delivered_share: Share = 0.80
    """Share of a session's minutes that instruments with minutes must have, on average."""
    daily_open_difference: Share = 0.01
    """Allowed |minutes - exchange| / exchange of the daily open: the official one is the price of the pre-open
    auction, the first minute's is that of the first continuous trade."""
    daily_high_difference: Share = 0.005
    """Largest relative difference of the daily high: auction and after-close trades are only in the exchange's
    series."""
    daily_low_difference: Share = 0.005
    """Largest relative difference of the daily low: auction and after-close trades are only in the exchange's
    series."""
    daily_close_difference: Share = 0.01
    """Largest relative difference of the daily close: the official one is the mean price of the last half hour, or that
    of the closing auction, never the last minute's."""
    daily_volume_difference: Share = 0.05
    """Largest relative difference of the daily volume: auctions, block deals and trades after the close are only in the
    exchange's series."""
    auction_price_difference: Share = 0.03
    """Limit of high, low and close, in place of their own, of a stock that may have had a closing auction: its price
    may be 3 % from the mean price of the last continuous trading."""
    auction_volume_difference: Share = 0.25
    """Limit of the volume, in place of its own, of a stock that may have had a closing auction: the auction's volume is
    only in the exchange's series. NSE's share is not known yet; on exchanges with old closing auctions it is up to a
    quarter of the day."""
    maximum_stale_share: Share = 0.25
    """Share of instruments without a bar of the day from which the whole day counts as stale. Suspended and rarely
    traded stocks have none: 4 to 8 % of the exchange on a usual day, 12 % at most."""
    maximum_share_jump: Share = 0.10
    """Most by which the share of stocks with a verdict, or stopped by a stage, and the number of stocks may differ from
    the median of the sessions before: in 85 sessions of half the market no share was 0.04 away."""
    maximum_revised_share: Share = 0.001
    """Share of a day's bars that may be corrected after they were final: single trades are cancelled, but more means
    that a source, or one of its files, was wrong. Corrections of provisional bars are expected and not limited."""


@group("calendar")
class CalendarSettings:
    """Where holidays and sessions come from that the built-in calendar does not know."""

    file: str = ""
    """CSV with the columns date, kind, intervals, source (docs/operations.md); empty: the built-in table alone."""
    first_partition: Annotated[
        str, text_that(lambda text: not text or is_date(text), "a date YYYY-MM-DD, or nothing")
    ] = ""
    """The first day (YYYY-MM-DD) that the UI offers; empty: the first session of the input."""


@group("refresh")
class RefreshSettings:
    """When the refreshes look for work (cron, exchange time)."""

    ticks: tuple[_Cron, ...] = ("30 16 * * *", "30 20 * * *")
    """When finished sessions are computed: after the regular close, and after evening sessions such as Muhurat."""
    fetch_ticks: tuple[_Cron, ...] = ("5 16 * * *", "5 20 * * *")
    """When candles are fetched from the broker: before the ticks of ``refresh.ticks``, after sessions have settled."""
    intraday_ticks: tuple[_Cron, ...] = ("*/5 9-19 * * *",)
    """When the session under way is looked at; the calendar says which of these lie in one. Every bar, in hours that
    hold all sessions, special ones included."""
    maintenance_tick: _Cron = "0 6 * * 6"
    """When old versions and files that nothing needs are removed."""
    self_test_tick: _Cron = "0 7 * * 6"
    """When the reconciliation is tested with faults."""
    scrub_tick: _Cron = "0 8 * * 6"
    """When stored files are held against their hashes."""
    catch_up_days: Count = 10
    """Missed sessions requested per tick at most."""

    def __post_init__(self) -> None:
        for name in ("ticks", "fetch_ticks", "intraday_ticks"):
            ticks = getattr(self, name)
            require(bool(ticks), f"refresh.{name}", ticks, "at least one cron expression")


@group("rollout")
class RolloutSettings:
    """When V2 takes over from V1, and when it is taken back. Shares are 0 to 1, times seconds per session."""

    sessions_per_stage: Count = 5
    """Consecutive trading sessions with enough evidence and no breach before the next stage (K)."""
    highest_automatic_stage: Literal["shadow", "10", "50", "100", "sampled"] = "100"
    """Where advancing by itself ends; beyond it V1 no longer runs in full, which a person decides."""
    minimum_instruments: Count = 20
    """Instruments that a session must compare to count as evidence."""
    minimum_rows: Count = 100
    """Rows that a session must compare to count as evidence."""
    minimum_cohort: Count = 2
    """Instruments served from V2 before a stage with a percentage counts a session."""
    soft_breaches: Count = 3
    """Sessions with a soft breach (F), of the last ``soft_breach_sessions`` (N) judged, that roll back."""
    soft_breach_sessions: int = 5
    """The last judged sessions (N) that soft breaches are counted in."""
    minimum_cache_hit_rate: Share = 0.70
    """Share of look-ups of decoded files that must be hits."""
    minimum_cache_lookups: Count = 100
    """Fewer look-ups say nothing about the hit rate."""
    maximum_calculation_seconds: AboveZero = 5.0
    """V2's processor time for indicators and for sequences, however few rows a session has."""
    calculation_seconds_per_million_rows: AboveZero = 2.5
    """Processor time for each million rows that V2 reads for indicators and sequences; the limit where that is more
    than ``rollout.maximum_calculation_seconds``."""
    maximum_aggregation_seconds: AboveZero = 10.0
    """V2's processor time for candles, however few rows a session has."""
    aggregation_seconds_per_million_rows: AboveZero = 5.0
    """Processor time for each million rows that V2 reads for candles; the limit where that is more than
    ``rollout.maximum_aggregation_seconds``."""
    minimum_exceptions: Count = 3
    """Instruments that V2 must fail for on a session before its error rate counts. They are served from V1."""
    maximum_error_rate: Share = 0.05
    """Share of the instruments that V2 fails for, above which a session is a soft breach."""
    rollback_error_rate: float = 0.10
    """Share of the instruments that V2 fails for, above which one session is enough to roll back."""
    maximum_memory_share: Share = 0.90
    """Share of ``processing.memory_allowance_mib`` that V2 may reach."""
    maximum_worker_share: Share = 0.95
    """Share of the processors' time that V2 may use."""
    maximum_sequence_failure_share: Share = 0.03
    """Share of the instruments whose sequences V2 may fail for."""
    maximum_slowdown: NotNegative = 0.50
    """How much more processor time than V1 may V2 take, as a share of V1's."""
    minimum_seconds_compared: NotNegative = 1.0
    """Less time of V1 says nothing about how much slower V2 is."""
    maximum_memory_growth: NotNegative = 0.20
    """How much more memory than at the last judged session, as a share of that."""
    minimum_memory_share_compared: Share = 0.30
    """Less memory, as a share of the allowance, says nothing about growth: it is what the libraries take."""
    sample_percentage: Annotated[int, Ge(1), Le(100)] = 10
    """Instruments, of 100, that V1 is still computed for per session in stage ``sampled``; the sample rotates."""
    kill: bool = False
    """Serve V1 everywhere, whatever the log says; ``SETBULL_KILL_V2`` does the same."""
    force_v1: _InstrumentKeys = ()
    """Instrument keys served from V1 in every stage that runs both variants in full."""
    force_v2: _InstrumentKeys = ()
    """Instrument keys served from V2 in every stage that runs both variants in full."""
    freeze: _InstrumentKeys = ()
    """Instrument keys that keep the variant they have in every stage that runs both variants in full."""

    def __post_init__(self) -> None:
        require(
            self.soft_breach_sessions >= self.soft_breaches,
            "rollout.soft_breach_sessions",
            self.soft_breach_sessions,
            f"at least rollout.soft_breaches ({self.soft_breaches})",
        )
        require(
            self.maximum_error_rate <= self.rollback_error_rate <= 1,
            "rollout.rollback_error_rate",
            self.rollback_error_rate,
            f"rollout.maximum_error_rate ({self.maximum_error_rate}) to 1",
        )
        seen: set[str] = set()
        for name in ("force_v1", "force_v2", "freeze"):
            for key in getattr(self, name):
                require(key not in seen, f"rollout.{name}", key, "each instrument key only once")
                seen.add(key)


@group("processing")
class ProcessingSettings:
    """What computing may use. No result depends on any of these, so that none is part of a fingerprint."""

    memory_allowance_mib: Count = 4096
    """Memory of the whole process, in mebibytes. What a day needs is estimated before it is read; a day that needs more
    than is left is computed in chunks of instruments. ``rollout.maximum_memory_share`` of it is the limit of V2."""
    workers: CountOrNone = 0
    """Threads that run V2's kernels, and that encode and write files; 0: one per processor, and 4 for files."""
    instruments_per_chunk: CountOrNone = 0
    """Instruments computed together; 0: as many as the allowance has room for."""
    sessions_per_chunk: CountOrNone = 0
    """Sessions published together; 0: as many as the allowance has room for, at most 40."""
    decoded_cache_mib: int = 256
    """Memory for decoded files, kept between reads, in mebibytes; a part of the allowance. 0: nothing is kept."""

    def __post_init__(self) -> None:
        allowance = self.memory_allowance_mib
        require(
            0 <= self.decoded_cache_mib <= allowance / 2,
            "processing.decoded_cache_mib",
            self.decoded_cache_mib,
            f"0 to half of processing.memory_allowance_mib ({allowance})",
        )


@group("runs")
class RunSettings:
    """How long Dagster's runs may take, and which of their steps are tried again. No result depends on these."""

    max_runtime_seconds: Count = 21_600
    """The longest that any run may take, and each session of ``setbull run`` over several. The daemon then ends the run
    as failed, so that the queue goes on, and its process stops before the next session."""
    intraday_max_runtime_seconds: Count = 900
    """The longest that a run over the session under way may take, for which the ticks after it wait."""
    fetch_retries: CountOrNone = 2
    """How often the step that asks the broker is tried again when it fails, for a disk or an object store that cannot
    be reached; single requests have ``upstox.attempts``. Steps that compute would only fail again."""
    fetch_retry_seconds: AboveZero = 60.0
    """Wait before the step is tried again for the first time; every further wait is twice as long."""
    fail_on_divergence: bool = True
    """Whether a run, whatever launched it, ends as failed, in red, when V2 differs from V1 on one of its days: after
    all its work is done and, where it serves, everything is served from V1."""


@group("report")
class ReportSettings:
    """What the daily report shows."""

    chart_sessions: Count = 60
    """Sessions of daily bars in a chart, the day included; its file grows with them."""


_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[a-z0-9][a-z0-9._-]*)*")


@group("storage")
class StorageSettings:
    """How the warehouse keeps its files."""

    keep_versions: Annotated[int, Ge(2)] = 3
    """Versions of a partition kept on disk, the current one included."""
    intermediate_limit_mib: CountOrNone = 0
    """Disk space of the tables of V1 and V2 together, in mebibytes. Maintenance brings them back to it by removing the
    files that were not used for the longest time; what coming sessions look back on stays. 0: no limit."""
    intermediate_days: CountOrNone = 0
    """Days without use after which maintenance removes a file of V1 or V2 in any case; 0: never."""
    runs_days: CountOrNone = 90
    """Days after which maintenance deletes a run of Dagster with its events, and the traceback of an error; 0: never.
    Tables stay. The UI then shows only of the reconciliation that such a session was computed."""
    scrub_seconds: Count = 600
    """Longest time that a scrub reads stored files to hold them against their hashes; the next goes on from there."""
    remote: Annotated[
        str,
        text_that(
            lambda text: not text or _BUCKET.fullmatch(text),
            "'' or s3://BUCKET/PREFIX of lower-case letters, digits, '.', '-' and '_'",
        ),
    ] = ""
    """Object store that several machines share, as ``s3://bucket/prefix``; the data folder then holds copies. Endpoint,
    region and credentials are read from the environment variables ``AWS_*`` only. Empty: the data folder is all."""

    def __post_init__(self) -> None:
        require(
            not self.remote or not (self.intermediate_limit_mib or self.intermediate_days),
            "storage.remote",
            self.remote,
            "'' with storage.intermediate_limit_mib or storage.intermediate_days: what one machine did not use for "
            "long may be what another one needs",
        )
