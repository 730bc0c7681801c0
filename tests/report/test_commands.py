"""compare, report and plot as commands: what they write, what they leave, what they refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from click.testing import CliRunner, Result

from engine.errors import StemfixError
from engine.report.job_folder import JobFolder
from stemfix.cli import cli
from stemfix.failure import Settings


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(tmp_path / "private" / name))


@pytest.fixture
def song(tmp_path: Path, noise: Callable[..., Any]) -> Path:
    path = tmp_path / "a song \N{SMILING FACE WITH SUNGLASSES}.wav"
    soundfile.write(path, noise(44_100).T, 44_100, subtype="FLOAT")
    return path


def stemfix(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], obj=Settings())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The preset `fast` works on the whole song, so no test here needs a model.


def test_compare_writes_one_page_and_leaves_nothing_else(song: Path) -> None:
    result = stemfix("compare", song, "--presets", "fast", "--quiet")
    assert result.exception is None, result.exception
    folder = song.parent / f"{song.stem}.compare"
    assert names(folder) == ["comparison.html"]
    text = (folder / "comparison.html").read_text()
    assert '"name":"Original"' in text
    assert '"name":"fast"' in text
    # A second time the page is replaced.
    assert stemfix("compare", song, "--presets", "fast", "--quiet").exception is None
    assert names(folder) == ["comparison.html"]


def test_a_version_that_is_there_is_not_made_again(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = stemfix("enhance", song, "--preset", "fast", "--quiet")
    assert (done.exception, done.output) == (None, "")

    def run_job(*_: object) -> None:
        raise AssertionError("the job was done again")

    import stemfix.versions as versions

    monkeypatch.setattr(versions, "run_job", run_job)
    result = stemfix("compare", song, "--presets", "fast", "--quiet")
    assert result.exception is None, result.exception


def test_versions_are_kept_on_request(song: Path, tmp_path: Path) -> None:
    result = stemfix(
        "compare", song, "--presets", "fast", "--keep", "--out", tmp_path / "out", "--range", "0.2:0.8"
    )
    assert result.exception is None, result.exception
    kept = list((tmp_path / "out" / "versions" / "fast").glob("*.stemfix"))
    assert JobFolder.open(kept[0]).manifest.source.start_frame == 8_820
    assert names(tmp_path / "out") == ["comparison.html", "versions"]
    assert "comparison.html" in result.output


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (["nothing.wav"], "no folder of results"),
        (["SONG", "--presets", "fsat"], "fast"),
        (["SONG", "--presets", ","], "at least one preset"),
        (["SONG", "--range", "5:6"], "1.0"),
        (["SONG", "--range", "44100f:88200f"], "seconds or minutes"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_leaves_nothing(
    song: Path, what: list[str], message: str
) -> None:
    before = names(song.parent)
    result = stemfix("compare", *[str(song) if one == "SONG" else one for one in what], "--quiet")
    assert result.exit_code != 0
    assert isinstance(result.exception, (StemfixError, SystemExit))
    assert message in f"{result.exception} {result.output}"
    assert [name for name in names(song.parent) if name != "private"] == before


def test_report_and_compare_of_finished_jobs(
    tmp_path: Path, song: Path, noise: Callable[..., Any], write_job: Callable[..., Path]
) -> None:
    mix = noise(44_100, seed=3)
    jobs = [write_job(tmp_path / f"{n}.stemfix", song, mix, {"vocals": mix}, f"p{n}") for n in (1, 2)]
    result = stemfix("report", jobs[0])
    assert result.exception is None, result.exception
    assert str(jobs[0] / "comparison.html") in result.output
    assert '"stem_names":["vocals"]' in (jobs[0] / "comparison.html").read_text()
    result = stemfix("compare", jobs[0], jobs[1] / "manifest.json", "--out", tmp_path / "both")
    assert result.exception is None, result.exception
    assert '"stem_names":[]' in (tmp_path / "both" / "comparison.html").read_text()
    refused = stemfix("report", song)
    assert isinstance(refused.exception, StemfixError)


def test_plot_draws_files_and_jobs(
    tmp_path: Path, song: Path, noise: Callable[..., Any], write_job: Callable[..., Path]
) -> None:
    pytest.importorskip("matplotlib")
    assert stemfix("plot", song, "--out", tmp_path / "one.png").exception is None
    job = write_job(tmp_path / "job.stemfix", song, noise(44_100, seed=3), {})
    assert stemfix("plot", job).exception is None
    pictures = [tmp_path / "one.png", *job.glob("*.png")]
    assert len(pictures) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    again = stemfix("plot", song, "--out", tmp_path / "one.png")
    assert "never overwritten" in str(again.exception)


def test_plot_without_matplotlib_is_one_sentence(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = stemfix("plot", song)
    assert isinstance(result.exception, StemfixError)
    assert "stemfix[plot]" in str(result.exception)
    assert not list(song.parent.glob("*.png"))
