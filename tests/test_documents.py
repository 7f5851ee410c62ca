"""Documents stay true: pages made from the code are current, links lead somewhere, named commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import configuration_page, metrics_page

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_configuration_page_is_current() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == configuration_page.page(), configuration_page.__doc__


def test_the_metrics_page_is_current() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == metrics_page.page(), metrics_page.__doc__


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for named in re.findall(r"`make ([a-z]+)", page.read_text()):
            assert named in targets, f"{page.name} names make {named}"


def test_every_command_that_a_page_names_exists() -> None:
    from monitor.cli import app  # noqa: PLC0415 - imports torch

    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    for page in PAGES:
        text = page.read_text()
        code = "\n".join(
            [
                *re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL),
                *re.findall(r"^    .*$", text, re.MULTILINE),
            ]
        )
        for named in re.findall(r"^\s*(?:\$ )?linewatch ([a-z-]+)", code, re.MULTILINE):
            assert named in known, f"{page.name} names linewatch {named}"
