from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.parse import FORMATS
from detector.settings import Settings, SettingsError, load, shipped_patterns_dir, shown
from detector.settings.declared import NAMES, declared
from detector.settings.records import Format

ROOT = Path(__file__).parent.parent


def written(tmp_path: Path, text: str) -> Path:
    """A settings file with this text."""
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def faults(
    path: Path | None = None,
    overrides: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[str, ...]:
    """The mistakes that loading tells."""
    with pytest.raises(SettingsError) as caught:
        load(path, overrides, environment or {})
    return caught.value.faults


def test_defaults_hold_without_any_layer(tmp_path, monkeypatch):
    """No file, no environment, no override: every setting is its default and says so."""
    monkeypatch.chdir(tmp_path)
    settings, origins = load(None, {}, {})
    assert settings == Settings()
    assert set(origins) == NAMES
    assert set(origins.values()) == {"default"}


def test_stronger_layers_win_and_origins_say_which(tmp_path):
    """Command line over environment over file over default, each named as the origin."""
    path = written(
        tmp_path, '[kafka]\ngroup = "from-file"\ntopics = ["from-file"]\nclient_id = "from-file"\n'
    )
    environment = {"OOPSWATCH_KAFKA_TOPICS": "a, b", "OOPSWATCH_KAFKA_GROUP": "from-environment"}
    settings, origins = load(path, {"kafka.group": "from-command-line"}, environment)
    assert settings.kafka.client_id == "from-file"
    assert settings.kafka.topics == ("a", "b")
    assert settings.kafka.group == "from-command-line"
    assert origins["kafka.client_id"] == f"{path}:4"
    assert origins["kafka.topics"] == "OOPSWATCH_KAFKA_TOPICS"
    assert origins["kafka.group"] == "command line"
    assert origins["kafka.poll_ms"] == "default"


def test_file_in_the_working_directory_is_found(tmp_path, monkeypatch):
    """Without --config, ./oopswatch.toml is read."""
    (tmp_path / "oopswatch.toml").write_text("[boots]\ntolerance_s = 60\n")
    monkeypatch.chdir(tmp_path)
    settings, origins = load(None, {}, {})
    assert settings.boots.tolerance_s == 60
    assert origins["boots.tolerance_s"] == "oopswatch.toml:2"


def test_file_of_the_units_folder_is_found(tmp_path, monkeypatch):
    """Where systemd names one or more; the working directory's own is stronger."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "oopswatch.toml").write_text('[kafka]\ntopics = "b"\n')
    monkeypatch.chdir(folders[0])
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", ":".join(map(str, folders)))
    assert load(environment={})[0].kafka.topics == ("b",)
    (folders[0] / "oopswatch.toml").write_text('[kafka]\ntopics = "a"\n')
    assert load(environment={})[0].kafka.topics == ("a",)


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path):
    """Unknown names get a guess, wrong values their reason; file, line, variable or command line is
    named.
    """
    path = written(tmp_path, '[kafka]\ntopcis = ["a"]\npoll_ms = "soon"\n\n[stor]\npath = "x"\n')
    told = faults(
        path, {"match.strikes": 0}, {"OOPSWATCH_LOG_LEVL": "info", "OOPSWATCH_KAFKA_TOPICS": "a b"}
    )
    assert f'{path}:2: kafka.topcis: unknown setting, did you mean "topics"?' in told
    assert f'{path}:5: stor: unknown table, did you mean "store"?' in told
    assert 'OOPSWATCH_LOG_LEVL: log.levl: unknown setting, did you mean "level"?' in told
    assert any(line.startswith(f"{path}:3: kafka.poll_ms = soon: ") for line in told)
    assert any(line.startswith("OOPSWATCH_KAFKA_TOPICS: kafka.topics = a b: ") for line in told)
    assert any(line.startswith("command line: match.strikes = 0: ") for line in told)
    assert len(told) == 6
    assert not any("\n" in line for line in told)


def test_variables_that_are_no_settings_are_left_alone():
    """Other variables with the prefix belong to somebody else."""
    settings, _ = load(None, {}, {"OOPSWATCH_STRICT": "1", "PATH": "/bin"})
    assert settings == Settings()


@pytest.mark.parametrize(
    "content", [b"[kafka\n", b"\xff\xfe", b"kafka = 1\n", b"\x89PNG\r\n\x1a\n"]
)
def test_file_that_is_no_settings_file_is_one_line(tmp_path, content):
    """Bad TOML, bad UTF-8, a value in place of a table, an image: one line with the path."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    told = faults(path)
    assert len(told) == 1
    assert told[0].startswith(f"{path}:")


def test_missing_file_is_told(tmp_path):
    """A file that was asked for must be there."""
    path = tmp_path / "none.toml"
    assert faults(path) == (f"{path}: cannot be read: No such file or directory",)


def test_password_comes_from_a_file_and_is_never_shown(tmp_path):
    """The line end is dropped; neither the settings' text nor `shown` nor an error carries the
    password.
    """
    secret = tmp_path / "password"
    secret.write_text("hunter2 \n")
    given = {
        "kafka.security_protocol": "SASL_SSL",
        "kafka.sasl_mechanism": "PLAIN",
        "kafka.sasl_username": "ow",
    }
    settings, origins = load(None, given | {"kafka.sasl_password_file": str(secret)}, {})
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "hunter2 "
    assert "hunter2" not in repr(settings) + str(settings) + repr(shown(settings, origins))
    told = faults(None, {"kafka.poll_ms": 0}, {"OOPSWATCH_KAFKA_SASL_PASSWORD": "hunter2"})
    assert "hunter2" not in "".join(told)


def test_password_from_the_environment_beats_the_file(tmp_path):
    """The environment is the stronger layer."""
    secret = tmp_path / "password"
    secret.write_text("weak")
    settings, _ = load(
        None, {"kafka.sasl_password_file": str(secret)}, {"OOPSWATCH_KAFKA_SASL_PASSWORD": "strong"}
    )
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "strong"


def test_password_in_the_settings_file_is_refused(tmp_path):
    """A file that is read by many holds no password, and the refusal does not repeat it."""
    path = written(tmp_path, '[kafka]\nsasl_password = "hunter2"\n')
    told = faults(path)
    assert told == (
        (
            f"{path}:2: kafka.sasl_password: a password does not belong here; name a file in "
            "sasl_password_file"
        ),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"kafka.security_protocol": "SASL_SSL"},
            "needs sasl_mechanism, sasl_username and sasl_password_file",
        ),
        ({"kafka.ssl_cafile": __file__}, "which does not encrypt"),
        (
            {"kafka.security_protocol": "SSL", "kafka.ssl_keyfile": __file__},
            "ssl_keyfile is set without ssl_certfile",
        ),
        (
            {"kafka.security_protocol": "SSL", "kafka.ssl_cafile": "/nowhere/ca.pem"},
            "kafka.ssl_cafile = /nowhere/ca.pem",
        ),
        ({"kafka.bootstrap_servers": "broker one"}, "kafka.bootstrap_servers = broker one"),
        ({"kafka.topics": ""}, "kafka.topics"),
        ({"parse.timezone": "Mars/Olympus"}, "parse.timezone = Mars/Olympus"),
        ({"patterns.directories": "/nowhere/patterns"}, "patterns.directories = /nowhere/patterns"),
        ({"kafka.sasl_password_file": "/nowhere/password"}, "cannot be read"),
        ({"kafka.unheard": 1}, "command line: kafka.unheard: unknown setting"),
    ],
)
def test_settings_that_do_not_go_together_are_told(given, said):
    """What would fail late, or be ignored silently, fails at once."""
    assert any(said in line for line in faults(None, given))


