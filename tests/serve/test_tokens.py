"""Tokens are made at random, kept by their hash, and listed by name; a bad file stays as it was."""

from __future__ import annotations

import stat

import pytest

from detector.serve.http.tokens import add_token, find, read_tokens
from detector.settings import SettingsError


def test_a_token_that_was_added_comes_in_with_its_roles(tmp_path):
    """The file holds hashes alone, for its owner alone."""
    path = tmp_path / "tokens.toml"
    ann = add_token(path, "ann", ["read", "act"])
    bob = add_token(path, "bob", ["read"])
    tokens = read_tokens(path)
    assert (find(tokens, ann).name, find(tokens, ann).roles) == ("ann", {"read", "act"})
    assert (find(tokens, bob).name, find(tokens, bob).roles) == ("bob", {"read"})
    assert find(tokens, "no such token, of any length") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ann not in path.read_text()


@pytest.mark.parametrize(
    ("name", "roles", "fault"),
    [
        ("ann", ["read"], "there is a token named ann"),
        ('x"\nroles = ["sql"]', ["read"], "letters, digits and"),
        ("bob", [], "roles"),
        ("bob", ["root"], "roles"),
    ],
)
def test_what_cannot_be_added_changes_nothing(tmp_path, name, roles, fault):
    """A taken name, a name that is none, no role or an unknown one."""
    path = tmp_path / "tokens.toml"
    add_token(path, "ann", ["read"])
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=fault):
        add_token(path, name, roles)
    assert path.read_bytes() == before


def test_a_bad_file_is_not_appended_to(tmp_path):
    """What is in it would be refused together with the new token."""
    path = tmp_path / "tokens.toml"
    path.write_text("[[token]]\nname = 'a'\n")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="token 1"):
        add_token(path, "ann", ["read"])
    assert path.read_text() == "[[token]]\nname = 'a'\n"
