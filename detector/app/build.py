"""The pipeline as the settings say: a catalogue, a parser, and a watch over a journal.

In: settings. Out: working parts. Commands that only read the history do without, and start sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detector.app.cache_folder import cache_folder
from detector.boots import Boots
from detector.clock import DAY_US, SECOND_US, now_us
from detector.hooks import Hooks
from detector.keeper import Correlating, PipelineKeeper
from detector.kernel_errors.priority import PRIORITIES
from detector.kernel_errors.tally import KernelErrorPolicy
from detector.parse import HostForm, Parser
from detector.scan import Searched

if TYPE_CHECKING:
    from detector.app.symbols import KernelShelf
    from detector.assemble import Assembler
    from detector.catalogue import Catalogue, Rule
    from detector.match import Matcher
    from detector.member.kernel import KernelBuild
    from detector.model import Line
    from detector.pipeline import Pipeline
    from detector.settings import Settings
    from detector.store import Journal


def catalogue_of(settings: Settings, *, prove: bool = False) -> Catalogue:
    """The checked catalogue; CatalogueError lists what is wrong with it.

    What is shipped alone is not proved again at each start, which takes half a second: its tests
    did, and `patterns check` does.
    """
    from detector.catalogue import read
    from detector.settings.loading import pattern_files

    catalogue = read(
        pattern_files(settings),
        prove=prove or bool(settings.patterns.directories),
        kept=cache_folder(),
    )
    return replace(catalogue, kernels=_kernels_of(settings))


def _kernels_of(settings: Settings) -> Callable[[str], Sequence[KernelBuild]]:
    """The kernels of a release; what reads them is imported when a crash is explained and there are
    packs.
    """
    shelf: KernelShelf | None = None

    def kernels(release: str) -> Sequence[KernelBuild]:
        nonlocal shelf
        if shelf is None:
            if not any(settings.symbols_directory.glob("*")):
                return ()
            from detector.app.symbols import KernelShelf, symbols_folder

            shelf = KernelShelf(symbols_folder(settings))
        return shelf.of(release)

    return kernels


def rules_in_force(settings: Settings, catalogue: Catalogue) -> tuple[Rule, ...]:
    """The rules that raise incidents: those that need no setting, and those that are switched
    on.
    """
    return catalogue.rules_in_force(settings.rules.switched_on())


def parser_of(settings: Settings, *, host: str | None = None) -> Parser:
    """A parser as the settings say; `host` overrides what records say."""
    return Parser(
        host=host or settings.parse.host,
        format=settings.parse.format,
        zone=settings.parse.timezone,
        policy=settings.trust.policy(),
        form=host_form(settings),
    )


def host_form(settings: Settings) -> HostForm:
    """The one form of hosts' names, as the settings say."""
    hosts = settings.hosts
    return HostForm(hosts.domains, hosts.aliases, hosts.paths)


def matcher_of(settings: Settings, catalogue: Catalogue) -> Matcher:
    """A matcher as the settings say."""
    from detector.match import Matcher

    timeout_s = settings.match.timeout_ms / 1_000
    return Matcher(catalogue, timeout_s=timeout_s, strikes=settings.match.strikes)


def assembler_of(settings: Settings, catalogue: Catalogue) -> Assembler:
    """An assembler as the settings say."""
    from detector.assemble import Assembler, AssemblyLimits

    bounds = settings.assemble
    limits = AssemblyLimits(
        lines=bounds.max_lines,
        size=bounds.max_characters,
        per_host=bounds.max_open_per_host,
        in_all=bounds.max_open,
        idle_us=bounds.deadline_s * SECOND_US,
        age_us=bounds.max_age_s * SECOND_US,
    )
    return Assembler(catalogue.opening, limits)


def watch_of(
    settings: Settings,
    journal: PipelineKeeper,
    catalogue: Catalogue,
    *,
    host: str | None = None,
    hooks: Hooks | None = None,
    keeps_noise: bool = True,
    correlating: Correlating | None = None,
    boots: type[Boots] = Boots,
    on_report_line: Callable[[Line], None] | None = None,
) -> Pipeline:
    """A pipeline as the settings say.

    With `on_report_line` it assembles no reports: it hands their lines on.
    """
    from detector.assemble.report_lines import ReportLines
    from detector.pipeline import Pipeline

    assembler = (
        ReportLines(catalogue.opening, on_report_line)
        if on_report_line is not None
        else assembler_of(settings, catalogue)
    )
    return Pipeline(
        catalogue,
        journal,
        parser_of(settings, host=host),
        matcher=matcher_of(settings, catalogue),
        assembler=assembler,
        now_us=now_us(),
        rules=rules_in_force(settings, catalogue),
        hooks=hooks,
        keeps_noise=keeps_noise,
        kept=cache_folder(),
        proved=not settings.patterns.directories,
        correlating=correlating,
        boots=boots,
        errors=kernel_error_policy(settings) if keeps_noise else None,
    )


def kernel_error_policy(settings: Settings) -> KernelErrorPolicy | None:
    """Returns the policy by which kernel errors are counted; None where they are not."""
    errors = settings.kernel_errors
    return KernelErrorPolicy(errors.learning_days * DAY_US) if errors.count else None


def searched(settings: Settings, catalogue: Catalogue, *, kept: bool) -> list[Searched]:
    """Returns what a scan looks for in raw bytes; kernel errors only where counts are `kept`."""
    literals: list[Searched] = [
        literal for signature in catalogue.signatures for literal in signature.literals
    ]
    return [*literals, *(PRIORITIES if kept and settings.kernel_errors.count else ())]


def journal_of(settings: Settings, path: str | Path) -> Journal:
    """The history at a path, open for writing; raises `StoreError`."""
    from detector.store import open_journal

    return open_journal(
        path,
        tolerance_us=tolerance_us(settings),
        unnamed=[host_form(settings).name(name) for name in settings.hosts.unnamed],
        images=cache_folder(),
    )


def tolerance_us(settings: Settings) -> int:
    """Returns how far wall clocks may drift within one boot, in µs."""
    return settings.boots.tolerance_s * SECOND_US
