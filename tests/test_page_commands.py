"""Every shell block of the pages runs in a prepared folder, or is held to something real."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import jinja2
import pytest
import yaml

from tests.support.page_blocks import DATA, PROGRAMS, ROOT, SHELL, Block, blocks, blocks_of
from tests.support.page_sandbox import Sandbox, made, with_the_example

BIN = Path(sys.executable).parent
ALL = blocks()
SHELL_PAGES = sorted({block.page for block in ALL if block.language in SHELL})

# Blocks that show what is printed or how things lie: page → their first words.
OUTPUT = {
    "README.md": ("200 hosts, 200,000 lines",),  # tests/test_demo.py
    "docs/architecture.md": ("Kafka topic, files, stdin",),
    "docs/fleet.md": ("kernel-logs ──►",),
    "docs/queries.md": ("/api/v1/incidents?",),  # asked below
    "docs/receivers.md": ("[critical] db-17",),  # tests/alert/test_message.py
    "docs/symbols.md": ("The instruction read member",),  # tests/member/test_naming.py
}
# Commands that are run elsewhere: most need a broker, or go on until a signal ends them.
ELSEWHERE = {
    ("oopswatch", "run"): "tests/kafka/test_page_services.py",
    ("oopswatch", "detect"): "tests/kafka/test_page_services.py",
    ("oopswatch", "archive"): "tests/kafka/test_page_services.py",
    ("oopswatch", "positions"): "tests/kafka/test_page_services.py",
    ("kafka-topics.sh",): "tests/kafka/test_page_services.py",
    ("oopswatch", "serve"): "tests/deploy/test_wheel.py",
    ("oopswatch", "patterns", "check"): "tests/test_project.py",  # seconds: once is enough
}


def parsed(words: list[str], *arguments: tuple[str, ...]) -> argparse.Namespace:
    """The words behind a program's name, by the options that are given here and by no others."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for names in arguments:
        parser.add_argument(*names)
    found, rest = parser.parse_known_args(words)
    assert rest == [], rest
    return found


def done(*words: object, **named: object) -> str:
    """What a program prints that has to end with 0."""
    result = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **named
    )
    assert result.returncode == 0, (words, result.stderr[-1_000:])
    return result.stdout


def make(words: list[str], _: Sandbox) -> None:
    """Its targets run for minutes and are tests of their own; what they would run can be said."""
    assert done("make", "--dry-run", *words, cwd=ROOT).strip()


def pip(words: list[str], _: Sandbox) -> None:
    """Installing asks an index (tests/first_minutes.sh does); what is installed must be this
    project, by one of its extras, or something that the locks name.
    """
    assert words[0] == "install"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in words[1:]:
        name, extra = re.fullmatch(r"([\w./*-]+)(?:\[(\w+)\])?", wanted).groups()
        assert extra is None or extra in project["optional-dependencies"], wanted
        locks = (ROOT / "requirements-dev.lock").read_text()
        assert (
            name in {".", "oopswatch", "./oopswatch-*.whl"}
            or f"\n{name}==" in locks
            or name == "pyspark"  # `make spark` brings it
        ), wanted


def python(words: list[str], _: Sandbox) -> None:
    """An environment is made by each `make demo`; a module must be there."""
    assert words[0] == "-m"
    done(sys.executable, "-m", words[1], "--help")


def docker(words: list[str], _: Sandbox) -> None:
    """No daemon builds images here: the file that is named is there, and hadolint reads it."""
    assert words[0] == "build"
    given = parsed(words[1:], ("-f",), ("-t",), ("context",))
    assert (ROOT / given.f).is_file()
    assert (ROOT / given.context / "pyproject.toml").is_file()


def apt(words: list[str], _: Sandbox) -> None:
    """Root alone installs: the package has the name that the build gives it."""
    verb, pattern = words
    assert verb == "install"
    build = (ROOT / "deploy" / "debian" / "build.sh").read_text()
    (name,) = set(re.findall(r"\"build/(oopswatch_\S+\.deb)\"", build))
    assert fnmatch(f"./build/{name}", pattern)


