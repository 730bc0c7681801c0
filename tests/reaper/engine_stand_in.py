"""An engine that answers the spool as the real one does, one step per call, without separating anything."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import soundfile

from engine.queue.records import JobState
from engine.spool.models import SpoolFile, SpoolJob, SpoolResult, SpoolStatus

#: What each stem has of the mix.
SHARES = {"drums": 0.1, "bass": 0.2, "other": 0.3, "vocals": 0.4}


class StandInEngine:
    """`step()` goes on with every job of the spool by one step; a job takes `steps` of them."""

    def __init__(self, data_dir: Path, steps: int = 4) -> None:
        self.data_dir, self.steps = data_dir, steps
        self.alive = True
        #: What goes wrong: "fail", "gone", "short", "rate", "channels", "empty", "garbage", or nothing.
        self.mode = ""
        self.shares = dict(SHARES)
        self.jobs: dict[str, SpoolJob] = {}
        self.ended: dict[str, JobState] = {}
        self._done: dict[str, int] = {}

    def step(self) -> None:
        beat = self.data_dir / "engine.json"
        if not self.alive:
            return
        beat.write_text(json.dumps({"time": time.time(), "pid": os.getpid(), "state": "ready"}))
        for folder in sorted((self.data_dir / "spool").glob("*")):
            if (folder / "job.json").exists() and folder.name not in self.ended:
                self._go_on(folder)

    def _go_on(self, folder: Path) -> None:
        name = folder.name
        if name not in self.jobs:
            self.jobs[name] = SpoolJob.parse((folder / "job.json").read_bytes())
            self._status(folder, JobState.QUEUED, "Waiting.")
            return
        step = self._done[name] = self._done.get(name, 0) + 1
        if (folder / "cancel").exists():
            self._end(folder, JobState.CANCELLED, "Somebody stopped it.")
        elif self.mode == "fail" and step > 1:
            self._end(folder, JobState.FAILED, "The memory does not suffice.")
        elif step < self.steps:
            if self.mode == "garbage" and step == 2:
                (folder / "status.json").write_text('{"state": "runn')
                return
            self._status(folder, JobState.RUNNING, "Separating.", step / self.steps)
        else:
            self._deliver(folder, self.jobs[name])

    def _status(self, folder: Path, state: JobState, message: str, progress: float = 0.0) -> None:
        status = SpoolStatus(
            job_id=folder.name,
            state=state,
            stage="separate" if state is JobState.RUNNING else None,
            progress=progress,
            eta_s=12.5 if progress else None,
            message=message,
            time=time.time(),
        )
        self._put(folder / "status.json", status.model_dump_json(indent=1))

    def _end(self, job_folder: Path, state: JobState, message: str = "", **fields: object) -> None:
        result = SpoolResult.model_validate(
            {"job_id": job_folder.name, "state": state, "message": message, **fields}
        )
        self._put(job_folder / "result.json", result.model_dump_json(indent=1))
        self._status(job_folder, state, message, 1.0 if state is JobState.DONE else 0.0)
        self.ended[job_folder.name] = state

    def _put(self, path: Path, text: str) -> None:
        partial = path.with_suffix(".tmp")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)

    def _deliver(self, folder: Path, job: SpoolJob) -> None:
        audio, rate = soundfile.read(
            job.source, start=job.start_frame or 0, stop=job.stop_frame, always_2d=True, dtype="float64"
        )
        out = job.out_dir / f"{job.source.stem}-{folder.name}.stemfix"
        out.mkdir(parents=True)
        files = []
        for name, share in self.shares.items():
            stem = audio * share
            written_rate = rate
            if self.mode == "short" and name == "bass":
                stem = stem[:-1]
            if self.mode == "rate" and name == "bass":
                written_rate = rate + 1
            if self.mode == "channels" and name == "bass":
                stem = stem[:, :1]
            path = out / f"{name}.wav"
            soundfile.write(path, stem, written_rate, subtype="DOUBLE")
            if self.mode == "gone" and name == "bass":
                path.unlink()
            files.append(
                SpoolFile(
                    name=name,
                    path=str(path),
                    sha256="0" * 64,
                    frames=len(audio),
                    sample_rate=rate,
                    channels=audio.shape[1],
                )
            )
        (out / "report.json").write_text("{}")
        if self.mode == "empty":
            files = []
        self._end(
            folder,
            JobState.DONE,
            folder=str(out),
            files=files,
            start_frame=job.start_frame,
            stop_frame=job.stop_frame,
        )
