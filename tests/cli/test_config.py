"""The configuration file: what it may hold, what it says about a mistake, and its commands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from engine.config import EngineConfig, default_text, load_config
from engine.errors import OptionError


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration is looked for; the file is not there."""
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "config.toml"


def test_without_a_file_everything_has_its_default(config_file: Path) -> None:
    config = load_config()
    assert config.path == config_file
    assert not config.exists
    assert config.engine == EngineConfig()
    assert config.count("watch") == 0


def test_what_the_file_says_holds(config_file: Path) -> None:
    config_file.write_text(
        '[engine]\nidle_minutes = 0\ncpu_workers = 3\ndevice = "cpu"\n'
        'queue_url = "postgresql+psycopg://me@host/db"\n'
    )
    engine = load_config().engine
    assert (engine.idle_minutes, engine.cpu_workers, engine.device) == (0, 3, "cpu")
    assert engine.queue_url == "postgresql+psycopg://me@host/db"


BROKEN = {
    "unknown table": ("\n[engin]\n", 2, "unknown key 'engin'", "Did you mean 'engine'?"),
    "unknown key": (
        "[engine]\nidle_minuts = 3\n",
        2,
        "unknown key 'idle_minuts'",
        "'idle_minutes'? Allowed: ",
    ),
    "wrong type": ('[engine]\n\ncpu_workers = "2"\n', 3, 'cpu_workers = "2" is not allowed', "from 1 to 64"),
    "out of range": ("[engine]\ncpu_workers = 0\n", 2, "cpu_workers = 0 is not allowed", "from 1 to 64"),
    "unknown value": ('[engine]\ndevice = "gpu"\n', 2, 'device = "gpu"', "Did you mean 'cpu'?"),
    "no database": ('[engine]\nqueue_url = "mysql://x"\n', 2, "queue_url", "postgresql://"),
    "no table": ("engine = 1\n", 1, "'engine' must be a table", "[engine]"),
    "no list": ("[watch]\nfolder = 1\n", 1, "'watch' must be a list of tables", "[[watch]]"),
    "no TOML": ("[engine\n", 1, "not valid TOML", "brackets"),
    "backslashes": ('[[watch]]\nfolder = "C:\\Users\\me"\n', 2, "not valid TOML", "single quotes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_named_with_file_line_and_what_is_allowed(config_file: Path, name: str) -> None:
    text, line, what, remedy = BROKEN[name]
    config_file.write_text(text)
    with pytest.raises(OptionError) as caught:
        load_config()
    message = str(caught.value)
    assert f"{config_file}, line {line}: " in message
    assert what in message
    assert remedy in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"#" * (1 << 20) + b"#"], ids=["bytes", "huge"])
def test_what_is_no_text_is_refused(config_file: Path, content: bytes) -> None:
    config_file.write_bytes(content)
    with pytest.raises(OptionError, match=re.escape(str(config_file))):
        load_config()


def test_a_folder_in_its_place_is_refused(config_file: Path) -> None:
    config_file.mkdir()
    with pytest.raises(OptionError, match="can't be read"):
        load_config()


def test_the_default_file_sets_nothing(config_file: Path) -> None:
    config_file.write_text(default_text())
    config = load_config()
    assert config.engine == EngineConfig()
    assert config.count("watch") == 0


def test_the_default_file_switched_on_is_valid_and_shows_the_defaults(config_file: Path) -> None:
    """The manual can't drift: every key of the models stands in it, and every one there is allowed."""
    from watchers.settings import WatchSettings

    switched_on = re.sub(r"^#(?=\S)", "", default_text(), flags=re.MULTILINE)
    config_file.write_text(switched_on)
    config = load_config()
    (watch,) = config.tables("watch", WatchSettings)
    assert config.engine.model_fields_set == set(EngineConfig.model_fields)
    assert watch.model_fields_set == set(WatchSettings.model_fields)
    examples = {"cpu_workers", "queue_url"}
    assert config.engine.model_dump(exclude=examples) == EngineConfig().model_dump(exclude=examples)


def test_a_watched_folder_with_a_mistake_is_named_by_its_line(config_file: Path) -> None:
    from watchers.settings import WatchSettings

    config_file.write_text('[[watch]]\nfolder = "/in"\n\n[[watch]]\nfolder = "/in2"\npreste = "fast"\n')
    config = load_config()
    with pytest.raises(OptionError, match=r"line 6: \[\[watch\]\]: unknown key 'preste'.*'preset'"):
        config.tables("watch", WatchSettings)


class TestCommands:
    def test_path_prints_where_it_is_looked_for(self, stemfix, config_file: Path) -> None:
        assert stemfix("config", "path").out.strip() == str(config_file)
        assert not config_file.exists()

    def test_init_writes_the_manual_once(self, stemfix, config_file: Path) -> None:
        config_file.parent.rmdir()
        outcome = stemfix("config", "init")
        assert outcome.status == 0
        assert str(config_file) in outcome.out
        assert config_file.read_text() == default_text()
        if os.name != "nt":
            assert config_file.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in config_file.parent.iterdir()] == ["config.toml"]

    def test_init_never_overwrites(self, stemfix, config_file: Path) -> None:
        config_file.write_text("[engine]\nidle_minutes = 1\n")
        outcome = stemfix("config", "init")
        assert outcome.status == 0
        assert "left as it is" in outcome.out
        assert config_file.read_text() == "[engine]\nidle_minutes = 1\n"

    def test_show_prints_what_holds(self, stemfix, config_file: Path) -> None:
        assert "there is none" in stemfix("config", "show").out
        config_file.write_text(
            '[engine]\nidle_minutes = 3.5\nqueue_url = "postgresql://me:secret@host/db"\n'
            f'[[watch]]\nfolder = "{config_file.parent.as_posix()}"\npreset = "fast"\n'
        )
        shown = stemfix("config", "show")
        assert shown.status == 0
        assert "idle_minutes = 3.5" in shown.out
        assert 'preset = "fast"' in shown.out
        assert "secret" not in shown.out
        (value,) = stemfix("config", "show", "--json").objects
        assert value["engine"]["idle_minutes"] == 3.5
        assert value["watch"][0]["preset"] == "fast"
        assert "secret" not in str(value)

    def test_show_complains_like_everything_else(self, stemfix, config_file: Path) -> None:
        config_file.write_text("[engine]\nidle = 3\n")
        outcome = stemfix("config", "show")
        assert outcome.status == 2
        assert len(outcome.error_lines) == 1
        assert "line 2" in outcome.err