def kubectl(words: list[str], sandbox: Sandbox) -> None:
    """No cluster is here: what would be created is printed by the client, overlays are rendered."""
    if not any(os.access(Path(folder) / "kubectl", os.X_OK) for folder in os.get_exec_path()):
        pytest.skip("kubectl is not installed")
    if "create" in words:
        shown = done("kubectl", *words, "--dry-run=client", "-o", "yaml", cwd=sandbox.folder)
        assert yaml.safe_load(shown)["kind"] in {"Namespace", "Secret"}
        return
    verb, flag, folder = words
    assert (verb, flag) == ("apply", "-k")
    assert list(yaml.safe_load_all(done("kubectl", "kustomize", ROOT / folder)))


def modprobe(words: list[str], _: Sandbox) -> None:
    """Root alone loads modules: the parameter has the kernel's own form (Linux 6.12
    Documentation/networking/netconsole.rst, "Configuration").
    """
    name, parameter = words
    form = r"netconsole=\+?r?(\d+)?@([\d.]+)?/(\w+)?,(\d+)?@[\d.]+/([\da-f:]{17})?"
    assert name == "netconsole"
    assert re.fullmatch(form, parameter)


def grafana(words: list[str], _: Sandbox) -> None:
    """Grafana is not here: the plugin is the one that the data source asks for."""
    *verb, plugin = words
    assert verb == ["cli", "plugins", "install"]
    source = yaml.safe_load((ROOT / "deploy" / "grafana" / "datasource.yaml").read_text())
    assert plugin in {each["type"] for each in source["datasources"]}


def spark(words: list[str], _: Sandbox) -> None:
    """Spark is not here (`make spark` brings and runs it): the job reads its own arguments."""
    at = words.index("backfill.py")
    parsed(words[:at], ("--master",), ("--archives",))
    job = ROOT / "deploy" / "spark" / "backfill.py"
    code = (
        "import sys; sys.modules['pyspark'] = sys.modules['pyspark.sql'] = "
        "__import__('unittest.mock').mock.MagicMock(); "
        f"import runpy; sys.argv[1:] = {words[at + 1 :]!r}; "
        f"print(runpy.run_path({str(job)!r})['arguments']())"
    )
    assert "paths=[" in done(sys.executable, "-c", code)


def datasette(words: list[str], sandbox: Sandbox) -> None:
    """Asked for one answer instead of serving on."""
    words = [str(ROOT / word) if word.startswith("deploy/") else word for word in words]
    shown = done(BIN / "datasette", *words, "--get", "/history/open_incidents.json?_shape=array")
    assert [row["host"] for row in json.loads(shown)] == ["web-12"], sandbox


def curl(words: list[str], sandbox: Sandbox) -> None:
    """The pages are served, at a port of their own."""
    with served(sandbox) as url:
        words = [re.sub("http://127.0.0.1:8470", url, word) for word in words]
        shown = done("curl", "--fail", "--silent", *words)
    assert json.loads(shown)["incidents"] == []  # the example's host is no db-…


def activate(words: list[str], _: Sandbox) -> None:
    """What a virtual environment brings; first_minutes.sh does it."""
    assert re.fullmatch(r"(\.venv|oopswatch)/bin/activate", words[0])


HELD: dict[str, Callable[[list[str], Sandbox], None]] = {
    "make": make, "pip": pip, "oopswatch/bin/pip": pip, "/opt/oopswatch/bin/pip": pip, "pipx": pip,
    "python3": python, ".": activate, "docker": docker, "apt": apt, "kubectl": kubectl,
    "modprobe": modprobe, "grafana": grafana, "spark-submit": spark, "datasette": datasette,
    "curl": curl,
}  # fmt: skip
"""Program → how it is held where it cannot run as it stands; each docstring says why it cannot."""


