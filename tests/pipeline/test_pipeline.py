"""Properties of a whole job: length, null, bypass, determinism, and what it leaves on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.errors import AlignmentError, Cancelled, InputError, OptionError, OutputError
from engine.job import Manifest
from engine.pipeline import JobResult
from engine.progress import Progress, Stage

Run = Callable[..., JobResult]
MakeSong = Callable[..., Path]

#: The promise for float32 stems whose chains are bypassed.
NULL_DBFS = -120.0


def decibels(audio: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(np.square(audio, dtype=np.float64))) + 1e-12)


def read(result: JobResult, part: str) -> np.ndarray:
    files = {stem.name: stem.file for stem in result.manifest.stems}
    if result.manifest.mix is not None:
        files["mix"] = result.manifest.mix.file
    return soundfile.read(result.folder / files[part], dtype="float32", always_2d=True)[0]


def everything_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_stems_have_the_inputs_shape_and_sum_to_it(
    make_song: MakeSong, run: Run, rate: int, channels: int
) -> None:
    frames = 2 * rate + 331
    source = make_song(frames, channels, rate)
    result = run(source, preset="none")
    original = soundfile.read(source, dtype="float32", always_2d=True)[0]
    stems = [read(result, name) for name in ("drums", "bass", "other", "vocals")]
    for stem in stems:
        assert stem.shape == (frames, channels)
    assert soundfile.info(result.folder / "song-vocals.wav").samplerate == rate
    residual = original - np.sum(stems, axis=0, dtype=np.float64)
    assert decibels(residual) <= NULL_DBFS
    assert result.manifest.null_rms_db <= NULL_DBFS
    assert result.manifest.verdict == "PASS"


def test_the_mix_of_the_none_preset_is_the_input(make_song: MakeSong, run: Run) -> None:
    source = make_song(60_001)
    result = run(source, preset="none")
    original = soundfile.read(source, dtype="float32", always_2d=True)[0]
    assert decibels(read(result, "mix") - original) <= NULL_DBFS


@pytest.mark.parametrize("preset", ["fast", "balanced", "maximum"])
def test_presets_move_nothing(make_song: MakeSong, run: Run, preset: str) -> None:
    result = run(make_song(6 * 44_100 + 17), preset=preset)
    for stem in result.manifest.stems:
        assert stem.frames == 6 * 44_100 + 17
        assert stem.proof.verdict in {"PASS", "WARN"}, (stem.name, stem.proof.reasons)
        # A low bass tells its delay in degrees, not in samples: see docs/alignment.md.
        degrees = result.report.alignment["stems"][stem.name]["delay_degrees"]
        assert abs(stem.proof.delay_samples) <= 0.15 or abs(degrees) <= 3.0
        assert stem.proof.polarity == 1
    assert result.manifest.null_rms_db <= NULL_DBFS
    assert result.manifest.mix is not None
    assert result.manifest.mix.true_peak_db is not None
    assert result.manifest.mix.true_peak_db <= -0.95


def test_same_in_same_bytes_out(make_song: MakeSong, run: Run, tmp_path: Path) -> None:
    source = make_song(3 * 44_100)
    first = run(source, out_dir=tmp_path / "a", use_cache=False)
    second = run(source, out_dir=tmp_path / "b", use_cache=False)
    one, two = everything_in(first.folder), everything_in(second.folder)
    del one["report.json"], two["report.json"]  # it holds the run's times
    assert one == two


def test_a_finished_job_is_not_done_again(make_song: MakeSong, run: Run, fake_separator: Any) -> None:
    source = make_song(44_100)
    first = run(source)
    before = everything_in(first.folder)
    second = run(source, use_cache=False)
    assert second.already_done
    assert second.folder == first.folder
    assert fake_separator.runs == 1
    assert everything_in(first.folder) == before


def test_damaged_results_are_done_again_beside_the_old(make_song: MakeSong, run: Run) -> None:
    source = make_song(44_100)
    first = run(source)
    victim = first.folder / first.manifest.stems[0].file
    data = bytearray(victim.read_bytes())
    data[-100] ^= 1
    victim.write_bytes(data)
    second = run(source)
    assert not second.already_done
    assert second.folder.name == "song-2.stemfix"
    assert victim.read_bytes() == data, "an existing file is never overwritten"


def test_another_preset_takes_the_stems_from_the_cache(
    make_song: MakeSong, run: Run, fake_separator: Any
) -> None:
    source = make_song(2 * 44_100)
    first = run(source, preset="none")
    second = run(source, preset="balanced")
    assert (first.report.cache, second.report.cache) == ("miss", "hit")
    assert fake_separator.runs == 1
    assert second.manifest.residual_db == first.manifest.residual_db
    assert second.folder != first.folder


def test_a_cached_run_has_the_same_bytes_as_a_fresh_one(
    make_song: MakeSong, run: Run, tmp_path: Path
) -> None:
    source = make_song(2 * 44_100)
    run(source, preset="none")
    cached = run(source, out_dir=tmp_path / "cached")
    fresh = run(source, out_dir=tmp_path / "fresh", use_cache=False)
    assert cached.report.cache == "hit"
    assert cached.manifest == fresh.manifest


def test_the_range_is_cut_to_the_frame(make_song: MakeSong, run: Run) -> None:
    source = make_song(3 * 44_100)
    result = run(source, preset="none", start_frame=12_345, stop_frame=80_001)
    original = soundfile.read(source, dtype="float32", always_2d=True)[0][12_345:80_001]
    stems = sum(read(result, stem.name).astype(np.float64) for stem in result.manifest.stems)
    assert decibels(original - stems) <= NULL_DBFS


@pytest.mark.parametrize(("start", "stop"), [(0, 50_000), (44_100, None), (30_000, 30_000), (30_000, 20_000)])
def test_a_range_outside_the_source_is_refused(
    make_song: MakeSong, run: Run, tmp_path: Path, start: int, stop: int | None
) -> None:
    with pytest.raises(OptionError):
        run(make_song(44_100), start_frame=start, stop_frame=stop)
    assert not (tmp_path / "out").exists()


def test_only_the_wanted_stems_are_enhanced_and_written(make_song: MakeSong, run: Run) -> None:
    result = run(make_song(3 * 44_100), stems=("vocals",))
    assert [stem.name for stem in result.manifest.stems] == ["vocals"]
    assert {path.name for path in result.folder.iterdir()} == {
        "song-vocals.wav",
        "song-mix.wav",
        "manifest.json",
        "report.json",
    }
    with pytest.raises(OptionError, match="no stem 'tuba'"):
        run(make_song(44_100), stems=("tuba",))


def test_the_residual_may_be_a_stem_of_its_own(make_song: MakeSong, run: Run) -> None:
    source = make_song(44_100)
    result = run(source, preset="none", residual="stem")
    assert [stem.name for stem in result.manifest.stems] == ["drums", "bass", "other", "vocals", "residual"]
    original = soundfile.read(source, dtype="float32", always_2d=True)[0]
    stems = sum(read(result, stem.name).astype(np.float64) for stem in result.manifest.stems)
    assert decibels(original - stems) <= NULL_DBFS


def test_the_size_of_the_residual_is_reported(make_song: MakeSong, run: Run) -> None:
    result = run(make_song(44_100), preset="none")
    assert result.manifest.residual_db == pytest.approx(-30.0, abs=0.2)


@pytest.mark.parametrize(
    ("output_format", "subtype", "floor_dbfs"),
    [
        ("pcm24", "PCM_24", -125),
        ("pcm16", "PCM_16", -84),
        ("flac24", "PCM_24", -125),
        ("flac16", "PCM_16", -84),
    ],
)
def test_integer_formats_null_to_their_own_floor(
    make_song: MakeSong, run: Run, output_format: str, subtype: str, floor_dbfs: float
) -> None:
    source = make_song(44_100)
    result = run(source, preset="none", output_format=output_format)
    files = [result.folder / stem.file for stem in result.manifest.stems]
    assert all(soundfile.info(file).subtype == subtype for file in files)
    original = soundfile.read(source, dtype="float64", always_2d=True)[0]
    stems = sum(soundfile.read(file, dtype="float64", always_2d=True)[0] for file in files)
    assert decibels(original - stems) <= floor_dbfs


def test_the_manifest_tells_the_truth(make_song: MakeSong, run: Run) -> None:
    result = run(make_song(44_100))
    manifest = Manifest.model_validate_json((result.folder / "manifest.json").read_bytes())
    assert manifest == result.manifest
    assert manifest.mix is not None
    for record in [*manifest.stems, manifest.mix]:
        data = (result.folder / record.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == record.sha256
        assert len(data) == record.bytes
    json.loads((result.folder / "report.json").read_text())


@pytest.mark.parametrize(
    "name", ["with space.wav", 'it\'s "quoted".wav', "émoji 🎸.wav", "dots.v1.2.wav", "[a]*?.wav"]
)
def test_names_are_kept_as_they_are(make_song: MakeSong, run: Run, name: str) -> None:
    source = make_song(22_050, name=name)
    result = run(source)
    assert result.folder.name == f"{source.stem}.stemfix"
    assert (result.folder / f"{source.stem}-vocals.wav").exists()
    assert run(source).already_done


def test_a_very_long_name_is_shortened(make_song: MakeSong, run: Run) -> None:
    result = run(make_song(22_050, name="é" * 120 + ".wav"))
    assert all(len(path.name.encode()) <= 255 for path in result.folder.iterdir())


def test_the_source_is_untouched(make_song: MakeSong, run: Run) -> None:
    source = make_song(44_100)
    before = (source.read_bytes(), source.stat().st_mtime_ns)
    run(source)
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before


class CancelAt(Progress):
    """Cancels the job when it reports a stage for the first time."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def update(self, stage: Stage, done: int, total: int) -> None:
        if stage == self.stage:
            self.cancel()


