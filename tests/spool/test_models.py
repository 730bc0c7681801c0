"""A job file: what is taken, what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OptionError, PresetError
from engine.job import JobSpec
from engine.processors.presets import load as load_preset
from engine.quality import quality
from engine.queue.records import Priority
from engine.spool.models import SPOOL_VERSION, SpoolJob, UnfinishedJobError


def parse(**fields: Any) -> SpoolJob:
    full = {"spool_version": SPOOL_VERSION, "source": "/music/song.wav", "out_dir": "/music/out", **fields}
    return SpoolJob.parse(json.dumps(full).encode())


def refusal(**fields: Any) -> str:
    with pytest.raises(OptionError) as caught:
        parse(**fields)
    return str(caught.value)


def test_a_job_of_two_paths_takes_the_pipelines_defaults() -> None:
    job = parse()
    assert job.spec() == JobSpec(source=Path("/music/song.wav"), out_dir=Path("/music/out"))
    assert (job.queue_priority, job.client) == (Priority.DAW, "spool")


def test_a_range_in_frames_reaches_the_pipeline() -> None:
    spec = parse(start_frame=44_100, stop_frame=88_200.0, priority="batch", client="reaper").spec()
    assert (spec.start_frame, spec.stop_frame) == (44_100, 88_200)


def test_writing_and_parsing_is_lossless() -> None:
    job = parse(start_frame=3, stems=["vocals"], options={"shifts": 2}, output_format="pcm24")
    assert SpoolJob.parse(job.model_dump_json().encode()) == job


@pytest.mark.parametrize("version", ["2.0", "17.3"])
def test_a_newer_major_version_is_refused_by_name(version: str) -> None:
    message = refusal(spool_version=version, something_new=True)
    assert version in message
    assert "Update stemfix" in message


def test_a_newer_minor_version_is_taken_without_what_is_new_in_it() -> None:
    assert parse(spool_version="1.9", something_new=True).source == Path("/music/song.wav")


@pytest.mark.parametrize("version", [None, 1, "1", "one", "0.9", "1.0.0", ""])
def test_a_version_that_is_none_is_refused(version: Any) -> None:
    assert "version" in refusal(spool_version=version)


def test_a_newer_job_version_is_refused_too() -> None:
    assert "Update stemfix" in refusal(job_version="2.0")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"source": "song.wav"}, "song.wav"),
        ({"out_dir": "../out"}, "../out"),
        ({"out_dir": "~/out"}, "~/out"),
        ({"preset": "../my.toml"}, "../my.toml"),
        ({"preset": "mine.toml"}, "mine.toml"),
        ({"preest": "none"}, "preest"),
        ({"seed": -1}, "seed"),
        ({"priority": "first"}, "first"),
        ({"client": "Me & you"}, "client"),
        ({"source": None}, "source"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], named: str) -> None:
    assert named in refusal(**fields)


@pytest.mark.parametrize("data", [b"", b"{", b'{"spool_version": "1.0", "sou', b"\xff\xfe", b"nonsense"])
def test_half_a_file_is_told_from_a_wrong_one(data: bytes) -> None:
    with pytest.raises(UnfinishedJobError):
        SpoolJob.parse(data)


@pytest.mark.parametrize("data", [b"[]", b"3", b"null", b'"job"'])
def test_json_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(OptionError, match="not a JSON object"):
        SpoolJob.parse(data)


def test_a_very_deep_file_is_refused() -> None:
    with pytest.raises(OptionError):
        SpoolJob.parse(b"[" * 400_000)


def test_a_job_without_a_model_takes_what_the_presets_quality_asks_for() -> None:
    whole = parse(preset="fast").spec()
    assert whole.model == "whole"
    given = parse(preset="fast", model="htdemucs", options={"shifts": 2}).spec()
    assert (given.model, given.options.shifts) == ("htdemucs", 2)
    assert parse(preset="maximum").spec().options == quality(load_preset("maximum").quality).options
    assert parse(options={"shifts": 3}).spec().options.shifts == 3


def test_an_unknown_preset_is_told_when_the_job_is_taken() -> None:
    with pytest.raises(PresetError, match="Did you mean 'balanced'"):
        parse(preset="balancd").spec()
