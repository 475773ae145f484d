"""The matcher: candidates, order, trust, timeouts, and that nothing a log can hold breaks it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import match as match_module
from detector.catalogue import Catalogue, CatalogueError, Signature, read
from detector.match import Matcher
from detector.model import Boot, Line
from tests.support.shipped import shipped

BOOT = Boot(epoch_us=5)
MATCHER = Matcher(shipped())
EXAMPLES = [
    (signature, example) for signature in shipped().signatures for example in signature.examples
]
LITERALS = sorted({literal for signature in shipped().signatures for literal in signature.literals})


def line(text, **fields):
    """A line of the kernel with this text."""
    given = {
        "source": "a.log",
        "number": 7,
        "host": "h1",
        "transport": "dmesg",
        "trust": "kernel",
        "kernel_time_us": 11,
    }
    return Line(text, **{**given, **fields})


def signature(name, regex, literal, **fields):
    """A signature as the catalogue hands it out, checks left aside."""
    return Signature(
        name, "demo", fields.pop("origin", "kernel"), "error", "Demo", (literal,), regex, **fields
    )


def claimed(matcher, text, **fields):
    """The id of the signature that claims a text."""
    found = matcher.match(line(text, **fields), BOOT)
    return found and found.signature


def test_a_match_says_all_that_the_line_says():
    """Signature, class, origin, severity, fields as printed, and where and when the line was."""
    found = MATCHER.match(
        line(
            "IPv4: Attempt to release TCP socket in state 10 ffff8a16c1d2e3f0",
            caller="C2",
            wall_time_us=13,
        ),
        BOOT,
    )
    assert (found.signature, found.cls, found.origin, found.severity) == (
        "kernel.tcp-release-state",
        "tcp-state",
        "kernel",
        "error",
    )
    assert found.fields == {"state": "10", "socket": "ffff8a16c1d2e3f0"}
    assert found.text == "IPv4: Attempt to release TCP socket in state 10 ffff8a16c1d2e3f0"
    assert (found.source, found.number, found.host, found.boot, found.caller) == (
        "a.log",
        7,
        "h1",
        BOOT,
        "C2",
    )
    assert (found.kernel_time_us, found.wall_time_us) == (11, 13)


def test_groups_that_did_not_match_are_no_fields():
    """A field is there only where it was printed."""
    found = MATCHER.match(line("Unable to handle kernel NULL pointer dereference"), BOOT)
    assert found.fields == {}


@pytest.mark.parametrize("trust", ["kernel", "unknown"])
def test_every_example_is_claimed_by_its_own_signature(trust):
    """Over the whole catalogue, whatever the order of its files."""
    wrong = [
        (own.id, example, got)
        for own, example in EXAMPLES
        if (got := claimed(MATCHER, example, trust=trust)) != own.id
    ]
    assert wrong == []


def test_what_user_space_wrote_is_never_matched():
    """Kernel or user signature: a line that a process logged tells nothing of the kernel."""
    assert [example for _, example in EXAMPLES if claimed(MATCHER, example, trust="user")] == []


def test_copies_in_capitals_are_not_the_line():
    """Somebody repeats the console in capitals; the kernel's own lines hold small letters."""
    assert [example for _, example in EXAMPLES if claimed(MATCHER, example.upper())] == []


def test_nothing_is_found_in_the_middle_of_a_line():
    """A quoted or prefixed phrase is somebody else's text."""
    kernel = [
        (own, example)
        for own, example in EXAMPLES
        if own.origin == "kernel" and not own.examples[0].startswith(" ")
    ]
    wrong = [
        example
        for own, example in kernel
        if claimed(MATCHER, f"a mail quotes: {example}") == own.id
    ]
    assert wrong == []


