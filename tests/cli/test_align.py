from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44_100


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A, and B: the same 37 samples late and inverted."""
    generator = np.random.default_rng(0)
    time = np.arange(8 * RATE) / RATE
    hits = generator.standard_normal((8 * RATE, 2)) * np.exp(-((time % 0.5) / 0.05))[:, None]
    audio = (0.2 * hits).astype(np.float32)
    late = -np.concatenate([np.zeros((37, 2), np.float32), audio[:-37]])
    paths = tmp_path / "before.wav", tmp_path / "after 🎸.wav"
    for path, samples in zip(paths, (audio, late), strict=True):
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    return paths


def test_a_file_against_itself_passes(stemfix, pair: tuple[Path, Path]) -> None:
    outcome = stemfix("align", pair[0], pair[0])
    assert outcome.status == 0
    assert outcome.out.startswith("B against A: PASS\n  delay 0.000 samples, polarity same")


def test_what_moved_fails_with_status_3_and_numbers(stemfix, pair: tuple[Path, Path]) -> None:
    outcome = stemfix("align", *pair)
    assert outcome.status == 3
    assert outcome.out.startswith("B against A: FAIL\n  delay 37.000 samples, polarity inverted")
    assert outcome.err == ""


def test_zero_is_never_negative_and_lines_have_no_trailing_blanks(stemfix, pair: tuple[Path, Path]) -> None:
    audio, _ = soundfile.read(pair[0])
    noise = np.random.default_rng(1).standard_normal(audio.shape) * 1e-5
    other = pair[0].parent / "other.wav"
    soundfile.write(other, audio + noise, RATE, subtype="FLOAT")
    out = stemfix("align", pair[0], other).out
    assert "delay 0.000 samples" in out
    assert "-0.0 " not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_json(stemfix, pair: tuple[Path, Path]) -> None:
    (found,) = stemfix("align", *pair, "--json").objects
    assert set(found) == {"a", "b", "sample_rate", "alignment", "judgement", "null", "notes", "fixed"}
    assert found["alignment"]["delay_samples"] == pytest.approx(37, abs=0.02)
    assert (found["alignment"]["polarity"], found["fixed"]) == (-1, None)


def test_fix_writes_a_corrected_copy_and_touches_nothing_else(stemfix, pair: tuple[Path, Path]) -> None:
    name = "fixed 🎸.wav"
    before = [path.read_bytes() for path in pair]
    out = pair[0].parent / name
    outcome = stemfix("align", *pair, "--fix", out)
    assert outcome.status == 0, outcome.err
    assert str(out) in outcome.out
    assert [path.read_bytes() for path in pair] == before
    assert {path.name for path in out.parent.iterdir()} == {pair[0].name, pair[1].name, name}
    fixed, original = soundfile.read(out)[0], soundfile.read(pair[0])[0]
    assert fixed.shape == original.shape
    assert np.abs(fixed - original)[:-37].max() < 1e-6


def test_fix_never_overwrites(stemfix, pair: tuple[Path, Path]) -> None:
    out = pair[0].parent / "fixed.wav"
    out.write_text("mine")
    outcome = stemfix("align", *pair, "--fix", out)
    assert outcome.status == 2
    assert str(out) in outcome.err
    assert out.read_text() == "mine"


def test_fix_of_what_is_right_writes_nothing(stemfix, pair: tuple[Path, Path]) -> None:
    out = pair[0].parent / "fixed.wav"
    assert stemfix("align", pair[0], pair[0], "--fix", out).status == 3
    assert not out.exists()


def test_fix_into_a_folder_that_is_not_there(stemfix, pair: tuple[Path, Path]) -> None:
    outcome = stemfix("align", *pair, "--fix", pair[0].parent / "none" / "fixed.wav")
    assert outcome.status == 2
    assert "fixed.wav" in outcome.err
    assert "Unexpected" not in outcome.err


def test_what_differs_is_told(stemfix, pair: tuple[Path, Path]) -> None:
    audio, _ = soundfile.read(pair[0])
    soundfile.write(pair[0].parent / "mono.wav", audio[:-100].mean(axis=1), RATE, subtype="FLOAT")
    outcome = stemfix("align", pair[0], pair[0].parent / "mono.wav")
    assert outcome.status == 0
    assert "longer by 100 samples" in outcome.out
    assert "mono" in outcome.out


def test_a_file_that_is_not_there(stemfix, pair: tuple[Path, Path]) -> None:
    outcome = stemfix("align", pair[0], "gone.wav")
    assert outcome.status == 2
    assert "gone.wav" in outcome.err
