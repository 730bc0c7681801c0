"""The proof that a job moved nothing: stems against themselves, their sum against the source, mono."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel

from engine.alignment.estimate import estimate_alignment
from engine.alignment.model import Alignment
from engine.alignment.mono import MonoCompatibility, mono_compatibility
from engine.alignment.null_depth import NullDepth, null_depth_db
from engine.alignment.verdict import Judgement, Verdict, judge
from engine.audio.buffer import AudioBuffer
from engine.audio.channel_view import ChannelView
from engine.errors import AlignmentError
from engine.progress import Progress

#: A stem this far below the recording is what a model put there by mistake: residue, a trace of a tone.
_TRACE_DB = -40.0


class StemProof(BaseModel):
    """How one stem lies against itself before its chain."""

    alignment: Alignment
    judgement: Judgement

    def summary(self) -> dict[str, Any]:
        """The fields that a manifest keeps."""
        fields = ("silent", "delay_samples", "polarity", "gain_db", "confidence", "coherence")
        found = self.alignment.model_dump(include=set(fields))
        return {**found, "verdict": self.judgement.verdict.value, "reasons": list(self.judgement.reasons)}

    def as_json(self) -> dict[str, Any]:
        """The full measurement and its verdict."""
        return {**self.alignment.model_dump(), **self.judgement.model_dump(mode="json")}


class Proof(BaseModel):
    """All that was measured, with the worst verdict of all."""

    stems: dict[str, StemProof]
    #: The repaired recording against the source, where something was repaired.
    repair: StemProof | None = None
    null: NullDepth
    mono: MonoCompatibility | None
    verdict: Verdict

    def require(self, force: bool) -> None:
        """Raise AlignmentError where something failed, unless forced."""
        if self.verdict is not Verdict.FAIL or force:
            return
        proofs = {**({"the repaired recording": self.repair} if self.repair else {}), **self.stems}
        failed = [
            f"{name}: {'; '.join(proof.judgement.reasons)}"
            for name, proof in proofs.items()
            if proof.judgement.verdict is Verdict.FAIL
        ]
        if self.null.verdict is Verdict.FAIL:
            failed.append(f"the stems miss the mix by {self.null.rms_db:.1f} dBFS")
        raise AlignmentError(
            f"Nothing was published, because the alignment check failed ({' / '.join(failed)}).",
            "Choose a gentler preset, or publish all the same with --force.",
        )

    def as_json(self) -> dict[str, Any]:
        """The full measurement for the report."""
        return {
            "stems": {name: proof.as_json() for name, proof in self.stems.items()},
            "repair": self.repair.as_json() if self.repair else None,
            "null": self.null.model_dump(mode="json"),
            "mono": self.mono.model_dump(mode="json") if self.mono else None,
        }


def prove(
    source: AudioBuffer,
    before: Mapping[str, AudioBuffer],
    after: Mapping[str, AudioBuffer],
    wanted: tuple[str, ...],
    mix: AudioBuffer | None,
    progress: Progress,
    unrepaired: AudioBuffer | None = None,
    kept_channel: int | None = None,
) -> Proof:
    """Measure the `wanted` stems before and after their chains, the sum of all before them, and the mix.

    `source` is what was separated; `unrepaired` is what it was before repairs that changed it. Where a repair
    put one channel back in step with the other, `kept_channel` is the one that must not have moved.
    """
    steps = len(wanted) + 3

    def prove_stem(name: str) -> StemProof:
        progress.check()
        alignment = estimate_alignment(before[name], after[name])
        return StemProof(alignment=alignment, judgement=_excused(judge(alignment), before[name], source))

    def prove_repair() -> StemProof | None:
        if unrepaired is None:
            return None
        pair = unrepaired, source
        if kept_channel is not None:
            pair = ChannelView(unrepaired, kept_channel), ChannelView(source, kept_channel)
        alignment = estimate_alignment(*pair)
        return StemProof(alignment=alignment, judgement=judge(alignment))

    def prove_mono() -> MonoCompatibility | None:
        return mono_compatibility(source, mix) if mix is not None and source.channels == 2 else None

    # What is measured does not depend on the threads: each has its own recordings.
    with ThreadPoolExecutor(max_workers=min(steps, os.cpu_count() or 1)) as pool:
        found_mono, found_repair = pool.submit(prove_mono), pool.submit(prove_repair)
        found_null = pool.submit(null_depth_db, list(before.values()), source)
        stems: dict[str, StemProof] = {}
        for name, proof in zip(wanted, pool.map(prove_stem, wanted), strict=True):
            stems[name] = proof
            progress.update("align", len(stems), steps)
        null, repair, mono = found_null.result(), found_repair.result(), found_mono.result()
    progress.update("align", steps, steps)
    proofs = [*stems.values(), *([repair] if repair else [])]
    verdicts = [proof.judgement.verdict for proof in proofs] + [null.verdict]
    if mono is not None and mono.verdict is not Verdict.PASS:
        verdicts.append(Verdict.WARN)  # a narrower mono sum is for the ear to judge, it moved nothing
    worst = max(verdicts, key=list(Verdict).index)
    return Proof(stems=stems, repair=repair, null=null, mono=mono, verdict=worst)


def _excused(judgement: Judgement, stem: AudioBuffer, source: AudioBuffer) -> Judgement:
    """At most WARN for a trace of a stem: nothing in it could be heard to move, so it must not stop a job."""
    if judgement.verdict is not Verdict.FAIL:
        return judgement
    below_db = null_depth_db([], stem).rms_db - null_depth_db([], source).rms_db
    if below_db > _TRACE_DB:
        return judgement
    reason = f"It lies {-below_db:.0f} dB below the recording: too quiet for this to count."
    return Judgement(verdict=Verdict.WARN, reasons=[*judgement.reasons, reason])
