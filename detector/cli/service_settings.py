"""The settings of a service, and the beginning of its log: `run` and `serve` share it."""

from __future__ import annotations

from pathlib import Path

from detector import telemetry
from detector.settings import Settings, SettingsError, settings_of


def service_settings(config_path: Path | None, **overrides: object) -> Settings:
    """Returns the settings of a service, which logs from here on: also what is wrong with them."""
    try:
        settings, _ = settings_of(config_path, **overrides)
    except SettingsError as error:
        telemetry.configure(style=error.log_format)
        raise
    telemetry.configure(settings.log.level, settings.log.format)
    return settings
