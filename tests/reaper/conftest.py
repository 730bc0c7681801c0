"""A studio for each version of Lua that REAPER has had."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

# The harness is plain modules, which the mutation check uses too.
sys.path.insert(0, str(Path(__file__).parent))

from studio import Studio, make_studio


@pytest.fixture(params=["lua53", "lua54"])
def lua(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"lupa.{request.param}")


@pytest.fixture
def studio_of(lua: Any, tmp_path: Path) -> Studio:
    """A studio under every version of Lua."""
    return make_studio(lua, tmp_path)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A studio under REAPER 7's Lua."""
    return make_studio(importlib.import_module("lupa.lua54"), tmp_path)
