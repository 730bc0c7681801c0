"""Write `api.json`: the functions of REAPER that the Lua files use, with their official signatures.

python make_api.py FULL.json        FULL.json lists every official function, from REAPER's own C header
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lua_calls import uses

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "reaper_scripts"
#: What ReaScript itself adds to the functions of the C header: name -> names of its arguments.
BUILT_IN: dict[str, list[str]] = {
    "atexit": ["function"],
    "defer": ["function"],
    "get_action_context": [],
    "new_array": ["size"],
    "set_action_options": ["flag"],
}


def used_functions() -> set[str]:
    """Every name after `reaper.`, or its alias `r.`, in the Lua files, outside of strings and comments."""
    return {
        use.name
        for path in SCRIPTS.rglob("*.lua")
        for use in uses(path.read_text(encoding="utf-8"))
        if use.table == "reaper" and not use.name.startswith("ImGui_")
    }


def signature(name: str, full: dict[str, Any]) -> dict[str, Any]:
    """`{args: [[name, type], ...], ret}` with C types."""
    if name in BUILT_IN:
        return {"args": [[argument, "lua"] for argument in BUILT_IN[name]], "ret": "lua"}
    found = full["reaper." + name]
    types = dict(reversed(argument.rsplit(" ", 1)) for argument in found["c_args"])
    return {"args": [[argument, types[argument]] for argument in found["lua_args"]], "ret": found["ret"]}


def small_list(full: dict[str, Any]) -> dict[str, Any]:
    """The list for all functions in use. Raises KeyError for one that is not official."""
    return {name: signature(name, full) for name in sorted(used_functions())}


def main() -> None:
    full = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines = [
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in small_list(full["functions"]).items()
    ]
    (HERE / "api.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
