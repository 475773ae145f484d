"""Fetches the peers by their own packages: Debian's, PyPI's (into an environment of their own),
crates.io's. `python -m bench.install`.

Out: for each peer the path of its program, or why it is not there; what is there already is not
fetched again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from bench import options

VENV = options.HERE / ".venv"
PYPI = ("drain3==0.9.11", "quixstreams==3.28.1")
RSIGMA = "0.23.0"
KAFKA_TOOLS = (
    "4.1.0"  # the newest of Maven Central's kafka-tools; its client is of that version too
)
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>oopswatch</groupId><artifactId>kafka-tools</artifactId><version>1</version><packaging>pom</packaging><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_TOOLS}</version></dependency></dependencies></project>
"""
_DEBIAN = {
    "rg": "ripgrep",
    "sec": "sec",
    "syslog-ng": "syslog-ng-core",
    "mtail": "mtail",
    "taskset": "util-linux",
}


@cache
def program(name: str) -> tuple[Path | None, str]:
    """(path, "") or (None, reason)."""
    if name == "rsigma":
        return _rsigma()
    if name == "kafka-tools":
        return _kafka_tools()
    if name in {"drain3", "quixstreams"}:
        return _python(name)
    found = _which(name)
    if found is None and name == "syslog-ng" and _which("rsyslogd"):
        return None, "its Debian package would take the place of this machine's rsyslog"
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        package = _DEBIAN[name]
        reason = _do("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package)
        found = _which(name)
        return (
            (found, "")
            if found
            else (None, f"the Debian package {package} cannot be installed: {reason}")
        )
    return (
        (found, "")
        if found
        else (None, f"not installed, and packages need root (Debian: {_DEBIAN[name]})")
    )


def _which(name: str) -> Path | None:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(found) if found else None


def _python(name: str) -> tuple[Path | None, str]:
    """The interpreter of the environment that holds the libraries."""
    python = VENV / "bin" / "python"
    if not python.exists() and (reason := _do(sys.executable, "-m", "venv", str(VENV))):
        return None, f"no environment: {reason}"
    if _do(str(python), "-c", f"import {name}"):
        reason = _do(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYPI
        )
        if reason:
            return None, f"PyPI's {name} cannot be installed: {reason}"
    return python, ""


def _rsigma() -> tuple[Path | None, str]:
    """Built from crates.io: ten minutes, once."""
    built = options.TOOLS / "bin" / "rsigma"
    if built.exists():
        return built, ""
    if shutil.which("cargo") is None:
        return None, "crates.io's rsigma needs cargo, which is not installed"
    print(f"building rsigma {RSIGMA}, which takes some ten minutes …", flush=True)
    reason = _do(
        "cargo",
        "install",
        "--quiet",
        "--locked",
        "--root",
        str(options.TOOLS),
        "--version",
        RSIGMA,
        "rsigma",
        within_s=3600,
    )
    return (built, "") if not reason else (None, f"cargo cannot build rsigma {RSIGMA}: {reason}")


def _kafka_tools() -> tuple[Path | None, str]:
    """The folder of jars with Apache Kafka's own consumer-perf-test."""
    home = options.TOOLS / f"kafka-tools-{KAFKA_TOOLS}"
    if home.is_dir():
        return home, ""
    options.TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.TOOLS) as scratch:
        (Path(scratch) / "pom.xml").write_text(_POM)
        jars = Path(scratch) / "jars"
        words = (
            "-B",
            "-q",
            "-f",
            f"{scratch}/pom.xml",
            "dependency:copy-dependencies",
            f"-DoutputDirectory={jars}",
        )
        if reason := _do("mvn", *words):
            return None, f"Maven cannot fetch kafka-tools {KAFKA_TOOLS}: {reason}"
        jars.rename(home)
    return home, ""


def _do(*words: str, within_s: float = 600) -> str:
    """Empty, or the last line of what went wrong."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = (done.stderr or done.stdout).strip().splitlines()
    return (said[-1] if said else f"exit {done.returncode}") if done.returncode else ""


if __name__ == "__main__":
    for wanted in (*_DEBIAN, "drain3", "quixstreams", "kafka-tools", "rsigma"):
        path, why = program(wanted)
        print(f"{wanted}: {path or why}", flush=True)
