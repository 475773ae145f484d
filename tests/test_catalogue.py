"""Reading pattern files: what comes out of sound ones, and that every fault is found, located and
told, all at once.
"""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.catalogue import CatalogueError, read
from detector.toml_tables import LocatedFault, TomlPlaces

SIGNATURE = """\
[[signature]]
id       = "kernel.pump"
class    = "pump-fault"
origin   = "kernel"
severity = "error"
title    = "A pump stopped"
literal  = "pump stopped at "
regex    = '''^demo_pump \\d{1,4}: pump stopped at (?P<pressure>\\d{1,6}) kPa'''
source   = "drivers/demo/pump.c"
meaning  = "Water no longer flows."
match    = ["demo_pump 3: pump stopped at 420 kPa"]
reject   = ["demo_pump 3: pump started"]
"""
OTHER = SIGNATURE.replace("pump", "valve")
RULE = """\
[[rule]]
id = "pump-then-valve"
title = "Both"
type = "temporal"
classes = ["pump-fault", "valve-fault"]
group-by = ["host"]
timespan = "10s"
severity = "critical"
reasoning = "They share a pipe."

[[rule.test]]
name = "both"
given = [["pump-fault", "h1", 1.5], ["kernel.valve", "h1", 2]]
expect = 1
"""


def faults_of(files):
    """(path, line, message) of all faults that reading raises."""
    with pytest.raises(CatalogueError) as caught:
        read(files if isinstance(files, dict) else {"a.toml": files})
    return [(fault.path, fault.line, fault.message) for fault in caught.value.faults]


def the_fault(text):
    """The only fault of one file: its line and message."""
    [(path, line, message)] = faults_of(text)
    assert path == "a.toml"
    return line, message


def test_a_sound_file_becomes_a_signature():
    """Every key arrives under its name, with where it stands."""
    [signature] = read({"a.toml": "# pumps\n" + SIGNATURE}).signatures
    assert (signature.id, signature.cls, signature.origin, signature.severity) == (
        "kernel.pump",
        "pump-fault",
        "kernel",
        "error",
    )
    assert signature.literals == ("pump stopped at ",)
    assert signature.examples == ("demo_pump 3: pump stopped at 420 kPa",)
    assert signature.rejects == ("demo_pump 3: pump started",)
    assert (signature.opens, signature.marker, signature.fallback) == (None, False, False)
    assert (signature.path, signature.line) == ("a.toml", 2)


def test_a_rule_keeps_exact_times():
    """Timespan and the times of tests are whole microseconds; the anchor is the last name unless
    said.
    """
    catalogue = read({"a.toml": SIGNATURE + OTHER, "r.toml": RULE})
    [rule] = catalogue.rules
    assert rule.timespan_us == 10_000_000
    assert rule.anchor == "valve-fault"
    assert rule.tests[0].given == (
        ("pump-fault", "h1", 1_500_000),
        ("kernel.valve", "h1", 2_000_000),
    )
    assert (rule.tests[0].expect, rule.tests[0].line) == (1, 11)


@pytest.mark.parametrize(
    ("text", "microseconds"), [("10s", 10_000_000), ("5m", 300_000_000), ("1h", 3_600_000_000)]
)
def test_timespans(text, microseconds):
    """Seconds, minutes and hours."""
    catalogue = read({"a.toml": SIGNATURE + OTHER + RULE.replace("10s", text)})
    assert catalogue.rules[0].timespan_us == microseconds


def test_an_anchor_of_ones_own():
    """A rule may name the term that identifies its incidents."""
    catalogue = read(
        {
            "a.toml": SIGNATURE
            + OTHER
            + RULE.replace("[[rule.test]]", 'anchor = "pump-fault"\n[[rule.test]]')
        }
    )
    assert catalogue.rules[0].anchor == "pump-fault"


def test_order_is_by_path_then_by_place():
    """The catalogue does not depend on the order of the mapping."""
    ids = [one.id for one in read({"b.toml": SIGNATURE, "a.toml": OTHER}).signatures]
    assert ids == ["kernel.valve", "kernel.pump"]


def test_a_file_of_the_same_path_replaces():
    """What a user's own layer does: the later text stands, the earlier is gone."""
    shipped, own = {"a.toml": SIGNATURE}, {"a.toml": OTHER}
    assert [one.id for one in read({**shipped, **own}).signatures] == ["kernel.valve"]


def test_signatures_are_found_by_id_and_class():
    """Look-ups that the pipeline makes."""
    catalogue = read({"a.toml": SIGNATURE + OTHER})
    assert catalogue.signature("kernel.valve") is catalogue.signatures[1]
    assert catalogue.signature("kernel.nothing") is None
    assert catalogue.classes == {"pump-fault", "valve-fault"}


