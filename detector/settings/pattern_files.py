"""The pattern files in force: the shipped ones, then the user's; a later file of one name
replaces the earlier.

In: settings. Out: path → text, for the catalogue to read. A file that cannot be read is a
`SettingsError` that names it.
"""

from __future__ import annotations

from pathlib import Path

from detector.settings.declared import Settings, shipped_patterns_dir
from detector.settings.loading import SettingsError


def pattern_files(settings: Settings) -> dict[str, str]:
    """Path → text of the pattern files in force."""
    files: dict[str, tuple[Path, str]] = {}
    for folder in (shipped_patterns_dir(), *settings.patterns.directories):
        for path in sorted(folder.rglob("*.toml")):
            try:
                files[str(path.relative_to(folder))] = path, path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or error
                raise SettingsError([f"{path}: cannot be read: {reason}"]) from error
    return {str(path): text for path, text in files.values()}
