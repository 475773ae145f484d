from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_hadolint_has_nothing_to_say(deploy):
    """The container file keeps to hadolint's rules, without exceptions."""
    done = subprocess.run(
        [BIN / "hadolint", "--no-fail", deploy / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_compose_file_keeps_the_schema(deploy):
    """The compose specification knows every key."""
    command = [
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        deploy / "compose.yaml",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_the_image_copies_is_let_through():
    """Every path that the container file copies is there, and .dockerignore lets it into the
    build.
    """
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE
    )
    paths = {path for line in copied for path in line.split()}
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert paths == let_through
    assert all((ROOT / path).exists() for path in paths)


def test_container_runs_as_nobody_and_ends_cleanly(deploy):
    """A numeric user, a command that gets the signals itself, and the signal that ends it."""
    text = (deploy / "Dockerfile").read_text()
    assert "USER 65532:65532" in text
    assert 'ENTRYPOINT ["oopswatch"]' in text
    assert "STOPSIGNAL SIGTERM" in text