def test_a_list_holds_names_and_regexes():
    """Whole names only; a regex must cover the name."""
    listed = read(
        {
            "a.toml": (
                '[[list]]\nid = "skip"\nentries = ["memcpy"]\nregexes = ["mem(cpy|set)_.*", '
                '"strn?len"]'
            )
        }
    ).lists["skip"]
    assert "memcpy" in listed
    assert "memset_orig" in listed
    assert "strlen" in listed
    assert "strlen_user" not in listed
    assert "my_memcpy" not in listed


def test_a_catalogue_does_not_change():
    """Frozen values on the path."""
    catalogue = read({"a.toml": SIGNATURE})
    with pytest.raises(FrozenInstanceError):
        catalogue.signatures = ()


def test_nothing_is_a_catalogue_too():
    """No files, no faults."""
    assert read({}).signatures == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            'severity = "error"',
            'serverity = "error"',
            5,
            'unknown key "serverity", did you mean "severity"?',
        ),
        ('title    = "A pump stopped"\n', "", 1, 'missing key "title"'),
        ('severity = "error"', 'severity = "grave"', 5, 'key "severity": input should be'),
        ('severity = "error"', "severity = 3", 5, 'key "severity"'),
        ('origin   = "kernel"', 'origin   = "martian"', 4, 'key "origin"'),
        ('class    = "pump-fault"', 'class    = "Pump Fault"', 3, 'key "class"'),
        ('title    = "A pump stopped"', 'title    = ""', 6, 'key "title"'),
        ('"A pump stopped"', '"A pump stopped"\nopens = "door"', 7, 'key "opens"'),
        ('"A pump stopped"', '"A pump stopped"\nmarker = "yes"', 7, 'key "marker"'),
        ("^demo_pump", "^(demo_pump", 8, "bad regex: missing )"),
        ("^demo_pump", "demo_pump", 8, "must be anchored"),
        ("^demo_pump \\d{1,4}", "^demo_pump a{99999999999}", 8, "bad regex: repeat count too big"),
        ("^demo_pump \\d{1,4}", "^demo_pump (\\d+)+(?<=\\d)", 8, "takes more than"),
        ("^demo_pump \\d{1,4}", "^demo_pump.*.*.*", 8, "takes more than"),
        (
            'match    = ["demo_pump 3: pump stopped at 420 kPa"]',
            "match = []",
            11,
            "no example in match",
        ),
        ('reject   = ["demo_pump 3: pump started"]', "", 1, "no example in reject"),
        ("stopped at 420", "paused at 420", 11, "does not match this example"),
        (
            '["demo_pump 3: pump started"]',
            '["demo_pump 4: pump stopped at 1 kPa"]',
            12,
            "matches an example that it should reject",
        ),
        (
            '["demo_pump 3: pump stopped at 420 kPa"]',
            '["DEMO_PUMP 3: PUMP STOPPED AT 420 KPA"]',
            11,
            "all in capitals is never matched",
        ),
        (
            'literal  = "pump stopped at "',
            'literal  = "pump halted at "',
            7,
            "no literal occurs in an example",
        ),
        (
            'literal  = "pump stopped at "',
            'literal  = "demo_pump 3"',
            7,
            "also matches text that holds no literal",
        ),
        ('literal  = "pump stopped at "', 'literal  = "at "', 7, "shorter than 4 bytes"),
        (
            'literal  = "pump stopped at "',
            "literal  = 'pump \"A\" stopped'",
            7,
            "some JSON writers escape",
        ),
        (
            'literal  = "pump stopped at "',
            'literal  = ["pump stopped at ", "a/b pump"]',
            7,
            "'/', which some JSON writers escape",
        ),
        (
            'literal  = "pump stopped at "',
            'literal  = ["pump stopped at ", "pumpe läuft"]',
            7,
            "'ä', which some JSON writers escape",
        ),
        (
            'literal  = "pump stopped at "',
            'literal  = ["pump stopped at ", "pump\\tup"]',
            7,
            "which some JSON writers escape",
        ),
        ('literal  = "pump stopped at "', "literal  = []", 7, 'key "literal"'),
        ("[[signature]]", "[signature]", 1, "write [[signature]], with two brackets"),
        (
            "[[signature]]",
            "[[signatur]]",
            1,
            'unknown table "signatur", did you mean "signature"?',
        ),
    ],
)
def test_a_fault_of_a_signature_is_located(old, new, line, said):
    """File, line and a message that says what to do, for each kind of fault."""
    assert old in SIGNATURE
    found = faults_of(SIGNATURE.replace(old, new, 1))
    assert [one for one in found if said in one[2] and one[1] == line], found


