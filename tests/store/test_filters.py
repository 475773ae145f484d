"""The filter language: what is understood, what is refused and how, and that the address is the
query.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.store.query.filters import (
    FIELDS,
    Filter,
    FilterError,
    as_query,
    parse,
    release_range,
    words,
)
from tests.support.nouns import HOUR, SECOND
from tests.support.queries import NOW_US, QUERIES, REFUSED, Params

TEXT = (
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
# The years 1970 to 9998.
TIMES = st.integers(0, 253_370_764_799 * SECOND)
VALUES = {
    "severity": st.sampled_from(["critical", "error", "warning", "info"]),
    "state": st.sampled_from(["open", "acknowledged", "resolved"]),
    "kernel": st.sampled_from(
        ["5.4", "4.19..5.4", "..6.1", "4.14..", "vendor.build-7", "5.5-rc1..5.5-rc9"]
    ),
    "known": st.sampled_from(["any", "likely", "CVE-2024-50126", "22e9f71072fa"]),
    "fixable": st.just("yes"),
    "text": TEXT.filter(lambda text: 0 < len(words(text)) <= 32),
}
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(VALUES.get(name, TEXT), max_size=3)
        for name in FIELDS
        if name not in {"since", "until"}
    }
    | {
        "since": st.sampled_from(["24h", "0s", "2026-11-01", "2026-11-01T10:00:00.5+01:00"]).map(
            lambda text: [text]
        )
    },
)


@given(PARAMS)
def test_the_address_is_the_query(params: Params) -> None:
    """What is spelled is read again as the same filter, at any time."""
    wanted = parse(params, NOW_US)
    assert (
        parse(
            parse_qs(as_query(wanted), strict_parsing=bool(as_query(wanted)), max_num_fields=999),
            NOW_US + HOUR,
        )
        == wanted
    )


@given(TIMES, TIMES)
def test_every_time_is_spelled(since: int, until: int) -> None:
    """To the microsecond."""
    wanted = Filter(since_us=since, until_us=until)
    assert parse(parse_qs(as_query(wanted)), 0) == wanted


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "other"]), st.lists(st.text(max_size=30), max_size=3))
)
def test_anything_is_understood_or_refused_by_name(params: Params) -> None:
    """No other error than one that names a field of what was asked."""
    refused: FilterError | None = None
    try:
        parse(params, NOW_US)
    except FilterError as error:
        refused = error
    assert refused is None or (refused.field in params and refused.message)


@pytest.mark.parametrize(("params", "field"), REFUSED)
def test_refusals_name_the_field(params: Params, field: str) -> None:
    """And say what may stand there."""
    with pytest.raises(FilterError) as caught:
        parse(params, NOW_US)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"host": ["x"] * 2 + [f"h{number}" for number in range(50)]}, "at most 50"),
        ({"host": ["x" * 1_025]}, "at most 1,024"),
        ({"host": ["\udc80"]}, "UTF-8"),
        ({"text": [" ".join(f"w{number}" for number in range(33))]}, "32 words"),
        ({"since": ["9" * 19 + "w"]}, "no time"),
        ({"since": ["1969-12-31"]}, "between 1970 and 9998"),
        ({"since": ["9999-12-31T23:59:59-23:00"]}, "between 1970 and 9998"),
        ({"kernel": ["5.4banana.."]}, "no kernel release"),
    ],
)
def test_bounds(params: Params, message: str) -> None:
    """What no person asks is refused before it costs anything."""
    with pytest.raises(FilterError, match=message):
        parse(params, NOW_US)


def test_times_as_people_write_them() -> None:
    """Relative to now, dates in UTC, zones, and a plus that an address turned into a blank."""
    assert parse({"since": ["90m"]}, NOW_US).since_us == NOW_US - 90 * 60 * SECOND
    assert parse({"since": ["2026-11-20"]}, 0).since_us == NOW_US - 12 * HOUR
    assert parse({"since": ["2026-11-20T13:00:00 01:00"]}, 0).since_us == NOW_US
    assert parse({"since": [""], "host": ["", " a "]}, 0) == Filter(host=("a",))


@pytest.mark.parametrize(
    ("kernel", "inside", "outside"),
    [
        ("4.19..5.4", ("4.19", "4.19.90-vendor", "5.4.210"), ("4.18.20", "5.5", "4.19-rc3")),
        ("5.4.10..5.4.20", ("5.4.10", "5.4.20-x"), ("5.4.9", "5.4.21")),
        ("..5.5-rc3", ("5.4", "5.5-rc3"), ("5.5-rc4", "5.5")),
        ("6.1..", ("6.1", "9.9"), ("6.0.9", "6.1-rc1")),
    ],
)
def test_ranges_of_kernels(kernel: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    """Both ends are in it; a series holds all that is built on it; candidates come before their
    release.
    """
    from detector.store.rows import release_number

    ends = release_range(kernel)
    assert ends is not None
    assert all(ends[0] <= (release_number(one) or 0) <= ends[1] for one in inside)
    assert not any(ends[0] <= (release_number(one) or 0) <= ends[1] for one in outside)


@given(st.text(max_size=50))
def test_words_hold_no_sign_of_the_index(text: str) -> None:
    """No quote, no bracket, no colon: a star at the end at most."""
    assert all(re.fullmatch(r"[^\x00-/:-@\[-^`{-\x7f]+\*?", word) for word in words(text))


def test_questions_survive_their_spelling() -> None:
    """Every question of the table, as an address."""
    for params, _ in QUERIES:
        wanted = parse(params, NOW_US)
        assert parse(parse_qs(as_query(wanted)), 0) == wanted
