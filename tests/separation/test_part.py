"""Only what is asked for: the members of a bag that a wanted stem does not need are never loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import AudioBuffer
from engine.job import JobSpec
from engine.models import WarmModels, open_model
from engine.pipeline import run_job
from engine.separation import weights
from engine.separation.bag import members_for, part_digest
from engine.separation.registry import MODELS
from engine.separation.separator import SeparationOptions

OPTIONS = SeparationOptions(overlap=0.25, shifts=2)
RATE = 44_100


@pytest.mark.parametrize(
    ("model", "stems", "members"),
    [
        ("htdemucs", ("vocals",), (0,)),
        ("htdemucs_ft", ("vocals",), (3,)),
        ("htdemucs_ft", ("drums", "other"), (0, 2)),
        ("mdx", ("bass",), (0, 1)),
        ("mdx", ("vocals",), (2, 3)),
        ("mdx", ("drums",), (0, 2, 3)),
    ],
)
def test_members_are_those_that_weigh_on_a_wanted_stem(model, stems, members):
    assert members_for(MODELS[model], stems) == members


def test_a_part_is_another_model_to_every_cache():
    digests = {
        part_digest("a", ("vocals",)),
        part_digest("b", ("vocals",)),
        part_digest("a", ("drums",)),
        "a",
    }
    assert len(digests) == 4


@pytest.fixture
def loaded(monkeypatch):
    """The files of the members that were loaded."""
    files = []
    load = weights.load_network
    monkeypatch.setattr(
        weights, "load_network", lambda path, card: files.append(path.stem) or load(path, card)
    )
    return files


@pytest.fixture
def song(tmp_path, noise):
    audio = noise(RATE)
    path = tmp_path / "song.wav"
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    return path, audio


def estimates(separator, audio):
    blocks = separator.separate(AudioBuffer.of(audio, RATE), 5, lambda done, total: None, lambda: None)
    return np.concatenate([block for _, block in blocks], axis=-1)


@pytest.mark.parametrize("stems", [("vocals",), ("bass", "other")])
def test_a_part_gives_the_whole_bags_samples(specialists, loaded, noise, stems):
    audio = noise(RATE) + np.float32(0.1)
    whole = open_model("specialists", OPTIONS, "cpu")
    everything = estimates(whole.load(lambda note: None), audio)
    loaded.clear()
    part = whole.part(stems)
    assert (part.sources, part.name) == (stems, "specialists")
    separator = part.load(lambda note: None)
    assert loaded == [f"eeee000{whole.sources.index(stem)}" for stem in stems]
    columns = [whole.sources.index(stem) for stem in stems]
    np.testing.assert_array_equal(estimates(separator, audio), everything[columns])


def test_a_job_for_one_stem_delivers_it_and_a_mix_that_holds_the_rest(specialists, loaded, song, tmp_path):
    path, audio = song
    spec = JobSpec(
        source=path,
        out_dir=tmp_path,
        preset="none",
        model="specialists",
        options=OPTIONS,
        stems=("vocals",),
        device="cpu",
        seed=5,
    )
    result = run_job(spec)
    assert loaded == ["eeee0003"]
    assert [stem.name for stem in result.manifest.stems] == ["vocals"]
    assert result.manifest.residual_db is None
    assert result.manifest.null_peak_db <= -120
    assert result.manifest.verdict == "PASS"
    mix, _ = soundfile.read(result.folder / result.manifest.mix.file, dtype="float32")
    np.testing.assert_allclose(mix.T, audio, atol=1e-6)
    report = json.loads((result.folder / "report.json").read_text())
    assert report["cache"] == "miss"

    again = run_job(spec.model_copy(update={"out_dir": tmp_path / "again"}))
    assert again.report.cache == "hit"
    assert [stem.sha256 for stem in again.manifest.stems] == [stem.sha256 for stem in result.manifest.stems]

    everything = run_job(spec.model_copy(update={"out_dir": tmp_path / "all", "stems": None}))
    assert everything.report.cache == "miss"  # a part never passes for the whole
    assert everything.manifest.residual_db is not None


def test_the_residual_as_a_stem_needs_the_whole_bag(specialists, loaded, song, tmp_path):
    spec = JobSpec(
        source=song[0],
        out_dir=tmp_path,
        preset="none",
        model="specialists",
        stems=("vocals", "residual"),
        residual="stem",
        device="cpu",
    )
    result = run_job(spec)
    assert len(loaded) == 4
    assert [stem.name for stem in result.manifest.stems] == ["vocals", "residual"]


def test_a_warm_engine_keeps_a_part_as_a_model_of_its_own(specialists, loaded):
    models = WarmModels()
    for _ in range(2):
        handle = models("specialists", OPTIONS, "cpu")
        handle.part(("vocals",)).load(lambda note: None)
    assert len(loaded) == 1
    handle.load(lambda note: None)
    assert len(loaded) == 5


def test_a_single_network_has_no_parts():
    assert MODELS["htdemucs"].bag_weights is None
    assert members_for(MODELS["htdemucs"], ("vocals",)) == (0,)
