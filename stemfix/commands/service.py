"""`stemfix service`: start `stemfix up` whenever the user logs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stemfix.service.service import Outcome, ServiceState


@click.group("service")
def command() -> None:
    """Start 'stemfix up' whenever you log on."""


@command.command("install")
def install() -> None:
    """Describe the service to the system, start it now and at every logon.

    Doing it twice changes nothing. A file that is there and differs is kept beside the new one.
    """
    from engine.config import load_config
    from stemfix.parts import parts
    from stemfix.service.service import this_service

    parts(load_config())  # what is wrong with it is better said now than in the system's log
    _tell(this_service().install())


@command.command("uninstall")
def uninstall() -> None:
    """Stop the service and take away what 'install' wrote; your jobs and results stay."""
    from stemfix.service.service import this_service

    _tell(this_service().uninstall())


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show whether the service is installed, and what runs."""
    from engine.spool.client import engine_alive
    from stemfix.console import say, say_json
    from stemfix.only_up import is_up
    from stemfix.service.service import this_service

    state, up, beat = this_service().state(), is_up(), engine_alive()
    if as_json:
        say_json(
            {
                "kind": state.kind,
                "path": str(state.path),
                "installed": state.installed,
                "is_ours": state.is_ours,
                "up_to_date": state.up_to_date,
                "starts_at_logon": state.starts_at_logon,
                "running": state.running,
                "up": up,
                "engine_pid": beat.pid if beat else None,
            }
        )
        return
    say(f"service:     {_service_text(state)}")
    if state.installed:
        say(f"at logon:    {_yes_no(state.starts_at_logon, 'starts', 'does not start')}")
        say(f"now:         {_yes_no(state.running, 'runs', 'does not run')}")
    say(f"stemfix up:  {_yes_no(up, 'runs', 'does not run')}")
    say(f"engine:      {f'runs, process {beat.pid}, {beat.state}' if beat else 'does not run'}")


def _service_text(state: ServiceState) -> str:
    if not state.installed:
        return f"not installed ({state.kind}); to install it: stemfix service install"
    if not state.is_ours:
        return f"{state.path} was not written by stemfix"
    old = (
        "" if state.up_to_date else "; it differs from what stemfix would write now: stemfix service install"
    )
    return f"installed ({state.kind}), {state.path}{old}"


def _yes_no(fact: bool | None, yes: str, no: str) -> str:
    return "unknown" if fact is None else yes if fact else no


def _tell(outcome: Outcome) -> None:
    from stemfix.console import say

    for line in outcome.lines:
        say(line)
    if outcome.to_type:
        say("Type:")
        for line in outcome.to_type:
            say(f"    {line}")
