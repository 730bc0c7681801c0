"""What a broken preset file is told: file, line, key, what is allowed, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import PresetError
from engine.processors.presets import load
from presets.lines import LineIndex

BROKEN = {
    "unknown top key": ("\nvocal = 1\n", 2, "unknown key 'vocal'", "Did you mean 'vocals'"),
    "unknown key": (
        '[[vocals]]\neffect = "denoise"\nflor_db = -12\n',
        3,
        "[[vocals]] denoise: unknown key 'flor_db'",
        "Did you mean 'floor_db'?",
    ),
    "unknown effect": (
        '# one\n[[drums]]\neffect = "gate"\n\n[[drums]]\neffect = "transients"\n',
        6,
        "unknown effect 'transients'",
        "Did you mean 'transient'? Allowed: denoise",
    ),
    "no effect": ("[[drums]]\namount = 1.0\n", 1, "[[drums]] names no effect", 'Add effect = "..."'),
    "out of range": (
        '[[vocals]]\neffect = "denoise"\namount = 3\n',
        3,
        "amount = 3 is not allowed",
        "from 0 to 1",
    ),
    "wrong type": (
        '[[vocals]]\neffect = "denoise"\namount = "0.5"\n',
        3,
        'amount = "0.5" is not allowed',
        "a number from 0 to 1",
    ),
    "not a number": ('[[vocals]]\neffect = "denoise"\namount = nan\n', 3, "amount", "from 0 to 1"),
    "a date": ('[[vocals]]\neffect = "denoise"\namount = 2020-01-01\n', 3, "amount", "from 0 to 1"),
    "band": (
        '[[bass]]\neffect = "equaliser"\nbands = [\n  { kind = "bell", frequency_hz = 100 },  # {\n'
        '  # a comment\n  { kind = "bel", frequency_hz = 200 },\n]\n',
        6,
        'bands.2.kind = "bel"',
        "Did you mean 'bell'? Allowed: bell, low_shelf",
    ),
    "band key": (
        '[[bass]]\neffect = "equaliser"\nbands = [\n  { kind = "bell", frequency = 100 },\n]\n',
        4,
        "unknown key 'frequency'",
        "Did you mean 'frequency_hz'? Allowed: kind",
    ),
    "band as tables": (
        '[[bass]]\neffect = "equaliser"\n[[bass.bands]]\nkind = "bell"\nfrequency_hz = 50\n[[bass.bands]]\n'
        'kind = "bell"\nfrequency_hz = 50\ngain_db = 99\n',
        9,
        "bands.2.gain_db = 99",
        "from -24 to 24",
    ),
    "single brackets": ('[vocals]\neffect = "denoise"\n', 1, "'vocals' must be a list", "[[vocals]]"),
    "mix key": ("\n[mix]\nkeep_loudnes = true\n", 3, "[mix]: unknown key 'keep_loudnes'", "'keep_loudness'"),
    "mix type": ("[mix]\nkeep_loudness = 1\n", 2, "keep_loudness = 1", "true or false"),
    "mix range": ("[mix]\ntrue_peak_db = 1.0\n", 2, "true_peak_db = 1.0", "from -20 to 0"),
    "mix chain": ('[[mix.chain]]\neffect = "limitter"\n', 2, "unknown effect 'limitter'", "'limiter'"),
    "mix target": ("[mix]\ntarget_lufs = -3\n", 2, "target_lufs = -3", "from -40 to -5"),
    "two loudnesses": (
        "[mix]\nkeep_loudness = true\ntarget_lufs = -14.0\n",
        1,
        "'keep_loudness' and 'target_lufs' are set",
        "Change one of them",
    ),
    "repair": (
        '[[repair]]\neffect = "equaliser"\n\n[[repair]]\neffect = "denoise"\nfloor = -3\n',
        6,
        "[[repair]] denoise: unknown key 'floor'",
        "Did you mean 'floor_db'?",
    ),
    "song": ('[song]\neffect = "balance"\n', 1, "'song' must be a list", "[[song]]"),
    "a list's values": (
        '[[mix.chain]]\neffect = "multiband"\ncrossovers_hz = [500.0, 200.0]\n',
        3,
        "crossovers_hz must rise",
        "Correct 'crossovers_hz'",
    ),
    "a direction": (
        '[[drums]]\neffect = "expander"\ndirection = "dwn"\n',
        3,
        'direction = "dwn"',
        "Did you mean 'down'?",
    ),
    "quality": ('description = "x"\nquality = "daft"\n', 2, "unknown quality 'daft'", "'draft'"),
    "quality type": ("quality = 3\n", 1, "'quality' must be text", "quotes"),
    "syntax": ('description = "x"\n[[vocals]\n', 2, "not valid TOML", ""),
    "unclosed": ('description = "x\n', 1, "not valid TOML", ""),
    "twice": ("[mix]\nkeep_loudness = true\nkeep_loudness = true\n", 3, "not valid TOML", ""),
    "model check": (
        '[[bass]]\neffect = "saturation"\nbelow_hz = 100\nabove_hz = 300\n',
        1,
        "above_hz must be lower than below_hz",
        "",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_messages_say_where_and_what(case: str, tmp_path: Path) -> None:
    text, line, what, remedy = BROKEN[case]
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PresetError) as caught:
        load(str(path))
    assert caught.value.what.startswith(f"{path}, line {line}: ")
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_what_is_not_a_preset_file(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="can't be read"):
        load(str(tmp_path / "absent.toml"))
    with pytest.raises(PresetError, match="can't be read"):
        load(f"{tmp_path}/")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(PresetError, match="UTF-8"):
        load(str(tmp_path / "binary.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(PresetError, match="too large"):
        load(str(tmp_path / "large.toml"))


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[mix]\r\nkeep_loudness = true\r\n")
    assert load(str(path)).mix.keep_loudness


def test_lines_look_through_strings_and_comments() -> None:
    strings = 'a = "[ { = # ]"  # [\n"b c" = """\n[x]\nd = 1\n"""\n'
    tables = "[t]\ne.f = [\n  1, # {\n  { g = 1 },\n]\nh = '['\ni = 2\n"
    index = LineIndex(strings + tables)
    assert index.line(("a",)) == 1
    assert index.line(("b c",)) == 2
    assert index.line(("t", "e", "f")) == 7
    assert index.line(("t", "h")) == 11
    assert index.line(("t", "i")) == 12
    assert index.line(("t", "i", "deeper")) == 12
    assert index.line(("nothing",)) == 1
