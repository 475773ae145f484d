"""Every setting and how its value comes about: `load` gives `Settings` and, for each
setting, where its value is from.
"""

from detector.settings.declared import DEFAULT_PORT, Settings, shipped_patterns_dir
from detector.settings.loading import Origins, SettingsError, load, settings_of, shown

__all__ = [
    "DEFAULT_PORT",
    "Origins",
    "Settings",
    "SettingsError",
    "load",
    "settings_of",
    "shipped_patterns_dir",
    "shown",
]
