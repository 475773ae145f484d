"""What holds of the whole project: floors, sizes, docstrings, documents that do not lie, nothing
that belongs to one machine.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from detector.catalogue import read

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
MODULES = sorted((ROOT / "detector").rglob("*.py"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    ROOT / "patterns" / "README.md",
]
MOST_LINES = 430
MOST_LINES_OF_A_FUNCTION = 60
ODDS_AND_ENDS = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base"}


def tracked() -> list[Path]:
    """The files that git knows and that are there."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def name_of(path: Path) -> str:
    """A path as a test's name."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_can_be_read_in_one_sitting(path):
    """A docstring first, few lines, a name that says what it is."""
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= MOST_LINES
    assert path.stem not in ODDS_AND_ENDS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path):
    """No function's body is longer than a screen."""
    functions = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    ]
    assert [
        one.name
        for one in functions
        if one.end_lineno - one.body[0].lineno >= MOST_LINES_OF_A_FUNCTION
    ] == []


def types_of(path: Path) -> list[str]:
    """Names of the classes and type aliases that a module defines: capitalised, not constants."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [one.id for one in targets if isinstance(one, ast.Name)]
    return [name for name in names if name[0].isupper() and not name.isupper()]


def test_each_type_has_a_name_of_its_own():
    """No class or type name is defined in two modules: a name means one thing."""
    places: dict[str, set[str]] = {}
    for path in MODULES:
        for name in types_of(path):
            places.setdefault(name, set()).add(name_of(path))
    assert {name: sorted(paths) for name, paths in places.items() if len(paths) > 1} == {}


# Words of the glossary that name nothing: each has a plain word for what is meant.
BANNED = {"asked", "found", "kin", "knowing", "one", "said", "telling", "teller", "told", "wanted"}
# A docstring that begins so is half a question; it begins with a verb, or names the thing.
QUESTIONS = {"How", "What", "When", "Where", "Whether", "Which", "Who", "Whose", "Why"}
LONGEST_FIRST_LINE = 90


def names_in(tree: ast.Module) -> set[str]:
    """Every name that a module gives: to variables, arguments, fields, functions and classes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name.strip("_").lower())
    return names


def public_docstrings(node: ast.AST) -> list[str]:
    """The docstrings of a module and of all that is public in it, functions in functions apart."""
    texts = [ast.get_docstring(node) or ""]
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.FunctionDef) or not isinstance(
            child, ast.ClassDef | ast.FunctionDef
        ):
            continue
        if not child.name.startswith("_"):
            texts += public_docstrings(child)
    return [text for text in texts if text]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_words_are_those_of_the_glossary(path):
    """No banned name, and docstrings that begin with a verb or name the thing, on a line of less
    than 90 characters.
    """
    tree = ast.parse(path.read_text())
    first_lines = [text.splitlines()[0] for text in public_docstrings(tree)]
    faults = [
        *(name for name in sorted(names_in(tree)) if name in BANNED),
        *(line for line in first_lines if len(line) >= LONGEST_FIRST_LINE),
        *(line for line in first_lines if line.split()[0] in QUESTIONS),
    ]
    assert not faults


def test_no_test_file_imports_another():
    """What tests share lies in files that hold no tests, most of it in tests/support/: a test that
    is renamed breaks no other.
    """
    imported = re.compile(r"^from tests\S*\.test_|^from tests\S* import .*\btest_", re.MULTILINE)
    files = [path for path in tracked() if path.suffix == ".py"]
    assert [name_of(path) for path in files if imported.search(path.read_text())] == []


def test_floors_hold():
    """Imports go down only, and the lower floors touch nothing."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path):
    """Each relative link of a page names a file that is there."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    targets = [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target
    ]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_places_exist(path):
    """Each file or folder of the project that a page names in backticks is there."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    places = re.findall(r"`((?:detector|patterns|tests|deploy|docs|bench)/[\w./*-]*)`", text)
    assert [place for place in places if not any(ROOT.glob(place.rstrip("/")))] == []


def sessions() -> list[tuple[str, str]]:
    """(command, expected output) of README's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [
        (first, rest)
        for block in blocks
        for first, _, rest in (part.partition("\n") for part in block.split("$ ") if part)
    ]


def as_pattern(expected: str) -> str:
    """A line of only "…" stands for any lines, "…" within a line for any text."""
    lines = [
        r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\s*\n"
        for line in expected.splitlines()
    ]
    return "".join(lines)


def test_readme_shows_what_the_commands_print(tmp_path):
    """Every command of README's console blocks runs, in order and in an empty folder, and prints
    what is shown.
    """
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OOPSWATCH_")
    } | {"COLUMNS": "100"}
    shown = sessions()
    assert shown
    for command, expected in shown:
        program, *arguments = shlex.split(command)
        assert program == "oopswatch"
        done = subprocess.run(
            [BIN / program, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 1}, (command, done.stderr)
        assert re.fullmatch(as_pattern(expected), done.stdout), (command, done.stdout)


def test_signature_of_the_guide_is_sound():
    """What CONTRIBUTING shows as a signature passes every check of the catalogue."""
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (signature,) = read({"guide.toml": textwrap.dedent(block)}).signatures
    assert signature.id == "kernel.soft-lockup"


def test_make_targets_of_the_documents_exist():
    """What README and CONTRIBUTING tell people to make can be made."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {
        word
        for page in PAGES
        for word in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text(), re.MULTILINE)
        for word in word
        if word
    }
    assert {"demo", "test"} <= told <= targets


def test_locks_name_every_dependency_and_no_host():
    """Each declared dependency is pinned with hashes; no address of an index is in a lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-dev.lock": [
            one for one in project["dependency-groups"]["dev"] if isinstance(one, str)
        ],
        "requirements-build.lock": project["dependency-groups"]["build"],
    }
    for name, wanted in declared.items():
        lock = (ROOT / name).read_text()
        pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
        assert {re.match(r"[A-Za-z0-9-]+", one)[0].lower() for one in wanted} <= pinned
        assert "://" not in lock
        assert lock.count("==") <= lock.count("--hash=")


def test_tree_belongs_to_no_machine():
    """No absolute path of a developer's machine and no address of a package index in a tracked
    file.
    """
    strange = re.compile(
        rb"/(?:root|home/\w+|work)/[\w.]+|(?:index|registry|repo)[-_]?url\s*=|\bpypi\.org|\bfiles\.pythonhosted"
    )
    found = [
        name_of(path)
        for path in tracked()
        if path != Path(__file__) and strange.search(path.read_bytes())
    ]
    assert found == []


def test_license_is_the_whole_apache_2_0():
    """The file that the metadata names is the licence that it names."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text