@pytest.mark.parametrize("stage", ["read", "separate", "enhance", "align"])
def test_a_cancelled_job_leaves_nothing(make_song: MakeSong, run: Run, tmp_path: Path, stage: Stage) -> None:
    with pytest.raises(Cancelled):
        run(make_song(3 * 44_100), progress=CancelAt(stage))
    assert not (tmp_path / "out").exists()


def test_a_failed_alignment_publishes_nothing_unless_forced(
    make_song: MakeSong, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.pipeline
    from engine.audio.buffer import AudioBuffer

    honest = engine.pipeline.run_chain

    def late(processors: Any, source: AudioBuffer, path: Path, *rest: Any) -> Any:
        _, reports = honest(processors, source, path.with_suffix(".honest"), *rest)
        moved = source.like(path)
        moved.write(3, source.read(0, source.frames - 3))
        return moved, reports

    monkeypatch.setattr(engine.pipeline, "run_chain", late)
    source = make_song(3 * 44_100)
    with pytest.raises(AlignmentError, match="--force"):
        run(source)
    assert not (tmp_path / "out").exists()
    assert run(source, force=True).manifest.verdict == "FAIL"


@pytest.mark.parametrize(("below_db", "verdict"), [(30.0, "FAIL"), (50.0, "WARN")])
def test_only_a_trace_of_a_stem_is_excused(below_db: float, verdict: str) -> None:
    from engine.alignment.proof import prove
    from engine.audio.buffer import AudioBuffer

    generator = np.random.default_rng(1)
    loud, trace = generator.standard_normal((2, 2, 88_200)) * 0.1
    trace = trace * 10 ** (-below_db / 20)
    stems = {"loud": AudioBuffer.of(loud, 44_100), "trace": AudioBuffer.of(trace, 44_100)}
    moved = {**stems, "trace": AudioBuffer.of(np.roll(trace, 20, axis=-1), 44_100)}
    source = AudioBuffer.of(loud + trace, 44_100)
    proof = prove(source, stems, moved, ("loud", "trace"), None, Progress())
    assert proof.stems["loud"].judgement.verdict.value == "PASS"
    assert proof.stems["trace"].judgement.verdict.value == verdict


def test_too_little_disk_space_is_noticed_before_work(
    make_song: MakeSong, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match="GB free"):
        run(make_song(44_100))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_in_the_middle_leaves_nothing(
    make_song: MakeSong, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.audio.buffer import AudioBuffer

    def full(self: AudioBuffer, *_: Any) -> None:
        raise OSError(28, os.strerror(28))

    source = make_song(44_100)
    monkeypatch.setattr(AudioBuffer, "write", full)
    with pytest.raises(OutputError, match="full"):
        run(source)
    assert not (tmp_path / "out").exists()


def test_a_source_that_vanishes_is_an_input_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(tmp_path / "gone.wav")