@pytest.mark.parametrize(
    "bad", ["\"'`\\/<>&=+"[index] for index in range(10)] + ["\x01", "\x7f", "é", "\u2028"]
)
def test_no_literal_may_be_spelled_in_two_ways(bad):
    """Each character that some JSON writer escapes is refused."""
    escaped = {"\\": "\\\\", '"': '\\"', "\x01": "\\u0001", "\x7f": "\\u007f"}.get(bad, bad)
    text = SIGNATURE.replace(
        'literal  = "pump stopped at "', f'literal  = ["pump stopped at ", "pump{escaped}"]'
    )
    assert "some JSON writers escape" in the_fault(text)[1]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('timespan = "10s"', 'timespan = "10 s"', 31, 'bad timespan "10 s"'),
        ('timespan = "10s"', 'timespan = "0s"', 31, "bad timespan"),
        ('timespan = "10s"', 'timespan = "1d"', 31, "bad timespan"),
        (
            '"pump-fault", "valve-fault"]',
            '"pump-fautl", "valve-fault"]',
            29,
            'unknown class "pump-fautl", did you mean "pump-fault"?',
        ),
        ("classes", "signatures", 29, "unknown signature"),
        ('"pump-fault", "valve-fault"]', '"pump-fault"]', 25, "two different names or more"),
        (
            '"pump-fault", "valve-fault"]',
            '"pump-fault", "pump-fault"]',
            25,
            "two different names or more",
        ),
        ('classes = ["pump-fault", "valve-fault"]\n', "", 25, 'either "classes" or "signatures"'),
        ('type = "temporal"', 'type = "temporl"', 28, 'key "type"'),
        ('group-by = ["host"]', 'group-by = ["hots"]', 30, 'key "group-by"'),
        ('group-by = ["host"]', "group-by = []", 30, 'key "group-by"'),
        (
            'group-by = ["host"]',
            'group_by = ["host"]',
            30,
            'unknown key "group_by", did you mean "group-by"?',
        ),
        ('reasoning = "They share a pipe."\n', "", 25, 'missing key "reasoning"'),
        (
            'severity = "critical"',
            'severity = "critical"\nanchor = "door"',
            25,
            'anchor "door" is none of',
        ),
        ("expect = 1", "expected = 1", 38, 'unknown key "expected", did you mean "expect"?'),
        ("expect = 1", "expect = -1", 38, 'key "expect"'),
        (
            '["kernel.valve", "h1", 2]',
            '["kernel.vavle", "h1", 2]',
            37,
            'unknown signature or class "kernel.vavle", did you mean "kernel.valve"?',
        ),
        (
            '["kernel.valve", "h1", 2]',
            '["kernel.valve", "h1"]',
            37,
            'write each as ["signature or class", "host", seconds]',
        ),
        ('["kernel.valve", "h1", 2]', '["kernel.valve", "h1", nan]', 37, "write each as"),
        ('["kernel.valve", "h1", 2]', '["kernel.valve", "h1", true]', 37, "write each as"),
    ],
)
def test_a_fault_of_a_rule_is_located(old, new, line, said):
    """Rules and their own tests, with the lines they stand on."""
    text = SIGNATURE + OTHER + RULE
    assert old in text
    head, tail = text[: text.index("[[rule]]")], text[text.index("[[rule]]") :]
    found = faults_of(head + tail.replace(old, new, 1))
    assert [one for one in found if said in one[2] and one[1] == line], found


def test_a_duplicate_names_both_places():
    """The second one is the fault, and says where the first stands."""
    twice = SIGNATURE.replace("match    =", "match =")
    found = faults_of({"a.toml": SIGNATURE, "b.toml": "\n" + twice})
    assert ("b.toml", 3, 'signature "kernel.pump": this id stands already at a.toml:1') in found


def test_an_example_that_two_claim():
    """Whichever was meant: the example is located, with the other's place."""
    wide = OTHER.replace("'^demo_valve", "'^demo_(?:valve|pump)").replace(
        "}: valve stopped", "}: (?:valve|pump) stopped"
    )
    wide = wide.replace('= "valve stopped at "', '= ["valve stopped at ", "pump stopped at "]')
    found = faults_of({"a.toml": SIGNATURE, "b.toml": wide})
    assert found == [
        (
            "a.toml",
            11,
            (
                'signature "kernel.pump": this example is claimed by signature "kernel.valve" '
                "too (b.toml:1)"
            ),
        )
    ]


