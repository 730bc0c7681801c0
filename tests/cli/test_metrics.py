"""`stemfix metrics`: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44_100


def write(path: Path, seconds: float = 3.0, rate: int = RATE, channels: int = 2, noise: float = 0.0) -> Path:
    generator = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    hits = generator.standard_normal((time.size, channels)) * np.exp(-((time % 0.5) / 0.05))[:, None]
    audio = 0.2 * hits + noise * generator.standard_normal(hits.shape)
    soundfile.write(path, audio.astype(np.float32), rate, subtype="FLOAT")
    return path


def test_a_file_by_itself(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("metrics", write(tmp_path / "song 🎸.wav"))
    assert (outcome.status, outcome.err) == (0, "")
    assert "song 🎸.wav: 3.00 s, 44100 Hz, stereo" in outcome.out
    for measure in ("loudness", "crest factor", "SNR", "flatness", "comb residue", "shimmer", "mono loss"):
        assert measure in outcome.out
    assert "Against the reference" not in outcome.out
    assert all(line == line.rstrip() and len(line) <= 80 for line in outcome.out.splitlines()[1:])


def test_against_a_reference(stemfix, tmp_path: Path) -> None:
    clean, noisy = write(tmp_path / "clean.wav"), write(tmp_path / "noisy.wav", noise=0.002)
    outcome = stemfix("metrics", noisy, "--reference", clean, "--no-bss")
    assert outcome.status == 0
    for measure in ("SI-SDR", "log-spectral", "log-mel", "multi-resolution", "phase coherence"):
        assert measure in outcome.out
    assert "SDR   " not in outcome.out.replace("SI-SDR", "")


def test_json_holds_every_figure(stemfix, tmp_path: Path) -> None:
    clean, noisy = write(tmp_path / "clean.wav"), write(tmp_path / "noisy.wav", noise=0.002)
    (found,) = stemfix("metrics", noisy, "--reference", clean, "--no-bss", "--json").objects
    assert (found["file"], found["reference"]) == (str(noisy), str(clean))
    against = found["against_reference"]
    assert 15 < against["si_sdr_db"] < 35
    assert against["sdr_db"] is None
    assert against["pesq"] is None
    assert len(against["log_spectral_bands"]) == 5
    (alone,) = stemfix("metrics", clean, "--json").objects
    assert alone["against_reference"] is None
    assert alone["thd_percent"] is None


def test_separation_measures_where_museval_is_installed(stemfix, tmp_path: Path) -> None:
    pytest.importorskip("museval")
    clean, noisy = write(tmp_path / "clean.wav"), write(tmp_path / "noisy.wav", noise=0.002)
    (found,) = stemfix("metrics", noisy, "--reference", clean, "--json").objects
    assert found["against_reference"]["sdr_db"] > 10
    assert found["against_reference"]["sir_db"] is None


@pytest.mark.parametrize(
    ("shape", "word"),
    [({"seconds": 2.0}, "frames"), ({"rate": 48_000}, "Hz"), ({"channels": 1}, "channel")],
)
def test_a_reference_of_another_shape_is_refused_in_one_sentence(
    stemfix, tmp_path: Path, shape: dict[str, float], word: str
) -> None:
    ours, theirs = write(tmp_path / "a.wav"), write(tmp_path / "b.wav", **shape)
    outcome = stemfix("metrics", ours, "--reference", theirs)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.error_lines
    assert word in line
    assert "can't be compared" in line


def test_bad_input_is_refused(stemfix, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    good = write(tmp_path / "good.wav")
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((RATE, 2)), RATE)
    for arguments in (
        [tmp_path / "absent.wav"],
        [text],
        [silent],
        [good, "--reference", text],
        [good, "--speech"],
        [good, "--bss"],
        [good, "--interference", good],
    ):
        outcome = stemfix("metrics", *arguments)
        assert (outcome.status, outcome.out) == (2, ""), arguments
        assert len(outcome.error_lines) == 1