class served:  # noqa: N801
    """The sandbox's history as pages, while the block runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __enter__(self) -> str:
        environment = os.environ | self.sandbox.environment | {"OOPSWATCH_SERVE_PORT": "0"}
        self.process = subprocess.Popen(
            [BIN / "oopswatch", "serve"], env=environment, stderr=subprocess.PIPE
        )
        return json.loads(self.process.stderr.readline())["url"].rstrip("/")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)


def refused(command: str, sandbox: Sandbox) -> str | None:
    """What is wrong with one command line; None where it works or is held."""
    for part in re.split(r" && ", re.sub(r"\s&$|\s&\s+#.*$", "", command)):
        words, _ = sandbox.words(part)
        if any(tuple(words[: len(start)]) == start for start in ELSEWHERE):
            continue
        if words[0] == "oopswatch":
            fault = sandbox.run(part)
            if fault:
                return fault
            continue
        if words[0] not in HELD:
            return f"{part}: no test runs {words[0]}: add it to HELD, with the reason"
        try:
            HELD[words[0]](words[1:], sandbox)
        except (AssertionError, argparse.ArgumentError, ValueError, AttributeError) as error:
            return f"{part}: {error}"
    return None


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with one incident."""
    return with_the_example(tmp_path_factory.mktemp("history") / "history.db")


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_commands_work(page: str, history: Path, tmp_path: Path) -> None:
    """All of a page, in its order, in one folder. What README's consoles show is held to what is
    printed, too, by tests/test_project.py, which runs them.
    """
    sandbox = made(tmp_path, history)
    run_there = ("README.md", "console")
    commands = [
        each
        for block in ALL
        if block.page == page and block.language in SHELL
        if (block.page, block.language) != run_there
        for each in block.commands()
    ]
    faults = [f"{at}: {fault}" for at, line in commands if (fault := refused(line, sandbox))]
    assert commands
    assert faults == []


def unread(block: Block) -> str | None:
    """What is wrong with a block that is no shell's; None where it is read or a known output."""
    if block.language in DATA:
        try:
            read = {
                "toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads,
                "python": lambda text: compile(text, block.page, "exec"),
                "jinja": jinja2.Environment().parse,
            }[block.language]  # fmt: skip
            read(block.text)
        except (ValueError, yaml.YAMLError, SyntaxError, jinja2.TemplateError) as error:
            return f"{block.page}:{block.line}: {error}"
        return None
    if block.language in SHELL:
        return None
    if block.text.strip().startswith(OUTPUT.get(block.page, ())):
        return None
    return (
        f"{block.page}:{block.line}: neither commands nor data nor a known output: name its "
        "language, or add it to OUTPUT"
    )


def test_every_other_block_is_read() -> None:
    """By the parser of its language, or it stands among the outputs."""
    assert [fault for block in ALL if (fault := unread(block))] == []
    assert set(OUTPUT) <= {block.page for block in ALL}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```\nwhatever this is\n```\n", "neither commands nor data"),
        ("Text.\n\n    oops --this\n", "neither commands nor data"),
        ("```sh\nterraform apply\n```\n", "no test runs terraform"),
        ("```sh\noopswatch incidents list --sinse 7d\n```\n", "No such option"),
        ("```sh\noopswatch incidents list extra\n```\n", "unexpected extra argument"),
        ("```console\n$ oopswatch scan absent.log\n```\n", "absent.log"),
        ("```sh\nmake nothing\n```\n", "No rule to make target"),
        ("```sh\ndocker build -f deploy/Absent -t x .\n```\n", "docker build"),
        ("```sh\npip install 'oopswatch[absent]'\n```\n", "absent"),
        ("```toml\n[[rule]\n```\n", "page.md:2"),
    ],
)
def test_a_block_that_does_not_work_is_noticed(text: str, fault: str, tmp_path: Path) -> None:
    """The tests above can fail, each in its way."""
    (block,) = blocks_of("page.md", text)
    sandbox = Sandbox(tmp_path, {})
    said = [refused(command, sandbox) for _, command in block.commands()]
    if block.language not in SHELL:
        said = [unread(block)]
    assert fault in "\n".join(each or "" for each in said)


def test_what_runs_elsewhere_is_there() -> None:
    """The files that the table names, and every program has its line."""
    assert all((ROOT / name).is_file() for name in ELSEWHERE.values())
    held = {*HELD, "oopswatch", *(start[0] for start in ELSEWHERE)}
    assert set(PROGRAMS) <= held
