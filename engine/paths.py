"""Where stemfix keeps things on this computer; none of these functions creates a folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "stemfix"


def data_dir() -> Path:
    """Jobs, the queue and everything that must survive: `STEMFIX_DATA_DIR`, or the user's data folder."""
    return _from_environment("STEMFIX_DATA_DIR") or platformdirs.user_data_path(_APP, appauthor=False)


def model_dir() -> Path:
    """The pulled models: `STEMFIX_MODEL_DIR`, or `models` in the data folder."""
    return _from_environment("STEMFIX_MODEL_DIR") or data_dir() / "models"


def cache_dir() -> Path:
    """What can be made again at any time: `STEMFIX_CACHE_DIR`, or the user's cache folder."""
    return _from_environment("STEMFIX_CACHE_DIR") or platformdirs.user_cache_path(_APP, appauthor=False)


def config_dir() -> Path:
    """`config.toml` and the user's presets: `STEMFIX_CONFIG_DIR`, or the user's configuration folder."""
    return _from_environment("STEMFIX_CONFIG_DIR") or platformdirs.user_config_path(_APP, appauthor=False)


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser().absolute() if value else None