WRONG = {
    "text": '"x y"',
    "empty": '""',
    "negative": "-1",
    "huge": "100000000000000000000",
    "fraction": "1.5",
    "not a number": "nan",
    "date": "2020-01-01",
    "list": "[1]",
    "table": "{ a = 1 }",
    "lines": '"a\\nb"',
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_one_sentence_that_names_file_line_setting_and_what_is_allowed(
    tmp_path, value
):
    """For every setting, whatever stands there; and no number is one that nothing can hold."""
    refused = 0
    for group, name, _ in declared():
        path = written(tmp_path, f"[{group}]\n{name} = {value}\n")
        try:
            settings, _ = load(path, {}, {})
        except SettingsError as error:
            refused += 1
            told = [line for line in error.faults if "cannot be read" not in line]
            assert len(told) == 1, told
            assert told[0].startswith(f"{path}:2: {group}.{name}")
            assert "it must be " in told[0] or "a password does not belong here" in told[0]
            assert told[0].isprintable()
        else:
            number = getattr(getattr(settings, group), name)
            assert not isinstance(number, int) or abs(number) <= 10**9
    assert refused > 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka = 1\n", "own.toml:1: kafka: it must be one table: write [kafka]"),
        ("[[kafka]]\ntopics = ['a']\n", "own.toml:1: kafka: it must be one table: write [kafka]"),
        ("[kafka.topics]\na = 1\n", "own.toml:1: kafka.topics = a=1: it must be a list of topics"),
        ("[serve.limits]\na = 1\n", "own.toml:1: serve.limits: unknown setting"),
    ],
)
def test_a_wrong_table_is_told_as_one(tmp_path, text, said):
    """In place of a table, or a table in place of a setting."""
    (told,) = faults(written(tmp_path, text))
    assert said in told


