"""Files: `oopswatch scan` beside ripgrep with the same literals, and beside what correlates, counts
or learns. `python -m bench.files`.

Every contender is its user's command on one core, start-up included. Ripgrep and oopswatch read the
whole corpus; the others, up to a hundred times slower, its first tenth, and are compared by lines a
second. What correlates must find what was planted before it is timed.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from bench import options, wanted
from bench.corpora import HOSTS, SHARES, Corpus, check_corpus, corpora, line_count
from bench.figures import (
    Goal,
    Reported,
    Results,
    Row,
    disagreement,
    paired_ratio,
    per_unit,
    printed_incidents,
)
from bench.install import program
from bench.machine import facts, keep, version
from bench.peers import configurations
from bench.running import Command, Contender, FailedError, Ran, in_turn, run

SLICE = 10
SLICES = {"Drain3": 100}  # learns ten times slower than the slowest of the others reads
LIMITS = {SHARES[0]: 2.5, SHARES[1]: 6.0}
OOPSWATCH, RIPGREP = "oopswatch scan", "ripgrep -c"
BARE = "read and search"
BARE_LIMIT = 2.0
CORRELATING = ("SEC", "syslog-ng grouping-by", "rsigma", "plain Python regex")
NOTES = {
    OOPSWATCH: "the whole catalogue, all rules, reports, diagnoses, noise by program",
    RIPGREP: "counts lines with any of the same literals, nothing else",
    BARE: "the file through Hyperscan with the same literals, start-up included: the limit",
    "SEC": "one rule; event time by Perl code in the rules, its own windows know only arrival",
    "syslog-ng grouping-by": "one rule; whole seconds of wall time",
    "rsigma": (
        "one rule; whole seconds of wall time; built without its syslog input it gets JSON, "
        "made before and not charged"
    ),
    "plain Python regex": "one rule, and noise by program",
    "mtail": "counts both halves by host and noise by program; cannot correlate",
    "Drain3": "learns templates of messages; knows no hosts, no time, no incidents",
}


def main() -> int:
    """Measures everything and keeps the results."""
    results = Results("files", {**facts(), "peers": _versions()})
    with tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch:
        home = Path(scratch)
        wanted.write_literals(home / "literals")
        agreed = _checked(home, results)
        for one in corpora((hosts, share) for hosts in HOSTS for share in SHARES):
            _limit(one, home, results)
            if one.hosts == HOSTS[0]:
                _peers(one, home, agreed, results)
    keep(results)
    return 0


def _checked(home: Path, results: Results) -> dict[str, bool]:
    """Which of what correlates finds, in a small log, exactly what was planted."""
    small, agreed = check_corpus(), {}
    _agree(small, OOPSWATCH, run(_oopswatch(small.path)), results)
    for name in CORRELATING:
        try:
            agreed[name] = _agree(small, name, run(PEERS[name](home, small.path)), results)
        except (FailedError, LookupError) as error:
            agreed[name] = False
            results.not_run[name] = str(error)
    return agreed


def _versions() -> str:
    """The peers' programs and what they say of themselves."""
    asked = {
        "ripgrep": ("rg", "--version"),
        "SEC": ("sec", "--version"),
        "syslog-ng": ("syslog-ng", "--version"),
    }
    asked |= {"mtail": ("mtail", "--version"), "rsigma": ("rsigma", "--version")}
    found = {
        name: version(str(program(words[0])[0] or words[0]), *words[1:])
        for name, words in asked.items()
    }
    return ", ".join(f"{name} {number}" for name, number in found.items() if number)


def _limit(one: Corpus, home: Path, results: Results) -> None:
    """The whole corpus: oopswatch and ripgrep in turn."""
    lines, hit = one.lines(), int(run(_ripgrep(home, one.path)).output)
    results.checks.append(
        f"{one.title}: {lines:,} lines, {one.path.stat().st_size / 1e6:,.0f} MB, {hit:,} "
        f"hold a literal ({hit / lines:.3%})"
    )
    bare = Command(
        [sys.executable, "-m", "bench.bare_search", str(one.path), str(home / "literals")]
    )
    commands = {
        OOPSWATCH: _oopswatch(one.path),
        RIPGREP: _ripgrep(home, one.path),
        BARE: bare,
    }
    _agree(one, OOPSWATCH, run(commands[OOPSWATCH]), results)
    size = one.path.stat().st_size
    rows = in_turn(
        [_contender(one.title, name, command, lines, size) for name, command in commands.items()],
        options.ROUNDS,
    )
    results.rows += rows
    ratio = paired_ratio(rows[0].seconds, rows[1].seconds)
    results.goals.append(
        Goal(
            f"files, {one.title}: time against ripgrep with the same literals",
            LIMITS[one.share],
            ratio,
            "at most",
        )
    )
    if one.share == SHARES[0]:
        results.goals.append(
            Goal(
                f"files, {one.title}: time against reading and searching alone",
                BARE_LIMIT,
                paired_ratio(rows[0].seconds, rows[2].seconds),
                "at most",
            )
        )


