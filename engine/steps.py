"""What each step of a job hands on, as plain data: what a durable queue keeps between two processes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from engine.alignment.proof import Proof


class StepResult(BaseModel):
    """Common to all: how long the step took and what the user should know of it."""

    seconds: float = 0.0
    notes: list[str] = []


class Read(StepResult):
    """The source is in the work folder."""

    stage: Literal["read"] = "read"
    #: Of the samples in range.
    digest: str
    #: Of the job: over all that decides its bytes.
    key: str


class Repaired(StepResult):
    """What is separated is in the work folder: the source, or the source repaired."""

    stage: Literal["repair"] = "repair"
    #: Of the samples that are separated: the source's own where nothing was repaired.
    digest: str
    changed: bool
    #: What each repair found and did.
    reports: list[dict[str, Any]] = []


class Separated(StepResult):
    """The stems before their chains are in the work folder."""

    stage: Literal["separate"] = "separate"
    repaired: Repaired
    stems: tuple[str, ...]
    residual_db: float | None
    cache: Literal["hit", "miss", "off"]
    device: str


class Enhanced(StepResult):
    """The enhanced stems and the mix are in the work folder."""

    stage: Literal["enhance"] = "enhance"
    separated: Separated
    #: Per wanted stem, what each effect found and did.
    reports: dict[str, list[dict[str, Any]]]
    #: Stems that their chains changed; the others are as they were.
    changed: tuple[str, ...] = ()
    #: The mix's gain, chain and loudness beside the source's.
    mix: dict[str, Any] = {}


class Aligned(StepResult):
    """Nothing moved, or the job is forced."""

    stage: Literal["align"] = "align"
    proof: Proof
