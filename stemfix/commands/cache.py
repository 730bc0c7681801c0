"""`stemfix cache`: show or clear the cache of separated stems."""

from __future__ import annotations

import click


@click.group("cache")
def command() -> None:
    """Show or clear the cache of separated stems."""


@command.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show how full the cache is, and where it lies."""
    from engine.separation.cache import default_cache
    from stemfix.console import say, say_json
    from stemfix.text import bytes_text, count_text

    found = default_cache().info()
    if as_json:
        say_json(
            {
                "folder": str(found.folder),
                "entries": found.entries,
                "bytes": found.size_bytes,
                "limit_bytes": found.limit_bytes,
            }
        )
        return
    limit = (
        f"of {bytes_text(found.limit_bytes)}"
        if found.limit_bytes
        else "(switched off: STEMFIX_CACHE_GB is 0)"
    )
    entries = count_text(found.entries, "separation")
    say(f"{entries}, {bytes_text(found.size_bytes)} {limit}: {found.folder}")


@command.command("clear")
def clear() -> None:
    """Delete every cached separation; results are never touched."""
    from engine.separation.cache import default_cache
    from stemfix.console import say
    from stemfix.text import bytes_text, count_text

    before = default_cache().clear()
    say(
        f"Deleted {count_text(before.entries, 'separation')}, "
        f"{bytes_text(before.size_bytes)}: {before.folder}"
    )
