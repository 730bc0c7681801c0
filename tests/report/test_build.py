"""build_page: one whole file, nothing else touched, and whatever comes in has an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError, OptionError, OutputError
from engine.progress import Progress
from engine.report.build import MAX_MINUTES, PageOptions, _excerpt, build_page
from engine.report.job_folder import JobFolder

MakeJob = Callable[..., JobFolder]
PLAIN = PageOptions(measured_s=0)


def data(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="page-data">(.*?)</script>', page.read_text(), re.S
    )
    assert found is not None
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_page_is_all_that_is_new(job: MakeJob) -> None:
    made = job()
    before = contents(made.path)
    page = build_page([made], made.path, PageOptions(stems=True, measured_s=0))
    after = contents(made.path)
    assert after.pop("comparison.html")
    assert after == before
    assert page.bytes == page.path.stat().st_size
    again = build_page([made], made.path, PLAIN)
    assert again.path.read_bytes() != b""
    assert set(contents(made.path)) == {*before, "comparison.html"}


def test_a_foreign_page_is_not_replaced(job: MakeJob) -> None:
    made = job()
    (made.path / "comparison.html").write_text("mine")
    with pytest.raises(OutputError, match="not made by stemfix"):
        build_page([made], made.path, PLAIN)
    assert (made.path / "comparison.html").read_text() == "mine"


def test_a_cancelled_page_leaves_nothing(job: MakeJob, tmp_path: Path) -> None:
    from engine.errors import Cancelled

    class Impatient(Progress):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 3:
                raise Cancelled

    made = job()
    (tmp_path / "out").mkdir()
    with pytest.raises(Cancelled):
        build_page([made], tmp_path / "out", PLAIN, progress=Impatient())
    assert list((tmp_path / "out").iterdir()) == []


def test_louder_does_not_win(job: MakeJob, tmp_path: Path) -> None:
    jobs = [job(preset="soft", level=0.05), job(preset="loudest", level=0.4)]
    found = data(build_page(jobs, tmp_path, PageOptions(stems=True, measured_s=0)).path)
    matched = [
        found["tracks"][version["mix"]]["lufs"] + found["tracks"][version["mix"]]["match_db"]
        for version in found["versions"]
    ]
    assert [version["name"] for version in found["versions"]] == ["Original", "soft", "loudest"]
    assert max(matched) - min(matched) < 0.01
    assert all(track["match_db"] <= 0 for track in found["tracks"].values())
    stems = [found["tracks"][version["stems"]["vocals"]] for version in found["versions"][1:]]
    assert stems[0]["lufs"] + stems[0]["match_db"] == pytest.approx(
        stems[1]["lufs"] + stems[1]["match_db"], abs=0.01
    )


@pytest.mark.parametrize(
    ("rate", "channels", "seconds"),
    [(8_000, 1, 3.0), (11_025, 2, 1.0), (44_100, 1, 0.05), (96_000, 2, 0.6), (192_000, 2, 0.5)],
)
def test_any_rate_and_length(job: MakeJob, tmp_path: Path, rate: int, channels: int, seconds: float) -> None:
    made = job(seconds=seconds, rate=rate, channels=channels)
    found = data(build_page([made], tmp_path, PLAIN).path)
    assert found["frames"] / found["sample_rate"] == pytest.approx(seconds, abs=1 / 8_000)
    assert found["sample_rate"] in (rate, 48_000)


def test_silence_and_a_silent_stem(job: MakeJob, tmp_path: Path) -> None:
    made = job(seconds=1, silent_stem=True, preset="quiet", level=0.0)
    found = data(build_page([made], tmp_path, PageOptions(stems=True)).path)
    assert found["versions"][1]["loudness"][0]["lufs"] is None
    assert found["tracks"]["v1"]["match_db"] == 0
    assert found["tracks"]["v1-drums"]["match_db"] == 0


@pytest.mark.parametrize("change", ["gone", "other"])
def test_versions_stand_alone_without_their_original(
    job: MakeJob, tmp_path: Path, noise: Callable[..., Any], change: str
) -> None:
    import soundfile

    made = job(seconds=1)
    made.source.unlink()
    if change == "other":
        soundfile.write(made.source, noise(44_100, seed=5).T, 44_100, subtype="FLOAT")
    page = build_page([made], tmp_path, PLAIN)
    assert [version["name"] for version in data(page.path)["versions"]] == ["balanced"]
    assert "stand alone" in page.notes[0]


def test_a_range_of_a_recording(
    job: MakeJob, tmp_path: Path, noise: Callable[..., Any], write_job: Any
) -> None:
    import soundfile

    source = tmp_path / "long.wav"
    soundfile.write(source, noise(5 * 44_100).T, 44_100, subtype="FLOAT")
    mix = noise(2 * 44_100, seed=3)
    folder = write_job(tmp_path / "long.stemfix", source, mix, {}, start_frame=44_100)
    found = data(build_page([JobFolder.open(folder)], tmp_path, PageOptions(start_s=0.5, measured_s=0)).path)
    assert (found["frames"], found["start_s"]) == (66_150, 1.5)
    assert len(found["versions"]) == 2


def test_long_recordings_are_shortened_with_a_sentence() -> None:
    span, notes = _excerpt(3 * 3600 * 100, 100, PageOptions(start_s=60))
    assert span == (6_000, 6_000 + MAX_MINUTES * 60 * 100)
    assert "179 minutes" in notes[0]
    assert _excerpt(1000, 100, PageOptions()) == ((0, 1000), [])
    with pytest.raises(OptionError, match=r"10\.0 s long"):
        _excerpt(1000, 100, PageOptions(start_s=11))


def test_jobs_of_different_recordings_are_refused(job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="different recordings"):
        build_page([job(seconds=1), job(seconds=2, name="other")], tmp_path, PLAIN)


def test_what_is_no_job_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="no result of a finished job"):
            JobFolder.open(path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="can't be read"):
        JobFolder.open(tmp_path)


def test_repairs_go_from_the_report_to_the_page(job: MakeJob, tmp_path: Path) -> None:
    place = {"start_s": 1.0, "end_s": 1.5, "low_hz": 100.0, "high_hz": None}
    repair = {
        "effect": "declick",
        "applied": True,
        "artifact": "clicks",
        "found": "2 clicks.",
        "done": "Gone.",
    }
    repair |= {"places": [place, {"start_s": 3.0, "end_s": 3.1}, "nonsense"], "places_total": 2}
    made = job(report={"repairs": [repair], "chains": {"vocals": [{"effect": "gate", "applied": False}]}})
    options = PageOptions(start_s=1.25, stop_s=2.0, measured_s=0)
    effects = data(build_page([made], tmp_path, options).path)["versions"][1]["effects"]
    assert [(effect["part"], effect["effect"], effect["applied"]) for effect in effects] == [
        ("recording", "declick", True),
        ("vocals", "gate", False),
    ]
    assert effects[0]["places"] == [{"start_s": 0.0, "end_s": 0.25, "low_hz": 100.0}]


def test_full_quality_lies_beside_the_page(job: MakeJob, tmp_path: Path) -> None:
    made = job(seconds=6)
    for _ in range(2):
        page = build_page([made], tmp_path, PageOptions(full_quality=True, measured_s=0))
        found = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.js"))
        assert found == [f"comparison-audio/v{n}/{index}.js" for n in (0, 1) for index in (0, 1)]
    assert "'self' file:" in page.path.read_text()[:2000]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_page_loads_nothing_and_runs_only_itself(job: MakeJob, tmp_path: Path) -> None:
    text = build_page([job(seconds=1)], tmp_path, PLAIN).path.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert "http://" not in text
    assert "https://" not in text
    assert "fetch(" not in text
    assert "innerHTML" not in text


def test_names_cannot_leave_their_place(job: MakeJob, tmp_path: Path) -> None:
    name = "<!--<script>\N{LINE SEPARATOR}{{script}}"
    page = build_page([job(seconds=1, name=name)], tmp_path, PLAIN).path
    assert data(page)["title"] == name
    head = page.read_text().split("<style>")[0]
    assert "&lt;!--&lt;script&gt;" in head
    assert "<!--" not in page.read_text().split('id="page-data">')[1].split("</script>")[0]
