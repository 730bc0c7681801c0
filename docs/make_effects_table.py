"""Write the tables of effects in docs/presets.md from the effects' own declarations.

python docs/make_effects_table.py            rewrites what stands between the two markers
python docs/make_effects_table.py --check    changes nothing; exit status 1 if the tables are out of date
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from engine.processors.processor import Processor
from engine.processors.registry import effects
from engine.repair.repair import Repair

PAGE = Path(__file__).with_name("presets.md")
BEGIN = "<!-- effects: written by make_effects_table.py -->"
END = "<!-- end of effects -->"


def describe(effect: type[Processor]) -> str:
    """One effect: its first sentence, and a table of its settings, `amount` last."""
    summary = (effect.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")
    lines = [
        f"### `{effect.effect}`",
        "",
        summary,
        "",
        "| setting | default | range | |",
        "| --- | --- | --- | --- |",
    ]
    fields = sorted(effect.model_fields.items(), key=lambda item: item[0] == "amount")
    for name, field in fields:
        values = choices(field.annotation) or limits(field.metadata)
        default = "" if field.is_required() else plain(field.default)
        lines.append(f"| `{name}` | {default} | {values} | {field.description or ''} |")
    return "\n".join(lines)


def plain(value: Any) -> str:
    """A default as it is written in TOML."""
    if value is None or value == () or value == []:
        return "none"
    if isinstance(value, tuple):
        return str(list(value))
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def choices(annotation: Any) -> str:
    """What a setting with a fixed set of words may be."""
    return (
        ", ".join(f'"{word}"' for word in get_args(annotation)) if get_origin(annotation) is Literal else ""
    )


def limits(metadata: list[Any]) -> str:
    """The lowest and the highest value, where there are any."""
    found = {
        key: getattr(rule, key) for rule in metadata for key in ("ge", "gt", "le", "lt") if hasattr(rule, key)
    }
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    return "" if low is None or high is None else f"{low:g} to {high:g}"


def main() -> int:
    """Rewrite the page, or compare."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    # Repairs have a page of their own.
    listed = [effect for effect in effects().values() if not issubclass(effect, Repair)]
    tables = "\n\n".join(describe(effect) for effect in listed)
    fresh = f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}"
    if "--check" in sys.argv:
        if fresh != page:
            print("docs/presets.md is out of date: run python docs/make_effects_table.py", file=sys.stderr)
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
