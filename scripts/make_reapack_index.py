"""Write `index.xml`, from which ReaPack installs the actions of `reaper_scripts/`, or check that it can be.

    python scripts/make_reapack_index.py --url "https://HOST/OWNER/stemfix/raw/{commit}/{path}" > index.xml
    python scripts/make_reapack_index.py --check

A package is a Lua file without `@noindex`; its `@provides` name the files that come with it. The rules are
those of ReaPack's own indexer. ReaPack can't install Python, so the package is Lua alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

ROOT = Path(__file__).resolve().parent.parent
NAME, CATEGORY, FOLDER = "stemfix", "Items Editing", "reaper_scripts"
_TAGS = {"description", "author", "version", "about", "changelog", "provides", "noindex", "link", "donation"}
_TAG = re.compile(r"^--\s?@(\w+)\s*(.*)$")
_MORE = re.compile(r"^--\s{2,}(.*)$")
_PROVIDES = re.compile(r"^(?:\[(?P<options>[\w ]+)\]\s*)?(?P<pattern>\S.*)$")
_OPTIONS = {"main", "nomain", "windows", "win32", "win64", "darwin", "darwin32", "darwin64", "linux"}
_LARGEST_SEGMENT = 65_535


@dataclass(frozen=True)
class Source:
    """One file of a package, by its path in the folder of scripts."""

    path: str
    is_action: bool
    platform: str | None = None


def header(text: str) -> dict[str, list[str]]:
    """The tags of a script, each with its lines; a line that is indented belongs to the tag above it."""
    tags: dict[str, list[str]] = {}
    name = None
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if found := _TAG.match(line):
            name = found[1]
            tags[name] = [found[2]] if found[2] else []
        elif name is not None and (more := _MORE.match(line)):
            tags[name].append(more[1])
        elif name is not None and line.strip() == "--":
            tags[name].append("")
    return tags


def sources(package: str, tags: dict[str, list[str]], files: list[str]) -> list[Source]:
    """The files of the package, itself first. Raises ValueError for a pattern that means nothing."""
    found = [Source(package, True)]
    for line in tags.get("provides", []):
        match = _PROVIDES.match(line)
        options = set((match["options"] or "").split()) if match else set()
        if match is None or options - _OPTIONS:
            raise ValueError(f"@provides can't be understood: {line}")
        named = [name for name in files if _matches(name, match["pattern"])]
        if not named:
            raise ValueError(f"@provides names nothing: {line}")
        platform = next(iter(options - {"main", "nomain"}), None)
        for name in named:
            if name not in [one.path for one in found]:
                found.append(Source(name, "main" in options, platform))
    return found


def problems(files: dict[str, str], program_version: str) -> list[str]:
    """What ReaPack's indexer, or a user, would stumble over. `files`: path in the folder -> text."""
    said = []
    covered: set[str] = set()
    for name, tags in _packages(files).items():
        version = " ".join(tags.get("version", []))
        segments = re.findall(r"\d+", version)
        if not re.match(r"\d", version) or any(int(number) > _LARGEST_SEGMENT for number in segments):
            said.append(f"{name}: @version has to begin with a digit, of numbers up to {_LARGEST_SEGMENT}")
        elif version != program_version:
            said.append(f"{name}: @version is {version}, and the program's is {program_version}")
        said += [f"{name}: @{tag} is missing" for tag in ("description", "author") if not tags.get(tag)]
        said += [f"{name}: @{tag} is no tag of ReaPack's" for tag in tags if tag not in _TAGS]
        if "/" in name:
            said.append(f"{name}: a package lies beside the others, not in a folder")
        try:
            found = {source.path for source in sources(name, tags, list(files))}
        except ValueError as error:
            said.append(f"{name}: {error}")
            continue
        said += [f"{path} is in two packages" for path in sorted(found & covered)]
        covered |= found
    if not _packages(files):
        said.append("there is no package: every script has @noindex")
    said += [f"{name} is in no package" for name in files if name not in covered]
    said += [f"{name}: ':' is not allowed in a file's name" for name in files if ":" in name]
    return said


def index(files: dict[str, str], url: str, time: str) -> str:
    """The text of `index.xml`. `url` holds `{path}` for a file's path in the repository."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<index version="1" name={quoteattr(NAME)}>',
        f"  <category name={quoteattr(CATEGORY)}>",
    ]
    for name, tags in sorted(_packages(files).items()):
        description, author = (" ".join(tags[tag]) for tag in ("description", "author"))
        lines.append(f'    <reapack name={quoteattr(name)} type="script" desc={quoteattr(description)}>')
        if about := tags.get("about"):
            text = _rtf(about)
            lines += ["      <metadata>", f"        <description><![CDATA[{text}]]></description>"]
            lines.append("      </metadata>")
        version = quoteattr(" ".join(tags["version"]))
        lines.append(f"      <version name={version} author={quoteattr(author)} time={quoteattr(time)}>")
        if changelog := tags.get("changelog"):
            text = "\n".join(changelog).replace("]]>", "]] >")
            lines.append(f"        <changelog><![CDATA[{text}]]></changelog>")
        for source in sources(name, tags, list(files)):
            attributes = ' main="main"' if source.is_action else ""
            if source.path != name:
                attributes += f" file={quoteattr(source.path)}"
            if source.platform:
                attributes += f" platform={quoteattr(source.platform)}"
            place = url.replace("{path}", quote(f"{FOLDER}/{source.path}"))
            lines.append(f"        <source{attributes}>{escape(place)}</source>")
        lines += ["      </version>", "    </reapack>"]
    return "\n".join([*lines, "  </category>", "</index>", ""])


def read_files(folder: Path) -> dict[str, str]:
    """The Lua files of the folder, by their paths in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.lua"))
    }


def _packages(files: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    found = {name: header(text) for name, text in files.items()}
    return {name: tags for name, tags in found.items() if "version" in tags and "noindex" not in tags}


def _matches(name: str, pattern: str) -> bool:
    """As in Ruby, which ReaPack's indexer is written in, `*` stays within a folder."""
    parts, wanted = name.split("/"), pattern.strip().split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _rtf(lines: list[str]) -> str:
    """What ReaPack shows about a package: it reads RTF. A line that begins with `#` is a heading."""
    shown = []
    for line in lines:
        text = re.sub(r"([\\{}])", r"\\\1", line.lstrip("# ").strip())
        text = "".join(one if one.isascii() else f"\\u{ord(one)}?" for one in text)
        shown.append(f"{{\\b {text}}}\\par" if line.startswith("#") else f"{text}\\par")
    return "{\\rtf1\\ansi\n" + "\n".join(shown) + "\n}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "stemfix" / "__init__.py").read_text("utf-8"))
    return found[1] if found else ""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="of a file, with {path} and {commit} in it")
    parser.add_argument("--commit", help="by default the one that is checked out")
    parser.add_argument("--time", help="of the version, as 2030-01-31T12:00:00Z; by default the commit's")
    parser.add_argument("--check", action="store_true", help="only check the scripts")
    given = parser.parse_args()
    files = read_files(ROOT / FOLDER)
    if said := problems(files, _version()):
        print("\n".join(said), file=sys.stderr)
        return 1
    if given.check:
        return 0
    if not given.url or "{path}" not in given.url:
        parser.error("--url with {path} in it is needed")
    commit = given.commit or _git("rev-parse", "HEAD")
    seconds = given.time or int(_git("show", "-s", "--format=%ct", commit))
    time = given.time or datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    sys.stdout.write(index(files, given.url.replace("{commit}", commit), time))
    return 0


if __name__ == "__main__":
    sys.exit(main())
