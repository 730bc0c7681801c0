"""A watched folder whose clock the test turns, recordings to drop into it, and a stand-in for the queue."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.output_format import OutputFormat
from engine.job import JobSpec, Manifest, ModelRecord, ProofRecord, Report, SourceRecord, StemRecord
from engine.queue.records import JobOutcome, JobProgress, JobRecord, JobState, Priority
from engine.separation.separator import SeparationOptions
from watchers.folder import FolderWatch
from watchers.ledger import Ledger
from watchers.settings import WatchSettings


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeQueue:
    """Keeps jobs in memory; the test decides how they end."""

    def __init__(self) -> None:
        self.records: dict[str, JobRecord] = {}
        self.submissions: list[str] = []
        self.broken: Exception | None = None
        self.gets = 0

    def submit(
        self,
        spec: JobSpec,
        *,
        priority: Priority,
        client: str,
        job_id: str | None = None,
        retry_of: str | None = None,
    ) -> str:
        if self.broken:
            raise self.broken
        assert job_id is not None
        self.submissions.append(job_id)
        self.records.setdefault(
            job_id,
            JobRecord(
                job_id=job_id,
                spec=spec,
                priority=priority,
                client=client,
                state=JobState.QUEUED,
                created_at=float(len(self.records)),
                retry_of=retry_of,
            ),
        )
        return job_id

    def get(self, job_id: str) -> JobRecord | None:
        self.gets += 1
        return self.records.get(job_id)

    def jobs(self, *, limit: int = 100) -> list[JobRecord]:
        return list(reversed(self.records.values()))[:limit]

    def cancel(self, job_id: str) -> bool:
        self._set(job_id, state=JobState.CANCELLED)
        return True

    def start(self, job_id: str, stage: Any) -> None:
        progress = JobProgress(stage=stage, done=0, total=1, fraction=0.1)
        self._set(job_id, state=JobState.RUNNING, progress=progress)

    def fail(self, job_id: str, message: str, state: JobState = JobState.FAILED) -> None:
        self._set(job_id, state=state, outcome=JobOutcome(state=state, message=message))

    def finish(self, job_id: str) -> Path:
        """The job is done, and its results are there whole."""
        spec = self.records[job_id].spec
        folder = publish(spec)
        outcome = JobOutcome(state=JobState.DONE, folder=str(folder))
        self._set(job_id, state=JobState.DONE, outcome=outcome)
        return folder

    def states(self) -> list[JobState]:
        return [record.state for record in self.records.values()]

    @property
    def sources(self) -> list[str]:
        """Names of the sources of all jobs, in the order of submission."""
        return [record.spec.source.name for record in self.records.values()]

    def only(self) -> JobRecord:
        (record,) = self.records.values()
        return record

    def _set(self, job_id: str, **values: Any) -> None:
        self.records[job_id] = self.records[job_id].model_copy(update=values)


def publish(spec: JobSpec) -> Path:
    """A results folder with one stem, a report and a manifest that holds."""
    name = spec.source.stem
    number = 1
    while (folder := spec.out_dir / f"{name}{'' if number == 1 else f'-{number}'}.stemfix").exists():
        number += 1
    folder.mkdir(parents=True)
    stem = b"stem of " + name.encode()
    (folder / f"{name}-vocals.wav").write_bytes(stem)
    digest = "0" * 64
    common = {"frames": 1, "sample_rate": 8000, "channels": 1}
    proof = ProofRecord(
        verdict="PASS",
        reasons=[],
        silent=False,
        delay_samples=0,
        polarity=1,
        gain_db=0,
        confidence=1,
        coherence=1,
    )
    manifest = Manifest(
        stemfix_version="0",
        engine_version="0",
        job_key=digest,
        name=name,
        source=SourceRecord(
            path=str(spec.source), digest=digest, container="WAV", start_frame=0, stop_frame=1, **common
        ),
        preset="none",
        preset_digest=digest,
        model=ModelRecord(name="fake", digest=digest, options=SeparationOptions(), seed=0),
        residual="share",
        residual_db=None,
        null_rms_db=-140,
        null_peak_db=-130,
        verdict="PASS",
        stems=[
            StemRecord(
                name="vocals",
                proof=proof,
                file=f"{name}-vocals.wav",
                sha256=hashlib.sha256(stem).hexdigest(),
                bytes=len(stem),
                output_format=OutputFormat.FLOAT32,
                clipped_samples=0,
                lufs=None,
                true_peak_db=None,
                **common,
            )
        ],
        mix=None,
    )
    report = Report(
        job_key=digest,
        device="cpu",
        cache="off",
        seconds={},
        speed_x_realtime=1,
        alignment={},
        chains={},
        mix={},
        notes=[],
        versions={},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    (folder / "report.json").write_text(report.model_dump_json())
    return folder


class NoObserver:
    """Gives no hints: the test says when to search."""

    alive = True

    def __init__(self, *_: object) -> None:
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class Bench:
    """A watched folder on a bench: `drop` files, `pass_s` seconds, and look at `queue` and `ledger`."""

    def __init__(self, folder: Path, data: Path, queue: FakeQueue, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = Clock()
        self.queue = queue
        self.ledger_path = data / "watch.sqlite"
        self.settings = WatchSettings(folder=folder, **{"stable_looks": 3, "preset": "none", **settings})
        self.observe: Any = NoObserver
        self.start()

    def start(self) -> None:
        """Begin, or begin again as a new process would."""
        self.stop = threading.Event()
        self.ledger = Ledger(self.ledger_path)
        self.watch = FolderWatch(
            self.settings,
            self.ledger,
            self.queue,
            lock=threading.RLock(),
            clock=self.clock,
            stop=self.stop,
            observe=self.observe,
        )

    def restart(self) -> None:
        """As after a kill: nothing is closed in order."""
        self.ledger.close()
        self.start()

    def pass_s(self, seconds: float = 10.0, step: float = 1.0) -> None:
        """Let time pass, with a search in each step."""
        for _ in range(round(seconds / step)):
            self.clock.now += step
            self.watch.hints.search()
            self.watch.tick()

    def state(self, name: str) -> str:
        """The ledger's word for a file."""
        entry = self.ledger.entry(str(self.folder / name))
        return entry.state.value if entry else "unknown"

    def names(self) -> list[str]:
        """What is in the folder."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def bench(tmp_path: Path, queue: FakeQueue) -> Iterator[Callable[..., Bench]]:
    """`bench(**settings)` makes the watched folder `tmp_path / "inbox"`."""
    made: list[Bench] = []

    def make(folder: str = "inbox", **settings: Any) -> Bench:
        made.append(Bench(tmp_path / folder, tmp_path, queue, **settings))
        return made[-1]

    yield make
    for each in made:
        each.watch.close()
        each.ledger.close()


@pytest.fixture
def audio() -> Callable[..., bytes]:
    """`audio(seed, format, subtype, seconds=0.5)`: the bytes of an audio file, others for each seed."""

    def make(
        seed: int = 0, format: str = "WAV", subtype: str = "PCM_16", seconds: float = 0.5, rate: int = 44_100
    ) -> bytes:
        noise = np.random.default_rng(seed).standard_normal((round(seconds * rate), 2)) * 0.1
        file = io.BytesIO()
        soundfile.write(file, noise, rate, format=format, subtype=subtype)
        return file.getvalue()

    return make