def test_an_example_that_noise_claims():
    """A pattern of user-space noise must not swallow what the kernel reports."""
    noise = SIGNATURE.replace("kernel.pump", "user.pump").replace('"kernel"', '"user"')
    found = faults_of({"a.toml": SIGNATURE, "b.toml": noise})
    assert (
        "a.toml",
        11,
        'signature "kernel.pump": this example is claimed by noise "user.pump" too (b.toml:1)',
    ) in found


def test_a_fallback_may_accept_what_others_claim():
    """It is asked last; but nobody else may claim its own example."""
    general = """
[[signature]]
id = "kernel.any-stop"
class = "stop"
origin = "kernel"
severity = "warning"
title = "Something stopped"
fallback = true
literal = " stopped at "
regex = '^demo_\\w{1,20} \\d{1,4}: \\w{1,20} stopped at '
source = "drivers/demo"
meaning = "It no longer runs."
match = ["demo_fan 1: fan stopped at 3 rpm"]
reject = ["demo_fan 1: fan started"]
"""
    assert len(read({"a.toml": SIGNATURE, "b.toml": general}).signatures) == 2
    found = faults_of(
        {
            "a.toml": SIGNATURE,
            "b.toml": general.replace(
                "demo_fan 1: fan stopped at 3 rpm", "demo_pump 1: pump stopped at 3 kPa"
            ),
        }
    )
    assert found == [
        (
            "b.toml",
            13,
            (
                'signature "kernel.any-stop": this example is claimed by signature '
                '"kernel.pump" too (a.toml:1)'
            ),
        )
    ]


def test_bad_toml_says_line_and_column():
    """What tomllib says, in the form of the other faults."""
    line, message = the_fault(SIGNATURE + "[[rule]\n")
    assert line == 13
    assert message.startswith("bad TOML: ")
    assert "column" in message


def test_bad_toml_at_the_end_of_the_file():
    """An open array has no line of its own: the last one is told."""
    assert the_fault("a = [\n1,\n") == (3, "bad TOML: Invalid value at the end of the file")


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000, "a = 1e" + "9" * 30])
def test_absurd_toml(text):
    """Depth and numbers beyond all sense are a fault like others."""
    assert the_fault(text)[1].startswith("bad TOML: ")


def test_all_faults_of_all_files_at_once():
    """Sorted by file and line; one bad file hides no other."""
    files = {
        "z.toml": "[[rule]\n",
        "b.toml": OTHER.replace('severity = "error"', 'severity = "grave"').replace(
            "^demo", "demo"
        ),
        "a.toml": SIGNATURE.replace('"error"', '"grave"').replace(
            'title    = "A pump stopped"\n', ""
        )
        + "\n[[rules]]\nid = 1\n",
    }
    found = faults_of(files)
    assert [(path, line) for path, line, _ in found] == [
        ("a.toml", 1),
        ("a.toml", 5),
        ("a.toml", 13),
        ("b.toml", 5),
        ("z.toml", 1),
    ]


def test_a_fault_prints_as_compilers_do():
    """path:line: message, one a line."""
    error = CatalogueError((LocatedFault("a.toml", 3, "bad"), LocatedFault("b.toml", 1, "worse")))
    assert str(error) == "a.toml:3: bad\nb.toml:1: worse"


def test_headers_inside_strings_are_no_headers():
    """Multi-line strings may hold anything."""
    text = (
        "[[signature]]\na = '''\n[[signature]]\ntitle = 1\n'''\nb = \"\"\"x\n[[signature]]\n"
        '"""\n[[signature]]\ntitle = 2'
    )
    places = TomlPlaces(text)
    assert places.table("signature", 1) == 9
    assert places.key(9, "title") == 10
    assert places.key(1, "title") == 1


def lines_told(text):
    """The lines of all faults that reading a text raises; none where it is sound."""
    try:
        read({"a.toml": text})
    except CatalogueError as error:
        return [fault.line for fault in error.faults]
    return []


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    """Nothing but a catalogue or a CatalogueError comes out, and every line told exists."""
    assert all(1 <= line <= text.count("\n") + 1 for line in lines_told(text))


KEYS = [
    "id",
    "class",
    "origin",
    "severity",
    "title",
    "literal",
    "regex",
    "source",
    "meaning",
    "match",
    "reject",
]
VALUES = ["1", "1.5", "true", '""', "[]", "{}", "[1]", '["a"]', "1979-05-27", "[[]]", "'^('", "nan"]


@given(st.sampled_from(KEYS), st.sampled_from(VALUES))
def test_any_value_of_any_key_is_read_or_refused(key, value):
    """A key with a value of another sort is a located fault, never an exception of another kind."""
    text = re.sub(rf"(?m)^{key} *=.*$", lambda _: f"{key} = {value}", SIGNATURE)
    assert all(1 <= line <= 13 for line in lines_told(text))
