from __future__ import annotations

import re

import pytest

from detector.settings import SettingsError, load


def test_shipped_settings_load(deploy):
    """The shipped settings file holds."""
    settings, origins = load(deploy / "oopswatch.toml", {}, {})
    assert settings.store.path.is_relative_to("/var/lib/oopswatch")
    assert settings.kafka.topics == ("kernel-logs",)
    assert origins["kafka.topics"] == f"{deploy / 'oopswatch.toml'}:6"


def test_commented_settings_are_settings(deploy, tmp_path):
    """What the shipped file offers in comments is known; only the files that it names are missing
    here.
    """
    text = (deploy / "oopswatch.toml").read_text()
    whole = tmp_path / "whole.toml"
    whole.write_text(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE))
    with pytest.raises(SettingsError) as caught:
        load(whole, {}, {})
    missing = {
        "kafka.ssl_cafile",
        "kafka.sasl_password_file",
        "kafka.sasl_mechanism",
        "patterns.directories",
    }
    assert {fault.split(": ")[1].split(" = ")[0] for fault in caught.value.faults} <= missing