def _peers(one: Corpus, home: Path, agreed: Mapping[str, bool], results: Results) -> None:
    """A beginning of it, mostly the first tenth: everything else in turn, oopswatch over the whole
    beside them.
    """
    contenders = [
        _contender(
            f"{one.title}, peers",
            OOPSWATCH,
            _oopswatch(one.path),
            one.lines(),
            one.path.stat().st_size,
        )
    ]
    for name, prepare in PEERS.items():
        try:
            if name in CORRELATING and not agreed[name]:
                results.not_run.setdefault(
                    name, "does not find what was planted, and so was not timed"
                )
                continue
            part = one.beginning(max(1, one.lines() // SLICES.get(name, SLICE)))
            command = prepare(home, part)
        except (FailedError, LookupError) as error:
            results.not_run[name] = str(error)
            continue
        contenders.append(
            _contender(f"{one.title}, peers", name, command, line_count(part), part.stat().st_size)
        )
    rows = in_turn(contenders, options.ROUNDS)
    results.rows += rows
    for row in rows:
        if row.name in CORRELATING[:3]:
            ratio = paired_ratio(per_unit(row), per_unit(rows[0]))
            results.goals.append(
                Goal(
                    f"files, {one.title}: lines/s against {row.name}, which correlates",
                    20,
                    ratio,
                    "at least",
                )
            )


def _contender(group: str, name: str, command: Command, lines: int, size: int) -> Contender:
    return Contender(
        Row(group, name, lines, "lines", size=size, note=NOTES[name]), lambda: run(command).seconds
    )


def _agree(one: Corpus, name: str, ran: Ran, results: Results) -> bool:
    """Whether the contender found what was planted; either way it is noted."""
    planted = one.truth().incidents
    reported = scanned(ran.output) if name == OOPSWATCH else printed_incidents(ran.output)
    wrong = disagreement(planted, reported)
    results.checks.append(
        f"{one.name}: {name} finds {wrong or f'the {len(planted)} incidents planted, and no other'}"
    )
    print(f"  {results.checks[-1]}", flush=True)
    return not wrong


def scanned(output: str) -> list[Reported]:
    """The incidents of `oopswatch scan --json`."""
    found = [
        json.loads(line) for line in output.splitlines() if line.startswith('{"type": "incident"')
    ]
    pairs = [item for item in found if item["rule"] == wanted.RULE]
    return [(item["host"], item["evidence"][0]["kernel_time_us"]) for item in pairs]


def _found(name: str) -> Path:
    """The program. Raises LookupError with the reason."""
    path, reason = program(name)
    if path is None:
        raise LookupError(reason)
    return path


@cache
def _jobs() -> tuple[str, ...]:
    """`--jobs 1`, where this version reads files side by side."""
    return (
        ("--jobs", "1")
        if "--jobs" in run(Command([_executable(), "scan", "--help"])).output
        else ()
    )


def _executable() -> Path:
    return Path(sys.executable).with_name("oopswatch")


def _oopswatch(path: Path) -> Command:
    return Command([_executable(), "scan", "--json", *_jobs(), path], fine=(0, 1))


def _ripgrep(home: Path, path: Path) -> Command:
    return Command([_found("rg"), "-c", "-j1", "-F", "-f", home / "literals", path])


def _written(home: Path, name: str, text: str) -> Path:
    path = home / name
    path.write_text(text, encoding="utf-8")
    return path


def _sec(home: Path, path: Path) -> Command:
    return Command(
        [
            _found("sec"),
            f"--conf={_written(home, 'sec.conf', configurations.sec())}",
            "--input=-",
            "--notail",
        ],
        feed=path,
    )


def _syslog_ng(home: Path, path: Path) -> Command:
    config = _written(home, "syslog-ng.conf", configurations.syslog_ng())
    places = ["-R", home / "sng.persist", "-c", home / "sng.ctl", "-p", home / "sng.pid"]
    return Command([_found("syslog-ng"), "-F", "--no-caps", "-f", config, *places], feed=path)


def _rsigma(home: Path, path: Path) -> Command:
    rsigma, rules = _found("rsigma"), _written(home, "pair.yml", configurations.rsigma())
    told = run(Command([rsigma, "--version"])).output
    shape, feed = ("syslog", path) if "daemon" in told else ("json", _as_json(home, path))
    options_ = ["--input-format", shape, "--no-detections", "--output-format", "ndjson"]
    return Command([rsigma, "engine", "eval", "-r", rules, *options_], feed=feed)


def _as_json(home: Path, path: Path) -> Path:
    """The lines as JSON, for an rsigma that was built without its syslog input; nobody is charged
    the time that takes.
    """
    made = home / f"{path.name}.ndjson"
    if not made.exists():
        with path.open(encoding="utf-8") as lines, made.open("w", encoding="utf-8") as out:
            for line in lines:
                if found := re.match(r"\w+ +(\d+) (\S+) (\S+) kernel: (.*)", line):
                    fields = {
                        "timestamp": f"2026-01-{int(found[1]):02d}T{found[2]}Z",
                        "hostname": found[3],
                        "message": found[4],
                    }
                    out.write(json.dumps(fields) + "\n")
    return made


def _mtail(home: Path, path: Path) -> Command:
    script = _written(home, "pair.mtail", configurations.mtail())
    return Command(
        [
            _found("mtail"),
            "--one_shot",
            "--port",
            "0",
            "--progs",
            script,
            "--logs",
            path,
            "--logtostderr",
        ]
    )


def _script(
    interpreter: Callable[[], Path],
    name: str,
    arguments: Callable[[], tuple[str, ...]],
    _home: Path,
    path: Path,
) -> Command:
    return Command([interpreter(), options.HERE / "peers" / name, path, *arguments()])


PEERS: dict[str, Callable[[Path, Path], Command]] = {
    "SEC": _sec,
    "syslog-ng grouping-by": _syslog_ng,
    "rsigma": _rsigma,
    "plain Python regex": partial(
        _script, lambda: Path(sys.executable), "plain_regex.py",
        lambda: (configurations.release(), configurations.fault(), configurations.noise()),
    ),
    "mtail": _mtail,
    "Drain3": partial(_script, lambda: _found("drain3"), "drain.py", tuple),
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
