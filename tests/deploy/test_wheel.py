from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the built wheel's content, as an installer would lay it out."""
    built = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_carries_all_patterns(installed):
    """Each pattern file of the checkout, byte for byte."""
    shipped = {
        path.relative_to(ROOT / "patterns"): path.read_bytes()
        for path in (ROOT / "patterns").rglob("*")
        if path.is_file()
    }
    carried = installed / "detector" / "_patterns"
    assert {
        path.relative_to(carried): path.read_bytes()
        for path in carried.rglob("*")
        if path.is_file()
    } == shipped
    assert any(path.suffix == ".toml" for path in shipped)


def test_wheel_carries_the_package_alone(installed):
    """No tests, no caches, no folder beside the package."""
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {
        "detector"
    }
    assert not list(installed.rglob("__pycache__"))


def test_start_page_leads_to_an_incident(installed, tmp_path):
    """Its commands behind the installation, word for word, in an empty folder: the page of an
    incident is served. `tests/first_minutes.sh wheel` follows it from an empty environment into a
    browser.
    """
    program = tmp_path / "bin" / "oopswatch"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom detector.cli import main\nmain()\n")
    program.chmod(0o755)
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "start.md").read_text(), re.DOTALL)
    commands = [line for line in block.splitlines() if line.startswith("oopswatch ")]
    assert len(commands) == 4
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(tmp_path),
        "CONFIGURATION_DIRECTORY": str(tmp_path),
        "OOPSWATCH_SERVE_PORT": "0",  # others may have the usual one
    }
    *before, serve = commands
    for command in before:
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 1}, (command, done.stderr)
    incident = re.search(r"^[0-9a-f]{16}", done.stdout, re.MULTILINE)
    serving = subprocess.Popen(
        shlex.split(serve.removesuffix("&")), cwd=folder, env=environment, stderr=subprocess.PIPE
    )
    try:
        said = json.loads(serving.stderr.readline())
        with urllib.request.urlopen(f"{said['url']}incidents/{incident[0]}", timeout=60) as answer:
            assert "Attempt to release TCP socket" in answer.read().decode()
    finally:
        serving.terminate()
        serving.communicate(timeout=60)


def test_command_finds_the_patterns_that_the_wheel_brought(installed, tmp_path):
    """`oopswatch patterns list`, run from the wheel's content, reads the patterns inside it."""
    code = (
        "import detector.cli as cli, sys; print(cli.__file__, file=sys.stderr); sys.argv[0] = "
        "'oopswatch'; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "patterns", "list"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
        },  # the folder stays as the wheel laid it out
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.startswith(str(installed))
    assert "kernel.paging-request" in done.stdout
    assert done.returncode == 0


@pytest.fixture(scope="module")
def written(installed, tmp_path_factory) -> Path:
    """What `oopswatch samples` writes, run from the wheel's content alone."""
    folder = tmp_path_factory.mktemp("samples")
    done = subprocess.run(
        [sys.executable, "-c", "from detector.cli import main; main()", "samples", "files"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "files"


def test_samples_are_those_of_the_checkout(written):
    """Every page, every file of deploy and every pattern, byte for byte, and nothing else."""
    tracked = subprocess.run(
        ["git", "ls-files", "docs", "deploy", "patterns", "README.md", "CHANGELOG.md",
         "CONTRIBUTING.md", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    there = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert there - {
        f"completions/{name}" for name in ("oopswatch", "_oopswatch", "oopswatch.fish")
    } == {name for name in tracked if not name.endswith(".zst")}
    changed = [
        name
        for name in there & {*tracked}
        if (written / name).read_bytes() != (ROOT / name).read_bytes()
    ]
    assert changed == []


def test_links_of_the_written_pages_lead_to_what_is_written(written):
    """A reader without a checkout can follow each."""
    broken = [
        f"{page.relative_to(written)}: {target}"
        for page in written.rglob("*.md")
        for target in re.findall(
            r"\]\(([^)\s#]+)[^)]*\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        )
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_completions_complete(written, tmp_path):
    """bash reads its file and then knows commands and options; the others have theirs."""
    program = tmp_path / "oopswatch"
    program.write_text(f"#!{sys.executable}\nfrom detector.cli import main\nmain()\n")
    program.chmod(0o755)
    script = (
        f"source {written}/completions/oopswatch; COMP_WORDS=(oopswatch incidents list --sin); "
        "COMP_CWORD=3; _oopswatch_completion oopswatch --sin list; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["--since"], done.stderr
    for name, word in (
        ("_oopswatch", "#compdef oopswatch"),
        ("oopswatch.fish", "complete --no-files --command oopswatch"),
    ):
        assert word in (written / "completions" / name).read_text()


def test_samples_go_into_a_new_folder_only(tmp_path):
    """What somebody has there is not written over."""
    from click.testing import CliRunner

    from detector.cli import oopswatch

    (tmp_path / "own").write_text("mine")
    done = CliRunner().invoke(oopswatch, ["samples", str(tmp_path)])
    assert (done.exit_code, done.output) == (
        2,
        f"oopswatch: {tmp_path}: it is not empty: name a folder that is new\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
