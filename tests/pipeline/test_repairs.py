"""Repairs before the separation, and songs that are not separated at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.errors import AlignmentError, OptionError
from engine.job import JobSpec
from engine.pipeline import Job, JobResult
from engine.plan import plan_job
from engine.workspace import Workspace

Run = Callable[..., JobResult]
MakeSong = Callable[..., Path]

#: Always finds something to do, and leaves other samples than it found.
CHANGES = 'effect = "equaliser"\nbands = [{ kind = "bell", frequency_hz = 3000, gain_db = 3 }]\n'
#: Finds nothing to do in a soft song.
FINDS_NOTHING = 'effect = "limiter"\nceiling_db = 0.0\n'


@pytest.fixture
def preset(tmp_path: Path) -> Callable[..., str]:
    """`preset(repair, rest)` writes a preset file and returns its path."""

    def write(repair: str = "", rest: str = "", top: str = "", name: str = "mine") -> str:
        path = tmp_path / f"{name}.toml"
        path.write_text(f"{top}\n" + (f"[[repair]]\n{repair}" if repair else "") + rest)
        return str(path)

    return write


def original(source: Path) -> np.ndarray:
    return soundfile.read(source, dtype="float32", always_2d=True)[0]


def delivered(result: JobResult) -> dict[str, np.ndarray]:
    return {stem.name: original(result.folder / stem.file) for stem in result.manifest.stems}


def test_the_repaired_recording_is_what_is_separated(
    make_song: MakeSong, run: Run, preset: Callable[..., str]
) -> None:
    source = make_song(2 * 44_100)
    result = run(source, preset=preset(CHANGES))
    total = np.sum(list(delivered(result).values()), axis=0, dtype=np.float64)
    assert np.sqrt(np.mean((total - original(source)) ** 2)) > 1e-3
    assert result.manifest.repaired
    assert result.manifest.null_rms_db <= -120.0, "against what was separated"
    assert [(step["effect"], step["applied"]) for step in result.report.repairs] == [("equaliser", True)]
    proof = result.report.alignment["repair"]
    assert proof["verdict"] == "PASS"
    assert abs(proof["delay_samples"]) < 0.15
    assert proof["polarity"] == 1
    assert proof["coherence"] > 0.99


def test_repairs_that_find_nothing_change_nothing(
    make_song: MakeSong, run: Run, preset: Callable[..., str], fake_separator: Any
) -> None:
    source = make_song(2 * 44_100)
    soundfile.write(source, original(source) * 0.25, 44_100, subtype="FLOAT")
    plain = run(source, preset="none")
    found_nothing = run(source, preset=preset(FINDS_NOTHING))
    assert (plain.report.cache, found_nothing.report.cache) == ("miss", "hit"), "unchanged bytes, same key"
    assert fake_separator.runs == 1
    assert not found_nothing.manifest.repaired
    assert found_nothing.report.alignment["repair"] is None
    assert [step["applied"] for step in found_nothing.report.repairs] == [False]
    for name, audio in delivered(found_nothing).items():
        np.testing.assert_array_equal(audio, delivered(plain)[name])


def test_repairs_that_change_samples_are_separated_afresh(
    make_song: MakeSong, run: Run, preset: Callable[..., str], fake_separator: Any
) -> None:
    source = make_song(2 * 44_100)
    run(source, preset="none")
    assert run(source, preset=preset(CHANGES)).report.cache == "miss"
    assert (
        run(source, preset=preset(CHANGES, name="again"), out_dir=source.parent / "b").report.cache == "hit"
    )
    assert fake_separator.runs == 2


def test_a_repair_that_moves_the_recording_fails_the_proof(
    make_song: MakeSong, run: Run, preset: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import engine.pipeline
    from engine.audio.buffer import AudioBuffer

    honest = engine.pipeline.run_chain

    def late(processors: Any, source: AudioBuffer, path: Path, *rest: Any) -> Any:
        if path.name != "repaired.f32":
            return honest(processors, source, path, *rest)
        moved = source.like(path)
        moved.write(3, source.read(0, source.frames - 3))
        return moved, [{"effect": "equaliser", "applied": True}]

    monkeypatch.setattr(engine.pipeline, "run_chain", late)
    with pytest.raises(AlignmentError, match=r"the repaired recording.*late"):
        run(make_song(3 * 44_100), preset=preset(CHANGES))
    assert not (tmp_path / "out").exists()


def test_a_restarted_job_keeps_the_repaired_audio(
    make_song: MakeSong, tmp_path: Path, preset: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.pipeline

    spec = JobSpec(source=make_song(44_100), out_dir=tmp_path / "out", model="whole", preset=preset(CHANGES))

    def workspace(job: Job) -> Workspace:
        return Workspace(spec.out_dir, job.name, token="restarted")

    job = Job(spec)
    with workspace(job) as work:
        read = job.read(work)
        repaired = job.repair(work, read)
    # Another process, in which nothing may be repaired once more.
    monkeypatch.setattr(engine.pipeline, "processors", lambda chain: ())
    again = Job(spec)
    with workspace(again) as work:
        separated = again.separate(work, repaired)
        enhanced = again.enhance(work, separated)
        aligned = again.align(work, enhanced)
        result = again.publish(work, read, separated, enhanced, aligned)
        work.discard()
    assert result.manifest.repaired
    assert result.report.repairs == repaired.reports
    assert not np.array_equal(delivered(result)["song"], original(spec.source))


@pytest.mark.parametrize(("channels", "rate"), [(1, 8_000), (2, 44_100), (2, 96_000)])
def test_a_whole_song_without_effects_is_the_source_bit_by_bit(
    make_song: MakeSong, run: Run, channels: int, rate: int, fake_separator: Any
) -> None:
    source = make_song(rate + 331, channels, rate)
    result = run(source, model="whole", preset="none")
    assert list(delivered(result)) == ["song"]
    np.testing.assert_array_equal(delivered(result)["song"], original(source))
    assert result.manifest.mix is not None
    np.testing.assert_array_equal(original(result.folder / result.manifest.mix.file), original(source))
    assert result.manifest.null_rms_db == result.manifest.null_peak_db == -200.0
    assert result.manifest.verdict == "PASS"
    assert (result.folder / "song-song.wav").is_file()
    assert fake_separator.runs == 0
    assert (result.manifest.model.name, result.report.device, result.report.cache) == ("whole", "none", "off")
    assert run(source, model="whole", preset="none").already_done


def test_a_whole_song_gets_the_chain_of_the_song(
    make_song: MakeSong, run: Run, preset: Callable[..., str]
) -> None:
    source = make_song(2 * 44_100)
    made = preset(rest=f"[[song]]\n{CHANGES}[[vocals]]\n{CHANGES}", top='quality = "whole"')
    whole = run(source, model="whole", preset=made)
    assert list(whole.report.chains) == ["song"]
    assert [step["applied"] for step in whole.report.chains["song"]] == [True]
    assert whole.manifest.null_rms_db == -200.0, "before the chain"
    separated = run(source, preset=made)
    assert [stem for stem, chain in separated.report.chains.items() if chain] == ["vocals"]


def test_a_whole_song_has_no_other_stem(make_song: MakeSong, run: Run, tmp_path: Path) -> None:
    source = make_song(44_100)
    with pytest.raises(OptionError, match=r"whole song, which has no stem 'vocals'.*--quality standard"):
        run(source, model="whole", stems=("vocals",), preset="fast")
    assert not (tmp_path / "out").exists()
    assert list(delivered(run(source, model="whole", stems=("song",)))) == ["song"]
    assert list(delivered(run(source, model="whole", residual="stem", preset="fast"))) == ["song"]


def test_the_plan_of_a_whole_song_has_no_segments(make_song: MakeSong, tmp_path: Path) -> None:
    plan = plan_job(JobSpec(source=make_song(44_100), out_dir=tmp_path, model="whole", preset="none"))
    assert (plan.segments, plan.stems, plan.files) == (0, ["song"], ["song-song.wav", "song-mix.wav"])


@pytest.mark.parametrize("target_lufs", [-14.0, -30.0])
def test_the_mix_has_the_loudness_that_the_preset_wants(
    make_song: MakeSong, run: Run, preset: Callable[..., str], target_lufs: float
) -> None:
    rest = f"[mix]\ntarget_lufs = {target_lufs}\ntrue_peak_db = -1.0\n"
    result = run(make_song(4 * 44_100), model="whole", preset=preset(rest=rest))
    assert result.manifest.mix is not None
    assert result.manifest.mix.lufs == pytest.approx(target_lufs, abs=0.3)
    assert result.manifest.mix.true_peak_db is not None
    assert result.manifest.mix.true_peak_db <= -0.95
