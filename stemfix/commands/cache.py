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
    from engine.separation.converted import LIMIT_BYTES, converted_bytes, converted_folder
    from stemfix.console import say, say_json
    from stemfix.text import bytes_text, count_text

    found = default_cache().info()
    networks, network_bytes = converted_bytes()
    if as_json:
        say_json(
            {
                "folder": str(found.folder),
                "entries": found.entries,
                "bytes": found.size_bytes,
                "limit_bytes": found.limit_bytes,
                "openvino": {
                    "folder": str(converted_folder()),
                    "entries": networks,
                    "bytes": network_bytes,
                    "limit_bytes": LIMIT_BYTES,
                },
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
    if networks:
        prepared = count_text(networks, "network")
        say(f"{prepared} prepared for OpenVINO, {bytes_text(network_bytes)}: {converted_folder()}")


@command.command("clear")
def clear() -> None:
    """Delete every cached separation and prepared network; results are never touched."""
    from engine.separation.cache import default_cache
    from engine.separation.converted import clear_converted
    from stemfix.console import say
    from stemfix.text import bytes_text, count_text

    before = default_cache().clear()
    clear_converted()
    say(
        f"Deleted {count_text(before.entries, 'separation')}, "
        f"{bytes_text(before.size_bytes)}: {before.folder}"
    )
