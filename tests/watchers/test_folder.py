from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.queue.records import JobState, Priority

Audio = Callable[..., bytes]
MakeBench = Callable[..., Any]


def test_a_dropped_file_becomes_one_job(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "song.wav").write_bytes(audio())
    b.pass_s()
    record = b.queue.only()
    assert record.spec.source == b.folder / "song.wav"
    assert record.spec.out_dir == b.folder
    assert (record.priority, record.client) == (Priority.WATCHED, "watch")
    b.pass_s(300)
    assert len(b.queue.submissions) == 1


def test_the_folders_settings_go_into_the_job(bench: MakeBench, audio: Audio, tmp_path: Path) -> None:
    b = bench(preset="fast", quality="draft", seed=3, out=tmp_path / "out", recursive=True)
    (b.folder / "album").mkdir()
    (b.folder / "album" / "song.wav").write_bytes(audio())
    b.pass_s()
    spec = b.queue.only().spec
    assert (spec.preset, spec.options.shifts, spec.seed) == ("fast", 0, 3)
    assert spec.out_dir == tmp_path / "out" / "album"


def test_backlog_on_start(bench: MakeBench, audio: Audio) -> None:
    folder = bench("other").folder
    for number in range(5):
        (folder / f"{number}.wav").write_bytes(audio(number))
        os.utime(folder / f"{number}.wav", (1e9 - number, 1e9 - number))
    b = bench("other")
    b.pass_s()
    assert b.queue.sources == ["4.wav", "3.wav", "2.wav", "1.wav", "0.wav"]  # the oldest first


