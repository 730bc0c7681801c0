"""Configuration folders of Ardour as its 7.3 writes them, and the command line on them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import daw_bridge.ardour.installer
import daw_bridge.ardour.trigger
import daw_bridge.reaper.installer
from daw_bridge.ardour.folders import ArdourFolder, ardour_folders, config_base
from daw_bridge.ardour.running import RunningArdour
from daw_bridge.ardour.settings import StubSettings
from engine.audio.output_format import OutputFormat
from engine.job import Manifest, ModelRecord, ProofRecord, SourceRecord, StemRecord
from engine.separation.separator import SeparationOptions

#: Written by Ardour 7.3 itself: two actions of the user's (slots 1 and 4) and a hook, with bytecode.
GENUINE = (Path(__file__).parent / "data" / "ui_scripts-7.3.xml").read_bytes()
USER_SCRIPT = b'ardour { ["type"] = "EditorAction", name = "Count" }\nfunction factory () return print end\n'


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_ardour_runs(monkeypatch: pytest.MonkeyPatch) -> list[RunningArdour]:
    """What the tests see of running Ardours: what they put into this list."""
    running: list[RunningArdour] = []
    for module in (daw_bridge.ardour.installer, daw_bridge.ardour.trigger):
        monkeypatch.setattr(module, "running_ardours", lambda: list(running))
    return running


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees this computer's DAWs or stemfix's own data."""
    for variable, folder in (
        ("HOME", "home"),
        ("XDG_CONFIG_HOME", "home/.config"),
        ("LOCALAPPDATA", "home/la"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    for name in ("DATA", "CACHE", "MODEL", "CONFIG"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(tmp_path / "stemfix" / name.lower()))
    config_base(os.environ).mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_reaper_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the tests see of running REAPERs: the ids that they put into this list."""
    running: list[int] = []
    monkeypatch.setattr(daw_bridge.reaper.installer, "running_reapers", lambda: list(running))
    return running


@pytest.fixture
def ardour() -> Callable[..., ArdourFolder]:
    """`ardour(version=7, ui_scripts=GENUINE)`: a folder as this version leaves it, with a user's script."""

    def make(version: int = 7, ui_scripts: bytes | None = GENUINE) -> ArdourFolder:
        base = config_base(os.environ)
        for name in (f"ardour{version}", f"Ardour{version}"):
            (base / name).mkdir(exist_ok=True)
        (folder,) = [folder for folder in ardour_folders() if folder.version == version]
        for name in (f"ardour{version}", f"Ardour{version}"):
            if not (base / name).samefile(folder.path):
                (base / name).rmdir()
        (folder.path / "config").write_text(
            '<Ardour><Config><Option name="osc-port" value="3819"/></Config></Ardour>'
        )
        folder.scripts.mkdir()
        (folder.scripts / "count.lua").write_bytes(USER_SCRIPT)
        if ui_scripts is not None:
            folder.ui_scripts.write_bytes(ui_scripts)
        return folder

    return make


@pytest.fixture
def genuine() -> bytes:
    """`ui_scripts` of the real Ardour 7.3."""
    return GENUINE


@pytest.fixture
def files() -> dict[str, bytes]:
    """Scripts to install: two actions, a hook and a part that they share."""

    def script(kind: str, name: str) -> bytes:
        return (
            f'ardour {{ ["type"] = "{kind}", name = "stemfix: {name}" }}\n'
            f'function factory () return function () print ("{name}", "\\\\", \'é\') end end\n'
        ).encode()

    return {
        "stemfix_enhance.lua": script("EditorAction", "Enhance selected region"),
        "stemfix_hook.lua": script("EditorHook", "Finish jobs"),
        "stemfix_lib.lua": b'local lib = { name = "stemfix", type = "library" }\nreturn lib\n',
        "stemfix_separate.lua": script("EditorAction", "Separate only"),
    }


@pytest.fixture
def settings() -> StubSettings:
    return StubSettings("/usr/bin/env", "/data", "1.0", presets=("balanced", "fast"))


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes | None]]:
    """`tree(folder)`: everything in it, by path; folders are None."""

    def read(folder: Path) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
            for path in sorted(folder.rglob("*"))
        }

    return read


STEMS = ("drums", "bass", "other", "vocals")


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Path]:
    """`published(start, stop, frames=..., source=...)`: a folder of results as the engine publishes it."""

    def make(
        start: int = 0,
        stop: int | None = None,
        *,
        frames: int = 48_000,
        rate: int = 8_000,
        source: Path | None = None,
        reference: int | None = None,
    ) -> Path:
        stop = frames if stop is None else stop
        source = source or tmp_path / "song" / "mix.wav"
        source.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(1).uniform(-0.5, 0.5, (frames, 1)).astype(np.float32)
        if reference is None:
            soundfile.write(source, noise, rate, subtype="FLOAT")
        else:
            write_bwf(source, noise[:, 0], rate, reference)
        folder = tmp_path / f"stems-{start}-{stop}"
        folder.mkdir()
        files = []
        for share, name in enumerate(STEMS, start=1):
            soundfile.write(folder / f"{name}.wav", noise[start:stop] * share / 10, rate, subtype="FLOAT")
            files.append(stem_record(name, stop - start, rate))
        manifest = Manifest(
            stemfix_version="1",
            engine_version="1",
            job_key="k",
            name="mix",
            source=SourceRecord(
                path=str(source),
                digest="d",
                container="WAV",
                sample_rate=rate,
                channels=1,
                frames=frames,
                start_frame=start,
                stop_frame=stop,
            ),
            preset="balanced",
            preset_digest="d",
            model=ModelRecord(name="m", digest="d", options=SeparationOptions(), seed=0),
            residual="share",
            residual_db=None,
            null_rms_db=-150.0,
            null_peak_db=-140.0,
            verdict="PASS",
            stems=files,
            mix=None,
        )
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        return folder

    return make


def stem_record(name: str, frames: int, rate: int) -> StemRecord:
    proof = ProofRecord(
        verdict="PASS",
        reasons=[],
        silent=False,
        delay_samples=0.0,
        polarity=1,
        gain_db=0.0,
        confidence=1.0,
        coherence=1.0,
    )
    return StemRecord(
        name=name,
        proof=proof,
        file=f"{name}.wav",
        sha256="0",
        bytes=1,
        frames=frames,
        sample_rate=rate,
        channels=1,
        output_format=OutputFormat.FLOAT32,
        clipped_samples=0,
        lufs=None,
        true_peak_db=None,
    )


def write_bwf(path: Path, samples: NDArray[np.float32], rate: int, reference: int) -> None:
    """A Broadcast Wave file as a DAW renders it: `fmt `, `bext` with the place, `data`."""
    from engine.audio import bext
    from engine.audio.wav_metadata import WavMetadata

    chunks = [
        (b"fmt ", struct.pack("<HHIIHH", 3, 1, rate, rate * 4, 4, 32)),
        (b"bext", bext.build(WavMetadata(originator="REAPER", time_reference=reference))),
        (b"data", samples.astype("<f4").tobytes()),
    ]
    body = b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)


@pytest.fixture
def stemfix(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`stemfix("daw", ...)` runs the program."""
    from stemfix.__main__ import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Outcome(status, shown.out, shown.err)

    return run
