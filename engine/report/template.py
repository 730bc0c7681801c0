"""Template: the page as one HTML text of its own files (page/); its policy lets nothing else run or load."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib import resources

from engine.report.page_model import Page

#: In the order in which they depend on each other.
_SCRIPTS = (
    "dom",
    "text",
    "statistics",
    "audio_store",
    "player",
    "mixer",
    "state",
    "drawing",
    "pictures",
    "transport",
    "stems",
    "tables",
    "effects",
    "blind_session",
    "blind",
    "keyboard",
    "main",
)
#: How a page that stemfix made is recognised before it is replaced.
MARK = b'<meta name="generator" content="stemfix comparison page">'
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page_parts(page: Page) -> tuple[str, str]:
    """The HTML before and after the audio."""
    script, style = page_script(), _file("style.css")
    values = {
        "policy": _policy(script, style, page.full_quality is not None),
        "title": html.escape(f"{page.title}: stemfix comparison"),
        "style": style,
        "data": json_for_script(page),
        "script": script,
    }
    before, _, after = _file("index.html").partition("{{audio}}")
    # One pass: what is put in, such as a title, is never searched for places again.
    return _PLACE.sub(lambda place: values[place[1]], before), after


def json_for_script(page: Page) -> str:
    """The page's data such that no text in it can end the script element that it stands in."""
    # Infinities and NaN become null here.
    text = page.model_dump_json()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def page_script() -> str:
    """All scripts as one that leaves no names behind in the page."""
    bodies = "\n".join(_file(f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{bodies}}})();\n'


def _policy(script: str, style: str, loads_audio: bool) -> str:
    """Only these very bytes run; audio in full quality comes as scripts from the folder beside the page."""
    beside = " 'self' file:" if loads_audio else ""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'{beside}; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _file(name: str) -> str:
    return (resources.files("engine.report") / "page" / name).read_text(encoding="utf-8")
