"""ReaPack can install what `reaper_scripts` holds, and finds every file that an action loads."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

import stemfix

ROOT = Path(stemfix.__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "make_reapack_index.py"
URL = "https://example.org/me/stemfix/raw/{commit}/{path}"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reapack_index", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_scripts_keep_the_packaging_rules(make: ModuleType) -> None:
    assert make.problems(make.read_files(ROOT / "reaper_scripts"), stemfix.__version__) == []


def test_the_index_names_every_file_once(make: ModuleType) -> None:
    files = make.read_files(ROOT / "reaper_scripts")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--url", URL, "--commit", "c0ffee", "--time", "2030-01-31T12:00:00Z"],
        capture_output=True,
        text=True,
        check=True,
    )
    root = ElementTree.fromstring(done.stdout)
    assert (root.tag, root.attrib) == ("index", {"version": "1", "name": "stemfix"})
    assert [category.get("name") for category in root] == ["Items Editing"]
    (package,) = root.iter("reapack")
    assert package.get("name") == "stemfix_Enhance selected item.lua"
    assert (package.get("type"), package.get("desc")) == ("script", "stemfix: Enhance selected item")
    (version,) = package.iter("version")
    assert version.attrib == {
        "name": stemfix.__version__,
        "author": "stemfix",
        "time": "2030-01-31T12:00:00Z",
    }
    sources = list(version.iter("source"))
    names = [source.get("file", package.get("name")) for source in sources]
    assert sorted(map(str, names)) == sorted(files)
    for source, name in zip(sources, names, strict=True):
        assert source.text is not None
        assert unquote(source.text) == f"https://example.org/me/stemfix/raw/c0ffee/reaper_scripts/{name}"
        assert " " not in source.text
        assert (source.get("main") == "main") == ("/" not in str(name))
    (about,) = package.iter("description")
    assert (about.text or "").startswith("{\\rtf1")


GOOD = "-- @description D\n-- @version 1.0\n-- @author A\n-- @provides\n--   [nomain] m/*.lua\n\nprint()\n"
BROKEN = {
    "no package": ({"a.lua": "-- @version 1.0\n-- @noindex\n"}, "no package"),
    "version": ({"a.lua": GOOD.replace("1.0", "v1"), "m/b.lua": ""}, "begin with a digit"),
    "segment": ({"a.lua": GOOD.replace("1.0", "1.70000"), "m/b.lua": ""}, "up to 65535"),
    "another version": ({"a.lua": GOOD.replace("1.0", "1.1"), "m/b.lua": ""}, "the program's is 1.0"),
    "no author": ({"a.lua": GOOD.replace("-- @author A\n", ""), "m/b.lua": ""}, "@author is missing"),
    "unknown tag": ({"a.lua": "-- @vversion 2\n" + GOOD, "m/b.lua": ""}, "no tag"),
    "names nothing": ({"a.lua": GOOD}, "names nothing"),
    "unknown option": ({"a.lua": GOOD.replace("nomain", "noman"), "m/b.lua": ""}, "can't be understood"),
    "left out": ({"a.lua": GOOD, "m/b.lua": "", "c.lua": ""}, "c.lua is in no package"),
    "twice": ({"a.lua": GOOD, "b.lua": GOOD, "m/b.lua": ""}, "m/b.lua is in two packages"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_named(make: ModuleType, name: str) -> None:
    files, said = BROKEN[name]
    assert any(said in line for line in make.problems(files, "1.0"))
    assert make.problems({"a.lua": GOOD, "m/b.lua": ""}, "1.0") == []


def test_headers_are_read_as_reapack_reads_them(make: ModuleType) -> None:
    tags = make.header(
        "-- @description a b\n-- @about\n--   # One\n--\n--   two\n-- @noindex\nlocal x -- @author\n"
    )
    assert tags == {"description": ["a b"], "about": ["# One", "", "two"], "noindex": []}


def test_markup_in_texts_is_escaped(make: ModuleType) -> None:
    header = '-- @description a "<b>" & c\n-- @version 1.0\n-- @author é\n-- @about\n--   {x} é ]]\n'
    root = ElementTree.fromstring(make.index({"a.lua": header}, "https://x/{path}", "t"))
    (package,) = root.iter("reapack")
    assert package.get("desc") == 'a "<b>" & c'
    (about,) = package.iter("description")
    assert re.search(r"\\\{x\\\} \\u233\?", about.text or "")
