"""What the documents say must exist: commands, their options, settings and linked files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from burnish.cli.main import app
from burnish.configuration import make_settings, parse_assignments, preset_names

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs" / "studies" / "README.md",
]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_burnish_commands_have_the_verbs_and_options_shown(page: Path) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"(?:^|`)(burnish [a-z][^`\n#]*)", page.read_text(), re.MULTILINE)
    for line in lines:
        words = shlex.split(line.replace("[", "").replace("]", ""))
        assert words[1] in verbs, line
        verb = verbs[words[1]]
        if hasattr(verb, "commands"):  # `burnish data VERB`
            assert words[2] in verb.commands, line
            verb = verb.commands[words[2]]
        known = {option for p in verb.params for option in p.opts}
        assert {w for w in words[2:] if w.startswith("--")} <= known, line


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_settings_shown_are_valid(page: Path) -> None:
    for line in page.read_text().splitlines():
        items = re.findall(r"--set (?!key=value)([a-z_0-9]+=[^\s`]+)", line)
        command = line.startswith(("burnish", "python"))  # else its settings are alternatives
        for together in [items] if command else [[item] for item in items]:
            helped = any(item.startswith("features=") for item in together)
            preset = "small" if helped else "paper"  # whose fusion cannot weigh it
            assert make_settings(preset, parse_assignments(together))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_linked_files_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_linked_headings_exist(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_heading_stands_twice(page: Path) -> None:
    headings = re.findall(r"^#+ .+$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    assert len(set(headings)) == len(headings)


def test_readme_names_every_preset() -> None:
    text = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in text for name in preset_names())
