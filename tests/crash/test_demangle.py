"""Mangled names: what Rust and C++ compilers make of a path, and back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.crash.demangle import demangled


@pytest.mark.parametrize(
    ("symbol", "path"),
    [
        ("_RNvCs1_3foo3bar", "foo::bar"),
        ("_RNvMCs1_3fooNtB2_4Ring4push", "<foo::Ring>::push"),
        ("_RNvXCs1_3fooNtB2_4RingNtCs2_6kernel6Module4init", "<foo::Ring as kernel::Module>::init"),
        ("_RINvNtC4core3mem8align_ofdE", "core::mem::align_of::<f64>"),
        ("_RNCNvC3foo3run0B3_", "foo::run::{closure#0}"),
        ("_RINvC3foo3getAhj10_E", "foo::get::<[u8; 16]>"),
        ("_RINvC3foo3getRShQlE", "foo::get::<&[u8], &mut i32>"),
        ("_RINvC3foo4callFUKCjEbE", "foo::call::<fn(usize) -> bool>"),
        ("_RINvC3foo4callTjsEDNtB2_5TraitEL_E", "foo::call::<(usize, i16), dyn foo::Trait>"),
        ("_RNvCs1_7___rustc17rust_begin_unwind", "__rustc::rust_begin_unwind"),
        ("_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic"),
        ("_Z8fakeNameiii", "fakeName"),
        ("frob_lookup", "frob_lookup"),
        ("__x64_sys_openat", "__x64_sys_openat"),
        ("_Rubbish", "_Rubbish"),
        ("_ZN9999foo", "_ZN9999foo"),
        ("_RNvB_3foo", "_RNvB_3foo"),
    ],
)
def test_path(symbol: str, path: str) -> None:
    """The path of RFC 2603's and the Itanium ABI's grammar, without hashes; else the symbol."""
    assert demangled(symbol) == path


@given(st.text(alphabet="RNvMXYICsBTAEKLp0123456789_abhju", max_size=80))
def test_any_name(text: str) -> None:
    """No name raises, none takes long, none becomes nothing."""
    begun = time.perf_counter()
    assert demangled("_R" + text)
    assert time.perf_counter() - begun < 1
