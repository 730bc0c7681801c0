"""The command line answers quickly: what a command does not need is not imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stemfix.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "scipy", "demucs", "pydantic", "rich", "pedalboard", "huggingface_hub")


def imported_by(arguments: Sequence[str]) -> tuple[list[str], str]:
    """Which heavy modules a fresh process has after the command, and what it printed."""
    code = (
        "import sys; from stemfix.__main__ import main; status = main(sys.argv[1:]);"
        f"print('MODULES', *[name for name in {HEAVY!r} if name in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown, _, modules = done.stdout.rpartition("MODULES")
    return modules.split(), shown


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_the_overview_imports_nothing_heavy(arguments: list[str]) -> None:
    modules, _ = imported_by(arguments)
    assert modules == []


def test_the_help_of_enhance_needs_no_torch() -> None:
    modules, shown = imported_by(["enhance", "--help"])
    assert "torch" not in modules
    assert "audiophile" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_overview_lists_every_command() -> None:
    _, shown = imported_by(["--help"])
    for name, (_, help_text) in COMMANDS.items():
        assert name in shown
        assert help_text in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_has_help(name: str) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.name == name
    assert command.help
