"""`stemfix config`: where the configuration lies, what holds, and a file to begin with."""

from __future__ import annotations

import json
from typing import Any

import click


@click.group("config")
def command() -> None:
    """Show the configuration file, or write one to begin with."""


@command.command("path")
def path() -> None:
    """Print where the configuration is looked for."""
    from engine.config import config_path
    from stemfix.console import say

    say(str(config_path()))


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Check the configuration and print what holds, defaults included."""
    from engine.config import load_config
    from stemfix.console import say, say_json
    from watchers.settings import WatchSettings

    config = load_config()
    engine = config.engine.model_dump(mode="json")
    if engine["queue_url"]:
        engine["queue_url"] = _without_password(engine["queue_url"])
    watch = [settings.model_dump(mode="json") for settings in config.tables("watch", WatchSettings)]
    if as_json:
        say_json({"path": str(config.path), "exists": config.exists, "engine": engine, "watch": watch})
        return
    say(f"# {config.path}" if config.exists else f"# {config.path}: there is none, these are the defaults")
    _say_table("[engine]", engine)
    for table in watch:
        _say_table("[[watch]]", table)


@command.command("init")
def init() -> None:
    """Write a commented configuration file; one that is there is never overwritten."""
    from engine.config import config_path, write_default
    from stemfix.console import say

    if write_default():
        say(f"Written: {config_path()}")
    else:
        say(f"There is one already, and it was left as it is: {config_path()}")


def _say_table(header: str, values: dict[str, Any]) -> None:
    from stemfix.console import say

    say(header)
    for key, value in values.items():
        # A JSON value is a TOML value too, but for null.
        say(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            if value is not None
            else f"# {key}: left to stemfix"
        )


def _without_password(url: str) -> str:
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)
