"""The configurations of the peers that are programs. Pure: phrases in, text out.

Each does what its program can: SEC keeps both halves' kernel times in Perl variables, since its own
windows know only arrival; syslog-ng groups by host over the stamps of the lines (whole seconds);
rsigma evaluates a Sigma correlation; mtail counts.
"""

from __future__ import annotations

from bench import wanted

_STAMP = r"kernel: \[ *(\d+\.\d+)\] "
_SEC_HEAD = r"^\S+ +\d+ \S+ (\S+) " + _STAMP


def release() -> str:
    """The first half as an alternation."""
    return wanted.alternation(wanted.phrases("tcp-state"))


def fault() -> str:
    """The second half as an alternation."""
    return wanted.alternation(wanted.phrases("memory-fault"))


def noise() -> str:
    """User-space faults as an alternation."""
    return wanted.alternation(wanted.noise_phrases())


def sec() -> str:
    """Two rules: each notes its half's kernel time and looks for the other half's."""
    return "\n".join(
        _sec_rule(*one)
        for one in (
            ("releases", "faults", rf"(?:IPv4: )?(?:{release()})"),
            ("faults", "releases", f"(?:{fault()})"),
        )
    )


def _sec_rule(mine: str, other: str, phrase: str) -> str:
    near = (
        f"exists $seen_{other}{{$_[0]}} && abs($_[1] - $seen_{other}{{$_[0]}}) <= {wanted.WINDOW_S}"
    )
    return f"""type=Single
ptype=RegExp
pattern={_SEC_HEAD}{phrase}
context=$1 $2 -> ( sub {{ $seen_{mine}{{$_[0]}} = $_[1]; {near} }} )
desc=pair on $1
action=write - INCIDENT $1 $2
"""


def syslog_ng() -> str:
    """Standard input to standard output: the lines parsed as RFC 3164, the halves tagged, grouped
    by host.
    """
    near = (
        '"$(grep (\\"${HALF}\\" eq \\"release\\") x)" ne "" and "$(grep (\\"${HALF}\\" eq '
        '\\"fault\\") x)" ne ""'
    )
    return f"""@version: 3.35
options {{
  stats-freq(0); keep-hostname(yes); keep-timestamp(yes); use-dns(no); dns-cache(no); \
time-zone("UTC"); recv-time-zone("UTC");
}};
source lines {{ stdin(); }};
filter release {{ program("kernel" type(string)) and message('^\\[ *[0-9]+\\.[0-9]+\\] (?:IPv4: \
)?(?:{release()})'); }};
filter fault {{ program("kernel" type(string)) and message('^\\[ *[0-9]+\\.[0-9]+\\] \
(?:{fault()})'); }};
rewrite is_release {{ set("release", value("HALF")); }};
rewrite is_fault {{ set("fault", value("HALF")); }};
parser pairs {{
  grouping-by(
    key("$HOST") scope(global) timeout({wanted.WINDOW_S + 1})
    trigger({near})
    having({near})
    aggregate(value("PAIR" "yes") value("MESSAGE" "${{MESSAGE}}") inherit-mode(context))
    inject-mode(pass-through)
  );
}};
filter paired {{ "${{PAIR}}" eq "yes"; }};
destination found {{ file("/dev/stdout" template("INCIDENT ${{HOST}} ${{MESSAGE}}\\n")); }};
log {{
  source(lines);
  junction {{
    channel {{ filter(release); rewrite(is_release); flags(final); }};
    channel {{ filter(fault); rewrite(is_fault); flags(final); }};
  }};
  parser(pairs); filter(paired); destination(found);
}};
"""


def mtail() -> str:
    """Counters by host, and by program for the noise; it has no way to hold two lines against each
    other.
    """
    return f"""counter releases by host
counter faults by host
counter noise by host, program
/^\\w+ +\\d+ \\S+ (?P<host>\\S+) kernel: \\[ *\\d+\\.\\d+\\] / {{
  /\\] (?:IPv4: )?(?:{_slashed(release())})/ {{
    releases[$host]++
  }}
  /\\] (?:{_slashed(fault())})/ {{
    faults[$host]++
  }}
  /\\] (?:traps: )?(?P<program>.{{0,15}}?)\\[\\d+\\].*?(?:{_slashed(noise())})/ {{
    noise[$host][$program]++
  }}
}}
"""


def _slashed(expression: str) -> str:
    return expression.replace("/", "\\/")


def rsigma() -> str:
    """Two Sigma rules, and their temporal correlation by host. `message` and `hostname` are what
    its syslog input calls them.
    """
    rules = [
        _sigma_rule("release", RELEASE_ID, wanted.phrases("tcp-state")),
        _sigma_rule("fault", FAULT_ID, wanted.phrases("memory-fault")),
    ]
    return "---\n".join([*rules, _SIGMA_PAIR])


def _sigma_rule(name: str, identity: str, phrases: tuple[str, ...]) -> str:
    listed = "".join(f"      - {phrase!r}\n" for phrase in phrases)
    selection = f"detection:\n  selection:\n    message|contains:\n{listed}  condition: selection\n"
    return (
        f"title: {name}\nid: {identity}\nname: {name}\nlogsource:\n  product: linux\n"
        f"{selection}level: high\n"
    )


RELEASE_ID, FAULT_ID = (
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
)
_SIGMA_PAIR = f"""title: pair
name: pair
correlation:
  type: temporal
  rules: [{RELEASE_ID}, {FAULT_ID}]
  group-by: [hostname]
  timespan: {wanted.WINDOW_S}s
  condition:
    gte: 2
level: critical
"""