def test_a_slow_copy_is_taken_when_it_is_whole(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    data = audio()
    path = b.folder / "song.wav"
    for start in range(0, len(data), 10_000):
        with path.open("ab") as file:
            file.write(data[start : start + 10_000])
        b.pass_s(3)
        assert not b.queue.records or path.read_bytes() == data
    b.pass_s(5)
    assert b.queue.sources == ["song.wav"]


def test_silence_of_30_s_does_not_make_half_a_file_whole(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    data = audio()
    path = b.folder / "song.wav"
    path.write_bytes(data[:40_000])
    b.pass_s(35)
    assert b.queue.records == {}
    assert b.state("song.wav") == "unknown"  # not reported either: it may go on
    path.write_bytes(data)
    b.pass_s(5)
    assert b.queue.sources == ["song.wav"]


def test_a_copy_that_was_cut_off_is_reported_and_never_taken(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    data = audio()
    path = b.folder / "song.wav"
    path.write_bytes(data[:44_144])
    b.pass_s(3600, step=5)
    assert b.queue.records == {}
    assert b.state("song.wav") == "refused"
    assert "incomplete: 0.25 of 0.50 seconds" in b.watch.status().message
    assert b.watch.status().failed == 1
    note = b.folder / "song.wav.stemfix-failed.txt"
    assert "0.25 of 0.50 seconds" in note.read_text()
    path.write_bytes(data)  # and when the copy is made again, it is taken and the note goes
    b.pass_s()
    assert b.queue.sources == ["song.wav"]
    assert not note.exists()


def test_a_cut_off_copy_is_reported_once_and_again_when_it_changes(
    bench: MakeBench, audio: Audio, caplog: pytest.LogCaptureFixture
) -> None:
    b = bench()
    data = audio()
    (b.folder / "song.wav").write_bytes(data[:20_000])
    b.pass_s(1000, step=2)
    assert caplog.text.count("incomplete") == 1
    b.restart()
    b.pass_s(1000, step=2)
    assert caplog.text.count("incomplete") == 1
    (b.folder / "song.wav").write_bytes(data[:30_000])
    b.pass_s(1000, step=2)
    assert caplog.text.count("incomplete") == 2


def test_an_empty_placeholder_waits_for_its_content(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "song.wav").touch()
    b.pass_s(200)
    assert b.queue.records == {}
    assert "0 bytes" in b.watch.status().message
    (b.folder / "song.wav").write_bytes(audio())
    b.pass_s()
    assert b.queue.sources == ["song.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full size can't be told from full content")
def test_a_file_that_gets_its_size_first_and_its_data_late(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    data = audio()
    path = b.folder / "song.wav"
    with path.open("wb") as file:
        file.write(data[:20_000])
        file.truncate(len(data))
    b.pass_s(300)
    assert b.queue.records == {}
    assert "nothing was written to its end" in b.watch.status().message
    path.write_bytes(data)
    b.pass_s()
    assert b.queue.sources == ["song.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no leases")
def test_a_file_that_a_program_has_open_for_writing_waits(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    with (b.folder / "song.wav").open("wb") as file:
        file.write(audio())
        file.flush()
        b.pass_s(300)
        assert b.queue.records == {}
        assert b.state("song.wav") == "unknown"
    b.pass_s(3)
    assert b.queue.sources == ["song.wav"]


def test_a_format_without_a_length_must_lie_still_for_longer(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    mp3 = audio(0, "MP3", "MPEG_LAYER_III")
    xing = mp3.index(b"Xing")
    data = mp3[:xing] + b"\0\0\0\0" + mp3[xing + 4 :]
    (b.folder / "half.mp3").write_bytes(data[: len(data) // 2])
    b.pass_s(40)
    assert b.queue.records == {}
    (b.folder / "half.mp3").write_bytes(data)
    b.pass_s(40)
    assert b.queue.records == {}
    b.pass_s(30)
    assert b.queue.sources == ["half.mp3"]


@pytest.mark.parametrize(
    "temporary", ["song.wav.part", ".song.wav.x7Fq2A", "song.wav.crdownload", "~song.wav", "song.tmp.wav"]
)
def test_a_rename_into_place_is_taken_and_the_name_before_it_is_not(
    bench: MakeBench, audio: Audio, temporary: str
) -> None:
    b = bench(patterns=("*",))
    path = b.folder / temporary
    path.write_bytes(audio())
    b.pass_s(100)
    assert b.queue.records == {}
    path.rename(b.folder / "song.wav")
    b.pass_s()
    assert b.queue.sources == ["song.wav"]


def test_a_text_called_wav_is_refused_with_a_note(bench: MakeBench) -> None:
    b = bench()
    (b.folder / "song.wav").write_text("Hello")
    b.pass_s(1000, step=5)
    assert b.queue.records == {}
    assert "holds text" in (b.folder / "song.wav.stemfix-failed.txt").read_text()
    (b.folder / "song.wav").unlink()
    b.pass_s()
    assert b.names() == []  # the note goes with its file


@pytest.mark.parametrize(
    "name", ["two words.wav", "läuft 🎸.WAV", 'it\'s "q".wav', "-rf.wav", "a%03d.flac.wav"]
)
def test_any_name(bench: MakeBench, audio: Audio, name: str) -> None:
    b = bench("in box 🎧")
    (b.folder / name).write_bytes(audio())
    b.pass_s()
    job = b.queue.only()
    assert job.spec.source.name == name
    b.queue.fail(job.job_id, "No.")
    b.pass_s()
    assert (b.folder / f"{name}.stemfix-failed.txt").exists()


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")
def test_a_name_that_is_no_text_is_refused(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / os.fsdecode(b"caf\xe9.wav")).write_bytes(audio())
    b.pass_s(200)
    assert b.queue.records == {}
    assert b.watch.status().failed == 1
    b.watch.status().model_dump_json()


def test_no_permission_to_read(bench: MakeBench, audio: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench()
    path = b.folder / "song.wav"
    path.write_bytes(audio())
    path.chmod(0)
    real = open

    def refuse(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file) == str(path) and not os.lstat(path).st_mode & 0o400:
            raise PermissionError(13, "Permission denied")
        return real(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)  # the administrator may read everything
    b.pass_s(200)
    assert b.queue.records == {}
    assert "Permission denied" in b.watch.status().message
    path.chmod(0o600)
    b.pass_s()
    assert b.queue.sources == ["song.wav"]


def test_links_are_not_followed(bench: MakeBench, audio: Audio, tmp_path: Path) -> None:
    b = bench(recursive=True)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "song.wav").write_bytes(audio())
    (b.folder / "link.wav").symlink_to(secret / "song.wav")
    (b.folder / "folder").symlink_to(secret)
    b.pass_s(100)
    b.watch.hints.take()
    b.watch.hints.add(str(b.folder / "folder" / "song.wav"))
    b.watch.tick()
    b.pass_s(100)
    assert b.queue.records == {}


def test_sub_folders_only_if_asked(bench: MakeBench, audio: Audio) -> None:
    for recursive in (False, True):
        b = bench(recursive=recursive)
        (b.folder / "album").mkdir(exist_ok=True)
        (b.folder / "album" / "song.wav").write_bytes(audio())
        b.pass_s(20)
        assert len(b.queue.records) == recursive


def test_results_never_trigger_a_job(bench: MakeBench, audio: Audio) -> None:
    b = bench(recursive=True, out="stems", patterns=("*.wav", "*.txt"))
    for folder in ("a.stemfix", ".a.stemfix.job-1", "album/b.stemfix/deep", "stems", "done", "x.download"):
        (b.folder / folder).mkdir(parents=True)
        (b.folder / folder / "a-vocals.wav").write_bytes(audio())
        b.watch.hints.take()
        b.watch.hints.add(str(b.folder / folder / "a-vocals.wav"))
        b.watch.tick()
    (b.folder / "a.wav.stemfix-failed.txt").write_text("note")
    b.pass_s(200)
    assert b.queue.records == {}
    assert b.watch.status().waiting == 0


def test_patterns_choose_and_ignore_case(bench: MakeBench, audio: Audio) -> None:
    b = bench(patterns=("*-final.wav",))
    for name in ("a.wav", "a-FINAL.WAV", "b.flac"):
        (b.folder / name).write_bytes(audio())
    b.pass_s()
    assert b.queue.sources == ["a-FINAL.WAV"]


def test_the_same_content_under_another_name_is_linked(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    shutil.copy(b.folder / "a.wav", b.folder / "b.wav")  # while the job waits
    b.pass_s()
    job = b.queue.only()
    results = b.queue.finish(job.job_id)
    b.pass_s()
    assert (b.state("a.wav"), b.state("b.wav")) == ("done", "done")
    shutil.copy(b.folder / "a.wav", b.folder / "c.wav")  # after it was done
    b.pass_s()
    assert b.state("c.wav") == "done"
    assert len(b.queue.submissions) == 1
    for name in ("b.wav", "c.wav"):
        assert str(results) in (b.folder / f"{name}.stemfix-same.txt").read_text()
    assert not (b.folder / "a.wav.stemfix-same.txt").exists()


def test_the_same_content_is_done_again_where_the_results_are_gone(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    results = b.queue.finish(b.queue.only().job_id)
    b.pass_s()
    shutil.rmtree(results)
    b.pass_s(100)
    assert len(b.queue.submissions) == 1  # the user may have moved them
    (b.folder / "b.wav").write_bytes(audio())
    b.pass_s()
    assert b.queue.sources == ["a.wav", "b.wav"]


def test_the_same_content_with_other_settings_is_another_job(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    again = bench(preset="fast")
    again.pass_s(100)
    assert len(again.queue.submissions) == 1  # what was taken is not done again for a new preset
    (again.folder / "b.wav").write_bytes(audio())
    again.pass_s()
    assert again.queue.sources == ["a.wav", "b.wav"]


def test_an_editor_that_saves_by_rename(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    path = b.folder / "song.wav"

    def save(data: bytes) -> None:
        (b.folder / "song.tmp.wav").write_bytes(data)
        b.pass_s(10)
        if path.exists():
            path.rename(b.folder / "song.wav~")
        b.pass_s(10)
        (b.folder / "song.tmp.wav").rename(path)
        b.pass_s(10)

    save(audio(1))
    b.queue.finish(b.queue.only().job_id)
    b.pass_s()
    save(audio(1))  # nothing new
    assert len(b.queue.submissions) == 1
    save(audio(2))
    assert b.queue.sources == ["song.wav", "song.wav"]


def test_touching_a_done_file_does_nothing(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    b.queue.finish(b.queue.only().job_id)
    b.pass_s()
    os.utime(b.folder / "a.wav", (2e9, 2e9))
    b.pass_s(20)
    assert len(b.queue.submissions) == 1
    assert b.names() == [
        "a.stemfix",
        *(f"a.stemfix/{name}" for name in ("a-vocals.wav", "manifest.json", "report.json")),
        "a.wav",
    ]


def test_a_file_replaced_while_its_job_waits(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    path = b.folder / "a.wav"
    path.write_bytes(audio(1))
    b.pass_s()
    first = b.queue.only().job_id
    path.write_bytes(audio(2)[:5000])  # being written
    b.pass_s(1)
    assert b.queue.records[first].state is JobState.CANCELLED
    path.write_bytes(audio(2))
    b.pass_s()
    assert b.queue.states() == [JobState.CANCELLED, JobState.QUEUED]
    assert b.state("a.wav") == "queued"


@pytest.mark.parametrize(("stage", "state"), [("read", JobState.CANCELLED), ("separate", JobState.RUNNING)])
def test_a_file_replaced_while_its_job_runs(
    bench: MakeBench, audio: Audio, stage: str, state: JobState
) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio(1))
    b.pass_s()
    b.queue.start(b.queue.only().job_id, stage)
    (b.folder / "a.wav").write_bytes(audio(2))
    b.pass_s()
    assert b.queue.states() == [state, JobState.QUEUED]


def test_a_file_renamed_while_its_job_waits_is_done_once(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    (b.folder / "a.wav").rename(b.folder / "b.wav")
    b.pass_s()
    assert b.queue.states() == [JobState.CANCELLED, JobState.QUEUED]
    assert b.queue.sources == ["a.wav", "b.wav"]
    assert b.state("a.wav") == "unknown"


def test_a_file_deleted_while_its_job_waits_is_not_done(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    (b.folder / "a.wav").unlink()
    b.pass_s(3)
    assert b.queue.states() == [JobState.CANCELLED]
    assert b.names() == []


def test_a_deleted_file_whose_content_lies_there_under_another_name_too(
    bench: MakeBench, audio: Audio
) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    (b.folder / "b.wav").write_bytes(audio())
    b.pass_s()
    (b.folder / "a.wav").unlink()
    b.pass_s()
    assert b.queue.states() == [JobState.CANCELLED, JobState.QUEUED]
    assert b.queue.sources == ["a.wav", "b.wav"]


def test_a_restart_takes_nothing_twice_and_loses_nothing(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio(1))
    b.pass_s()
    (b.folder / "b.wav").write_bytes(audio(2))
    b.pass_s(1)
    b.restart()
    (b.folder / "c.wav").write_bytes(audio(3))
    b.pass_s()
    assert sorted(b.queue.sources) == ["a.wav", "b.wav", "c.wav"]
    for job_id in list(b.queue.records):
        b.queue.finish(job_id)
    b.restart()
    b.pass_s()
    assert len(b.queue.submissions) == 3
    assert [b.state(name) for name in ("a.wav", "b.wav", "c.wav")] == ["done"] * 3


@pytest.mark.parametrize("restart", [False, True])
def test_a_queue_that_breaks_in_the_middle(bench: MakeBench, audio: Audio, restart: bool) -> None:
    b = bench()
    b.queue.broken = RuntimeError("database is locked")
    for number in range(3):
        (b.folder / f"{number}.wav").write_bytes(audio(number))
    b.pass_s()
    assert b.watch.status().state == "error"
    assert "locked" in b.watch.status().message
    if restart:
        b.restart()
    b.queue.broken = None
    b.pass_s(15)
    assert sorted(b.queue.sources) == ["0.wav", "1.wav", "2.wav"]
    assert b.watch.status().state == "watching"
    assert len(set(b.queue.submissions)) == 3


def test_a_folder_that_vanishes_is_waited_for(bench: MakeBench, audio: Audio, tmp_path: Path) -> None:
    b = bench()
    (b.folder / "a.wav").write_bytes(audio(1))
    (b.folder / "b.wav").write_bytes(audio(2))
    b.pass_s()
    first, second = b.queue.records
    b.queue.finish(first)
    b.pass_s(3)
    b.folder.rename(tmp_path / "unplugged")
    b.queue.fail(second, "The source does not exist.")
    b.pass_s()
    assert b.watch.status().state == "missing"
    assert "waited for" in b.watch.status().message
    b.folder.mkdir()  # the empty mount point
    b.pass_s()
    b.folder.rmdir()
    (tmp_path / "unplugged" / "c.wav").write_bytes(audio(3))
    (tmp_path / "unplugged").rename(b.folder)
    b.pass_s()
    assert b.watch.status().state == "watching"
    assert sorted(b.queue.sources[2:]) == ["b.wav", "c.wav"]  # what had not been done, and what is new
    assert b.state("a.wav") == "done"


def test_a_folder_that_is_not_there_at_first(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    b.folder.rmdir()
    b.pass_s()
    assert b.watch.status().state == "missing"
    b.folder.mkdir()
    (b.folder / "a.wav").write_bytes(audio())
    b.pass_s()
    assert b.queue.sources == ["a.wav"]


def test_a_lost_place_is_observed_again_when_the_observer_died(bench: MakeBench) -> None:
    b = bench()
    b.pass_s(1)
    observed = b.watch._attachment._observed
    observed.alive = False
    b.pass_s(1)
    assert observed.stopped
    assert b.watch._attachment._observed.alive


def test_without_an_observer_searches_come_more_often(bench: MakeBench, audio: Audio) -> None:
    b = bench()

    def refuse(*_: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    b.observe = refuse
    b.start()
    b.watch.tick()
    (b.folder / "a.wav").write_bytes(audio())
    for _ in range(15):
        b.clock.now += 1
        b.watch.tick()
    assert b.queue.sources == ["a.wav"]


def test_with_an_observer_a_lost_hint_costs_a_minute(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    b.watch.tick()
    (b.folder / "a.wav").write_bytes(audio())
    for seconds in range(75):
        b.clock.now += 1
        b.watch.tick()
        assert seconds > 50 or not b.queue.records
    assert b.queue.sources == ["a.wav"]


def test_unstable_inodes_are_no_change(
    bench: MakeBench, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    path = b.folder / "a.wav"
    path.write_bytes(audio())
    real = os.lstat
    count = iter(range(10**9))

    def lstat(name: Any, **options: Any) -> os.stat_result:
        found = real(name, **options)
        if str(name) != str(path):
            return found
        values = list(found)
        values[1] = next(count)
        return os.stat_result(values, {"st_mtime_ns": found.st_mtime_ns, "st_ctime_ns": found.st_ctime_ns})

    monkeypatch.setattr(os, "lstat", lstat)
    b.pass_s()
    b.queue.fail(b.queue.only().job_id, "No.")
    b.pass_s(100)
    assert len(b.queue.submissions) == 1
