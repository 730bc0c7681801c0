"""`stemfix doctor`: check that this machine has what stemfix needs."""

from __future__ import annotations

import shutil
import textwrap

import click

from stemfix import __version__

_WORDS = {"ok": "ok", "hint": "hint", "failed": "FAILED"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Check that this machine has what stemfix needs.

    Looks at packages, device, memory, folders and weights, and separates one second of noise.
    Each failure comes with its remedy; the exit status is 1 if there is one.
    """
    from engine.version import ENGINE_VERSION
    from stemfix.checks import all_checks
    from stemfix.console import say, say_json

    if not as_json:
        say(f"stemfix {__version__} (engine {ENGINE_VERSION})")
    found = []
    for check in all_checks():
        found.append(check)
        if not as_json:
            say(_block(f"{_WORDS[check.state]:<7} {check.name:<10} ", check.found))
            if check.remedy:
                say(_block(f"{'':<18} -> ", check.remedy))
    failures = sum(check.state == "failed" for check in found)
    if as_json:
        say_json(
            {
                "stemfix": __version__,
                "engine": ENGINE_VERSION,
                "ok": failures == 0,
                "checks": [vars(check) for check in found],
            }
        )
    else:
        say(f"{failures} failed." if failures else "All is well.")
    return 1 if failures else 0


def _block(lead: str, text: str) -> str:
    """`text` behind `lead`, wrapped to the terminal between words; a path or a command word stays whole."""
    return textwrap.fill(
        text,
        width=max(shutil.get_terminal_size().columns, len(lead) + 20),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
