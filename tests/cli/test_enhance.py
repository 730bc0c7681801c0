"""`stemfix enhance` and `stemfix separate` from the command line to the files, with a stand-in as model."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.errors import AlignmentError
from engine.job import Manifest, Report

pytestmark = pytest.mark.usefixtures("fake_model")
STEMS = ("drums", "bass", "other", "vocals")
MakeSong = Callable[..., Path]


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder` and its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_enhance_leaves_stems_mix_manifest_and_report_beside_the_source(stemfix, make_song: MakeSong) -> None:
    song = make_song("song.wav", seconds=2.0)
    before = song.read_bytes()
    outcome = stemfix("enhance", song)
    assert outcome.status == 0, outcome.err
    folder = song.parent / "song.stemfix"
    expected = {f"song-{part}.wav" for part in (*STEMS, "mix")} | {"manifest.json", "report.json"}
    assert {path.name for path in folder.iterdir()} == expected
    assert song.read_bytes() == before


def test_the_end_is_a_table_the_null_the_residual_and_the_place(stemfix, make_song: MakeSong) -> None:
    song = make_song("song.wav", seconds=2.0)
    out = stemfix("enhance", song, "--preset", "none").out
    assert max(map(len, out.splitlines())) <= max(80, len(str(song)) + 40)
    for stem in STEMS:
        row = next(line.split() for line in out.splitlines() if line.startswith(stem))
        assert row[1:] == [row[1], "LUFS", "0.000", "same", "1.0000", "PASS"]
    null = re.search(r"Null depth of the sum.*: (-\d+\.\d) dBFS RMS", out)
    assert null
    assert float(null[1]) <= -120
    assert "left over -30.0 dB" in out
    assert str(song.parent / "song.stemfix") in out
    assert "\x1b" not in out


def test_separate_has_no_chains_and_no_mix_and_sums_to_the_source(stemfix, make_song: MakeSong) -> None:
    song = make_song("song.wav", seconds=2.0)
    assert stemfix("separate", song).status == 0
    folder = song.parent / "song.stemfix"
    assert {path.name for path in folder.glob("*.wav")} == {f"song-{stem}.wav" for stem in STEMS}
    total = sum(soundfile.read(path)[0] for path in folder.glob("*.wav"))
    rest = total - soundfile.read(song)[0]
    assert 10 * np.log10(np.mean(rest**2) + 1e-30) <= -120


def test_json_is_one_object_per_recording_and_nothing_else(
    stemfix, make_song: MakeSong, tmp_path: Path
) -> None:
    songs = [make_song("a.wav"), make_song("b.wav")]
    outcome = stemfix("enhance", *songs, tmp_path / "none.wav", "--json")
    assert outcome.status == 2
    first, second, third = outcome.objects
    for found, song in ((first, songs[0]), (second, songs[1])):
        assert found["source"] == str(song)
        assert Path(found["folder"]).is_dir()
        Manifest.model_validate(found["manifest"])
        Report.model_validate(found["report"])
        assert found["already_done"] is False
    assert third["source"] == str(tmp_path / "none.wav")
    assert third["error"]["exit_status"] == 2
    assert "none.wav" in third["error"]["message"]


def test_a_second_run_finds_the_first(stemfix, make_song: MakeSong, fake_model: Any) -> None:
    song = make_song()
    stemfix("enhance", song)
    before = tree(song.parent)
    outcome = stemfix("enhance", song, "--json")
    assert outcome.objects[0]["already_done"] is True
    assert tree(song.parent) == before
    assert "already" in stemfix("enhance", song).out
    assert fake_model.runs == 1


def test_another_preset_skips_the_separation_unless_the_cache_is_off(
    stemfix, make_song: MakeSong, fake_model: Any
) -> None:
    song = make_song()
    stemfix("separate", song)
    report = stemfix("enhance", song, "--json").objects[0]["report"]
    assert (report["cache"], fake_model.runs) == ("hit", 1)
    report = stemfix("enhance", song, "--preset", "none", "--no-cache", "--json").objects[0]["report"]
    assert (report["cache"], fake_model.runs) == ("off", 2)


def test_the_preset_fast_works_on_the_whole_song(stemfix, make_song: MakeSong, fake_model: Any) -> None:
    song = make_song()
    result = stemfix("enhance", song, "--preset", "fast", "--json").objects[0]
    assert [stem["name"] for stem in result["manifest"]["stems"]] == ["song"]
    assert fake_model.runs == 0
    refused = stemfix("enhance", song, "--preset", "fast", "--stems", "vocals")
    assert refused.status == 2
    assert len(refused.err.strip().splitlines()) == 1
    assert "no stem 'vocals'" in refused.err
    separated = stemfix("enhance", song, "--preset", "fast", "--quality", "draft", "--json").objects[0]
    assert len(separated["manifest"]["stems"]) == 4
    assert fake_model.runs == 1


def test_nothing_is_overwritten(stemfix, make_song: MakeSong) -> None:
    song = make_song()
    stemfix("enhance", song)
    before = tree(song.parent)
    stemfix("enhance", song, "--preset", "none")
    after = tree(song.parent)
    assert before.items() <= after.items()
    assert (song.parent / "song-2.stemfix").is_dir()


@pytest.mark.parametrize(
    ("name", "extension", "subtype"),
    [
        ("float32", "wav", "FLOAT"),
        ("pcm24", "wav", "PCM_24"),
        ("pcm16", "wav", "PCM_16"),
        ("flac24", "flac", "PCM_24"),
    ],
)
def test_the_format_is_as_asked(
    stemfix, make_song: MakeSong, name: str, extension: str, subtype: str
) -> None:
    song = make_song()
    assert stemfix("separate", song, "--format", name).status == 0
    info = soundfile.info(song.parent / "song.stemfix" / f"song-vocals.{extension}")
    assert info.subtype == subtype


def test_a_range_is_cut_to_the_frame(stemfix, make_song: MakeSong) -> None:
    song = make_song(seconds=2.0, rate=48_000)
    found = stemfix("separate", song, "--range", "0.5:1.25", "--json").objects[0]["manifest"]
    assert (found["source"]["start_frame"], found["source"]["stop_frame"]) == (24_000, 60_000)
    assert {stem["frames"] for stem in found["stems"]} == {36_000}


def test_a_range_beyond_the_end_is_refused(stemfix, make_song: MakeSong) -> None:
    song = make_song(seconds=1.0)
    outcome = stemfix("separate", song, "--range", "0.5:5")
    assert outcome.status == 2
    assert str(song) in outcome.err
    assert not list(song.parent.glob("*.stemfix"))


def test_only_the_stems_that_are_asked_for(stemfix, make_song: MakeSong) -> None:
    song = make_song()
    stemfix("separate", song, "--stems", "Vocals, drums,vocals")
    names = {path.name for path in (song.parent / "song.stemfix").glob("*.wav")}
    assert names == {"song-vocals.wav", "song-drums.wav"}


def test_a_stem_that_the_model_lacks_is_refused_with_those_it_has(stemfix, make_song: MakeSong) -> None:
    song = make_song()
    outcome = stemfix("separate", song, "--stems", "kazoo")
    assert outcome.status == 2
    assert "kazoo" in outcome.err
    assert "vocals" in outcome.err


def test_the_residual_can_be_a_stem(stemfix, make_song: MakeSong) -> None:
    song = make_song()
    outcome = stemfix("separate", song, "--residual", "stem")
    assert (song.parent / "song.stemfix" / "song-residual.wav").is_file()
    assert "a stem of its own" in outcome.out


def test_out_is_made_and_holds_the_results(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song("in/song.wav")
    assert stemfix("separate", song, "--out", tmp_path / "new" / "place").status == 0
    assert (tmp_path / "new" / "place" / "song.stemfix" / "manifest.json").is_file()
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


def test_quiet_says_nothing(stemfix, make_song: MakeSong) -> None:
    outcome = stemfix("enhance", make_song(), "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


def test_a_dry_run_changes_nothing(stemfix, make_song: MakeSong, fake_model: Any) -> None:
    song = make_song(seconds=2.0)
    before = tree(song.parent)
    outcome = stemfix("enhance", song, "--dry-run")
    assert outcome.status == 0
    assert "file     song-vocals.wav" in outcome.out.splitlines()
    assert str(song) in outcome.out
    plan = stemfix("enhance", song, "--dry-run", "--json").objects[0]["plan"]
    assert plan["frames"] == 88_200
    assert tree(song.parent) == before
    assert fake_model.runs == 0


def test_a_folder_is_done_file_by_file_and_failures_are_counted(
    stemfix, make_song: MakeSong, tmp_path: Path
) -> None:
    make_song("album/b.wav")
    make_song("album/a.wav")
    (tmp_path / "album" / "c.wav").write_text("this is not audio")
    outcome = stemfix("separate", tmp_path / "album")
    assert outcome.status == 2
    assert len(outcome.error_lines) == 1
    assert "c.wav" in outcome.error_lines[0]
    assert outcome.err.splitlines()[-1].startswith("2 of 3 done, 1 failed:")
    assert {path.name for path in (tmp_path / "album").glob("*.stemfix")} == {"a.stemfix", "b.stemfix"}


def test_equal_names_below_a_folder_do_not_meet(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("in/one/song.wav")
    make_song("in/two/song.wav")
    outcome = stemfix("separate", tmp_path / "in", "--recursive", "--out", tmp_path / "out")
    assert outcome.status == 0
    for part in ("one", "two"):
        assert (tmp_path / "out" / part / "song.stemfix" / "manifest.json").is_file()


ODD_NAMES = [
    "two  spaces.wav",
    "it's.wav",
    "🎸 naïve 日本.wav",
    "[bold]markup[/bold].wav",
    "-dash.wav",
    "a.b.c.wav",
]


@pytest.mark.parametrize(
    "name", [*ODD_NAMES, *(['say "hi".wav', "line\nbreak.wav"] if os.name != "nt" else [])]
)
def test_odd_names_are_kept_and_printed_in_one_piece(stemfix, make_song: MakeSong, name: str) -> None:
    song = make_song(name)
    outcome = stemfix("separate", song)
    assert outcome.status == 0, outcome.err
    folder = song.parent / f"{song.stem}.stemfix"
    assert (folder / f"{song.stem}-vocals.wav").is_file()
    assert str(folder).replace("\n", "\\n") in outcome.out.splitlines()[-1]


@pytest.mark.skipif(
    os.name == "nt" or os.uname().sysname == "Darwin", reason="names are bytes on Linux alone"
)
def test_a_name_that_is_not_text_does_not_end_the_program(
    stemfix, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song("song.wav")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    song.rename(odd)
    outcome = stemfix("separate", odd)
    assert outcome.status == 2
    assert "Rename" in outcome.err


def test_a_stem_that_moved_stops_the_publication_with_status_3(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.alignment.proof

    def moved(self: object, force: bool) -> None:
        if not force:
            raise AlignmentError("It moved.", "Publish all the same with --force.")

    monkeypatch.setattr(engine.alignment.proof.Proof, "require", moved)
    song = make_song()
    assert stemfix("enhance", song).status == 3
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]
    assert stemfix("enhance", song, "--force").status == 0


def test_the_worst_status_of_several_is_the_status(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import stemfix.batch as batch

    real = batch.run_job

    def run_job(spec: Any, progress: Any, models: Any) -> Any:
        if spec.source.name == "b.wav":
            raise AlignmentError("b.wav moved.")
        return real(spec, progress, models)

    monkeypatch.setattr(batch, "run_job", run_job)
    songs = [make_song(name) for name in ("a.wav", "b.wav", "c.wav")]
    outcome = stemfix("separate", songs[0], tmp_path / "none.wav", *songs[1:])
    assert outcome.status == 3
    assert outcome.err.splitlines()[-1].startswith("2 of 4 done, 2 failed:")


def test_the_environment_is_told_and_kept(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMUCS_SHIFTS", "3")
    monkeypatch.setenv("USE_FLOAT32", "false")
    song = make_song()
    outcome = stemfix("separate", song, "--json")
    assert "DEMUCS_SHIFTS" in outcome.err
    manifest = outcome.objects[0]["manifest"]
    assert manifest["model"]["options"]["shifts"] == 3
    assert manifest["stems"][0]["output_format"] == "pcm16"
