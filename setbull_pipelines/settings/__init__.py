"""Every parameter of the pipeline: typed, checked, documented, split by who reads it.

Belongs here: the groups (``computing.py``, ``operating.py``, ``connecting.py``), how they are declared
(``declaring.py``), all of them together (``deployment.py``) and where they are read from (``loading.py``). Does not
belong here: behaviour, table columns, paths inside the warehouse. ``docs/settings.md`` is printed from it.
"""

from setbull_pipelines.settings.computing import (
    BB_WIDTH_RULES,
    PROFILES,
    AggregationSettings,
    BandWidthSettings,
    FilterSettings,
    GroupSettings,
    IndicatorSettings,
    LookBackSettings,
    SampleSettings,
    SequenceSettings,
)
from setbull_pipelines.settings.connecting import (
    LOG_CHANNEL,
    SEVERITIES,
    AlertSettings,
    ApiSettings,
    InputSettings,
    LiveSettings,
    UpstoxSettings,
)
from setbull_pipelines.settings.declaring import InvalidSettings
from setbull_pipelines.settings.deployment import Replay, Settings, fingerprint, replaying
from setbull_pipelines.settings.loading import (
    DATA_DIRECTORY_VARIABLE,
    FIRST_SESSION_FILE,
    INPUT_VARIABLE,
    SETTINGS_FILE_VARIABLE,
    SOURCE_FILE,
    UPSTOX_TOKEN_VARIABLE,
    data_directory,
    load_settings,
    recorded_source,
    source_record,
)
from setbull_pipelines.settings.operating import (
    CalendarSettings,
    ProcessingSettings,
    QualitySettings,
    ReconciliationSettings,
    RefreshSettings,
    ReportSettings,
    RolloutSettings,
    RunSettings,
    StorageSettings,
)

__all__ = [
    "BB_WIDTH_RULES",
    "DATA_DIRECTORY_VARIABLE",
    "FIRST_SESSION_FILE",
    "INPUT_VARIABLE",
    "LOG_CHANNEL",
    "PROFILES",
    "SETTINGS_FILE_VARIABLE",
    "SEVERITIES",
    "SOURCE_FILE",
    "UPSTOX_TOKEN_VARIABLE",
    "AggregationSettings",
    "AlertSettings",
    "ApiSettings",
    "BandWidthSettings",
    "CalendarSettings",
    "FilterSettings",
    "GroupSettings",
    "IndicatorSettings",
    "InputSettings",
    "InvalidSettings",
    "LiveSettings",
    "LookBackSettings",
    "ProcessingSettings",
    "QualitySettings",
    "ReconciliationSettings",
    "RefreshSettings",
    "Replay",
    "ReportSettings",
    "RolloutSettings",
    "RunSettings",
    "SampleSettings",
    "SequenceSettings",
    "Settings",
    "StorageSettings",
    "UpstoxSettings",
    "data_directory",
    "fingerprint",
    "load_settings",
    "recorded_source",
    "replaying",
    "source_record",
]