def test_the_first_signature_wins_and_a_fallback_comes_last():
    """Catalogue order decides between equals; a fallback is asked after all others, wherever it
    stands.
    """
    last = signature("z", "^demo", "demo", fallback=True)
    matcher = Matcher(
        Catalogue(
            (last, signature("a", "^demo one", "demo"), signature("b", "^demo (one|two)", "demo"))
        )
    )
    assert claimed(matcher, "demo one") == "a"
    assert claimed(matcher, "demo two") == "b"
    assert claimed(matcher, "demo three") == "z"
    assert claimed(matcher, "a demo") is None


def test_noise_is_asked_before_the_kernel():
    """A name that spells the beginning of a kernel phrase does not make its crash a kernel
    fault.
    """
    kernel, user = (
        signature("kernel.a", "^demo failed at ", "demo failed at "),
        signature("user.a", r"^.{0,15}\[\d+\]: fell", "fell", origin="user"),
    )
    matcher = Matcher(Catalogue((kernel, user)))
    assert claimed(matcher, "demo failed at [7]: fell") == "user.a"
    assert claimed(matcher, "demo failed at noon") == "kernel.a"


def test_candidates_are_those_whose_literal_occurs():
    """For people who ask why a line was not claimed."""
    matcher = Matcher(
        Catalogue((signature("a", "^x", "one two three"), signature("b", "^x", "two ")))
    )
    assert [one.id for one in matcher.candidates("x one two three")] == ["a", "b"]
    assert [one.id for one in matcher.candidates("x two ")] == ["b"]
    assert matcher.candidates("x onetwothree") == ()


def test_one_signature_is_asked_once_though_two_of_its_literals_occur():
    """Variants of one text may hold several."""
    both = Signature("a", "demo", "kernel", "error", "Demo", ("pump stopped", "stopped at"), "^x")
    assert Matcher(Catalogue((both,))).candidates("x pump stopped at noon") == (both,)


@given(
    st.lists(st.text(alphabet="ab ", min_size=4, max_size=9), min_size=1, max_size=8),
    st.text(alphabet="ab ", max_size=40),
)
def test_looking_literals_up_by_words_finds_what_searching_finds(literals, text):
    """The short cut over the words of a line loses and invents nothing."""
    signatures = tuple(
        signature(f"s{number}", "^x", literal) for number, literal in enumerate(literals)
    )
    found = Matcher(Catalogue(signatures)).candidates(text)
    assert list(found) == [one for one in signatures if one.literals[0] in text]


@given(st.text(max_size=400))
def test_any_text_is_matched_once_or_not_at_all(text):
    """Log lines are written by whoever crashes."""
    found = MATCHER.match(line(text, trust="unknown"), BOOT)
    assert found is None or found.text == text


@settings(max_examples=200)
@given(st.sampled_from(EXAMPLES), st.data())
def test_damaged_examples_never_raise(entry, data):
    """Cut, doubled and torn lines: claimed by one signature or by none, with fields that the line
    holds.
    """
    _, example = entry
    start = data.draw(st.integers(0, len(example)))
    end = data.draw(st.integers(start, len(example)))
    text = example[:start] + data.draw(st.text(max_size=20)) + example[end:]
    found = MATCHER.match(line(text), BOOT)
    assert found is None or all(value in text for value in found.fields.values())


COMMS = st.text(
    alphabet=st.characters(exclude_characters="\n\x00", exclude_categories=["Cs"]), max_size=15
)


@given(
    st.one_of(
        COMMS,
        st.sampled_from(
            [literal[:15] for literal in LITERALS] + ["a[1]: segfault ", "x[2]", "a] trap "]
        ),
    )
)
def test_a_process_may_call_itself_what_it_likes(comm):
    """A name of at most 15 characters that spells a signature's beginning stays noise, and is read
    as it was printed.
    """
    lines = (
        (
            f"{comm}[4711]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4 in "
            "demo[400000+1000]"
        ),
        f"{comm}[4711]: unhandled level 3 translation fault (11) at 0x00000010, esr 0x92000006",
        (
            f"traps: {comm}[4711] general protection fault ip:7feb96eb56a1 sp:20000fd0 error:0 "
            "in demo[400000+1000]"
        ),
    )
    for text in lines:
        found = MATCHER.match(line(text), BOOT)
        assert found.origin == "user"
        assert found.fields["process"] == comm
        assert found.fields["pid"] == "4711"


