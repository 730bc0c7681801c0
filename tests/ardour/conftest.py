"""One virtual screen, one home and one engine for all tests here; and whether Ardour is there at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The harness is plain modules, which the benchmark uses too.
sys.path.insert(0, str(Path(__file__).parent))

from app import Ardour, Home, picture_path, virtual_screen

_PROGRAMS = ("ardour", "ardour7-lua", "ardour7-new_session", "Xvfb", "xdotool", "import")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.ardour)
            # They share one Ardour at a time, and its screen.
            item.add_marker(pytest.mark.xdist_group("ardour"))


@pytest.fixture(scope="session")
def programs() -> None:
    """Skip where Ardour 7 or what drives it is not installed; in CI where it could be, that is a failure."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}. Run as root: make system"
        if os.environ.get("CI") == "true" and shutil.which("apt-get"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def home(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Ardour's configuration with the scripts installed; its engine ends with the tests."""
    made = Home(tmp_path_factory.mktemp("ardour"), Path(sys.executable))
    yield made
    made.stop_engine()


@pytest.fixture(scope="session")
def screen(programs: None) -> Iterator[str]:
    """The DISPLAY of a virtual screen."""
    with virtual_screen() as display:
        yield display


@pytest.fixture(scope="module")
def start(home: Home, screen: str) -> Iterator[Callable[[Path], Ardour]]:
    """`start(session)` opens a session in Ardour; whatever is left of it is gone after the module."""
    started: list[Ardour] = []

    def begin(session: Path) -> Ardour:
        started.append(Ardour(home, session, screen))
        return started[-1]

    yield begin
    for ardour in started:
        ardour.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep a screenshot of a failure."""
    report = yield
    if call.excinfo is not None and call.when == "call":
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Ardour):
                picture = picture_path(item.name)
                value.picture(picture)
                report.sections.append(("screenshot", str(picture)))
                report.sections.append(("stemfix log", value.home.log()[-4000:]))
    return report