def test_a_misspelt_variable_is_told():
    """Other names with the prefix are left alone; one that nearly is a setting's is not."""
    assert faults(None, {}, {"OOPSWATCH_KAFAK_TOPICS": "a"}) == (
        "OOPSWATCH_KAFAK_TOPICS: no setting: did you mean OOPSWATCH_KAFKA_TOPICS?",
    )


@pytest.mark.parametrize("full", sorted(NAMES))
def test_every_variable_is_told_by_its_name(full):
    """What a setting cannot be is refused with the variable, or it is taken."""
    variable = f"OOPSWATCH_{full.upper().replace('.', '_')}"
    for value in ("\udcff\n", "-1", "tru", "9" * 30):
        told: tuple[str, ...] = ()
        try:
            load(None, {}, {variable: value})
        except SettingsError as error:
            told = error.faults
        assert all(line.startswith(f"{variable}: ") for line in told)


def test_formats_are_those_that_are_read():
    """One that no reader knows is refused as any other value."""
    assert get_args(Format) == FORMATS
    (told,) = faults(None, {"parse.format": "dmseg"})
    assert "it must be auto, dmesg, kmsg" in told


@pytest.mark.parametrize("server", ["localhost", "b-1.example:9092", "10.0.0.1:9092", "[::1]:9092"])
def test_brokers_are_names_or_addresses(server):
    """Host names, IPv4 and bracketed IPv6, with or without port."""
    assert load(None, {"kafka.bootstrap_servers": server}, {})[0].kafka.bootstrap_servers == (
        server,
    )


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(NAMES)),
        st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.none()),
        max_size=4,
    )
)
def test_any_values_load_or_are_told(given_values):
    """Whatever stands in a setting, the answer is settings or SettingsError."""
    try:
        settings, _ = load(None, given_values, {})
    except SettingsError as error:
        told = error.faults
    else:
        told = (repr(settings),)
    assert all(told)


def test_every_setting_says_what_it_is():
    """No setting without a meaning; what is measured names its unit."""
    for group, name, declaration in declared():
        assert declaration.description, f"{group}.{name}"
        unit = declaration.json_schema_extra["unit"]
        assert not name.endswith("_ms") or unit == "ms"
        assert not name.endswith("_s") or unit == "s"


def test_shipped_patterns_are_found_in_a_checkout():
    """An editable install reads the folder that people edit."""
    assert shipped_patterns_dir() == ROOT / "patterns"


def test_page_is_what_the_code_says():
    """docs/settings.md is made from the declarations: `make docs` writes it anew."""
    made = subprocess.run(
        [sys.executable, "-m", "detector.settings"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    assert made == (ROOT / "docs" / "settings.md").read_text()


def test_a_group_of_two_words_is_set_by_the_environment():
    """`OOPSWATCH_<GROUP>_<NAME>` for every group."""
    settings, origins = load(None, {}, {"OOPSWATCH_KERNEL_ERRORS_COUNT": "false"})
    assert settings.kernel_errors.count is False
    assert origins["kernel_errors.count"] == "OOPSWATCH_KERNEL_ERRORS_COUNT"


@pytest.mark.parametrize("name", ["store.path", "alert.file", "known.index", "symbols.directory"])
def test_an_empty_path_is_no_path(tmp_path, name):
    """It would be the folder that the program was started in."""
    group, _, key = name.partition(".")
    path = written(tmp_path, f'[{group}]\n{key} = ""\n')
    with pytest.raises(SettingsError) as raised:
        load(path, environment={})
    fault = f'{path}:2: {name} = "": it must be a path that is not empty'
    assert raised.value.faults == (fault,)