def test_a_field_is_never_taken_from_beyond_the_bound():
    """The kernel writes no line of megabytes: what stands far right is not looked at, the text is
    kept.
    """
    text = "Unable to handle kernel paging request at virtual address 0001950b " + "x" * 1_000_000
    found = MATCHER.match(line(text), BOOT)
    assert found.fields == {"fault_address": "0001950b"}
    assert found.text == text
    assert MATCHER.match(line("x" * 1_000_000 + text), BOOT) is None


CATASTROPHE = r"^demo (?P<what>(a|aa)+)$"
POISON = "demo " + "a" * 60 + "!"


def test_a_catastrophic_regex_is_refused():
    """The catalogue tries it on hostile lines before anybody else does."""
    text = f"""
[[signature]]
id = "own.demo"
class = "demo"
origin = "kernel"
severity = "error"
title = "Demo"
literal = "demo "
regex = '{CATASTROPHE}'
source = "demo"
meaning = "Demo."
match = ["demo aaa"]
reject = ["demo b"]
"""
    with pytest.raises(CatalogueError) as caught:
        read({"own.toml": text})
    [fault] = caught.value.faults
    assert (fault.path, fault.line) == ("own.toml", 9)
    assert "takes more than 20 ms" in fault.message


def test_a_catastrophic_regex_is_switched_off_and_the_others_go_on():
    """After its strikes it is out, told once, and costs nothing any more."""
    catalogue = Catalogue(
        (signature("own.demo", CATASTROPHE, "demo "), signature("own.other", "^demo .*!$", "demo "))
    )
    matcher = Matcher(catalogue, timeout_s=0.005, strikes=2)
    assert claimed(matcher, "demo aaa") == "own.demo"
    assert claimed(matcher, POISON) == "own.other"
    assert dict(matcher.switched_off) == {}
    assert claimed(matcher, POISON) == "own.other"
    assert dict(matcher.switched_off) == {"own.demo": 2}
    assert matcher.take_switched_off() == ("own.demo",)
    assert matcher.take_switched_off() == ()
    assert claimed(matcher, "demo aaa") is None
    assert claimed(matcher, POISON) == "own.other"


def test_a_regex_that_ran_out_of_time_once_is_tried_again(monkeypatch):
    """A match that waited for a core while other threads worked is no timeout of its regex."""

    class Interrupted:
        """A pattern whose first match runs out of its time."""

        def __init__(self, pattern: Any) -> None:
            self.pattern, self.tries = pattern, 0

        def match(self, text: str, timeout: float) -> Any:
            """Raises once, then matches."""
            self.tries += 1
            if self.tries == 1:
                raise TimeoutError
            return self.pattern.match(text, timeout=timeout)

    patterns = []

    def compiled(text: str) -> Interrupted:
        patterns.append(Interrupted(regex.compile(text)))
        return patterns[-1]

    monkeypatch.setattr(match_module, "regex", SimpleNamespace(compile=compiled))
    matcher = Matcher(Catalogue((signature("own.demo", "^demo a+$", "demo "),)), strikes=1)
    assert claimed(matcher, "demo aaa") == "own.demo"
    assert [pattern.tries for pattern in patterns] == [2]
    assert dict(matcher.switched_off) == {}


def test_literals_are_named_once_each():
    """What the byte scanner is compiled from."""
    assert sorted(MATCHER.literals) == LITERALS


def test_a_phrase_of_any_program_needs_a_stamp_or_a_tag():
    """`BUG: ` with free words after it stands in change logs and in outputs of programs too."""
    matcher = Matcher(shipped())
    text = "BUG: leaked a reference in frobnicate"
    assert matcher.claim(Line(text, "a.log", 1, "h1", "text")) is None
    assert matcher.claim(Line(text, "a.log", 1, "h1", "dmesg")) is not None
