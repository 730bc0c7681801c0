"""judge: from an alignment's numbers to PASS, WARN or FAIL, with a sentence for every reason.

The limits were measured: nine stems through a dozen chains, from bypass to a phase reconstruction that has
to fail. What a lawful effect does stays above WARN's limits; a stem that moved does not.
"""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict

from engine.alignment.model import Alignment, BandAlignment, ViewAlignment

#: 0.15 sample is 1.2 degrees at 1 kHz; the estimate itself is good to 0.02 sample under 20 dB of noise.
PASS_DELAY_SAMPLES = 0.15
#: Half a sample is what a wrong latency figure leaves at the least; no zero-latency effect comes near it.
FAIL_DELAY_SAMPLES = 0.5
#: On a bass without treble a whole sample is under one degree, which nobody can tell: degrees count there.
PASS_DELAY_DEG = 3.0
#: Where phases don't agree on a delay it is the effect's own phase; compression of pure bass made 3.8.
UNSURE_DELAY_DEG = 6.0
#: Every linear-phase and level effect measured lies above, and a gentle minimum-phase high-pass at 0.996.
PASS_CONFIDENCE = 0.99
#: A strong minimum-phase equaliser (high-pass at 40 Hz, two shelves) keeps 0.979; made-up phases reach 0.64.
FAIL_CONFIDENCE = 0.95
#: Equalisers, denoisers, saturation and 4:1 compressors lie above; drums through 8:1 with 1 ms reach 0.962.
PASS_COHERENCE = 0.97
#: A gate that removes half of the energy keeps 0.924, a denoiser that removes 80 % of it 0.969. A recording
#: that jumps by 30 samples half way reaches 0.84, Haas' delay of one channel 0.83, made-up phases 0.08.
FAIL_COHERENCE = 0.90
#: Zero-phase equalisers measured 0.6 degrees, compressors up to 10; past 15 a sum of stems changes its tone.
PASS_PHASE_DEG = 15.0
#: Expected next to the corner of a minimum-phase high-pass; more than that changes how stems add up.
WARN_PHASE_DEG = 45.0
#: Bands this far under the loudest one are not judged: noise decides their phase.
BAND_RANGE_DB = 30.0
#: The same for channels, mid and side.
VIEW_RANGE_DB = 30.0
#: Two sound cards differ by 5 to 50 ppm and software by none.
FAIL_DRIFT_PPM = 1.0
#: Standard errors by which a drift must exceed zero, since pure bass shows several ppm by chance.
DRIFT_SIGNIFICANCE = 5.0


class Verdict(str, Enum):
    """PASS: nothing moved. WARN: phases turned, as some effects do. FAIL: it moved, or is another signal."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"


class Judgement(BaseModel):
    """A verdict and why: one sentence per reason, none for a plain PASS."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    reasons: list[str]


def judge(alignment: Alignment) -> Judgement:
    """Hold an alignment against the limits of this module."""
    if alignment.silent:
        return _judge_silence(alignment)
    findings = [*_delay(alignment), *_confidence(alignment), *_coherence(alignment), *_drift(alignment)]
    findings += _jumps(alignment)
    for view in alignment.views:
        findings += _view(alignment, view)
    for band in alignment.bands:
        findings += _band(band)
    verdict = max((found for found, _ in findings), key=list(Verdict).index, default=Verdict.PASS)
    return Judgement(verdict=verdict, reasons=[reason for _, reason in findings])


_Findings = list[tuple[Verdict, str]]


def _judge_silence(alignment: Alignment) -> Judgement:
    if len(alignment.silent_in) == 1:
        which = "before" if alignment.silent_in == ["reference"] else "after"
        reason = (
            f"It is silent {which} the processing and not on the other side, so there is nothing to compare."
        )
        return Judgement(verdict=Verdict.WARN, reasons=[reason])
    return Judgement(verdict=Verdict.PASS, reasons=["It is silent, so nothing could move."])


def _delay(alignment: Alignment) -> _Findings:
    size, degrees = abs(alignment.delay_samples), abs(alignment.delay_degrees)
    found: _Findings = []
    if alignment.polarity < 0:
        found.append((Verdict.FAIL, "The polarity is inverted."))
    if size <= PASS_DELAY_SAMPLES or degrees <= PASS_DELAY_DEG:
        return found
    unsure = alignment.confidence < PASS_CONFIDENCE and degrees <= UNSURE_DELAY_DEG
    verdict = Verdict.WARN if size <= FAIL_DELAY_SAMPLES or unsure else Verdict.FAIL
    side = "late" if alignment.delay_samples > 0 else "early"
    where = f"{degrees:.1f} degrees at {alignment.effective_bandwidth_hz:.0f} Hz"
    return [*found, (verdict, f"It is {size:.3f} samples {side} ({where}).")]


def _confidence(alignment: Alignment) -> _Findings:
    if alignment.confidence >= PASS_CONFIDENCE:
        return []
    verdict = Verdict.FAIL if alignment.confidence < FAIL_CONFIDENCE else Verdict.WARN
    return [(verdict, f"The phases agree on one delay to {alignment.confidence:.3f} only.")]


def _coherence(alignment: Alignment) -> _Findings:
    if alignment.coherence >= PASS_COHERENCE:
        return []
    verdict = Verdict.FAIL if alignment.coherence < FAIL_COHERENCE else Verdict.WARN
    return [(verdict, f"The phase is not steady over time: coherence {alignment.coherence:.3f}.")]


def _drift(alignment: Alignment) -> _Findings:
    drift, error = alignment.drift_ppm, alignment.drift_error_ppm
    if drift is None or error is None:
        return []
    if abs(drift) <= max(FAIL_DRIFT_PPM, DRIFT_SIGNIFICANCE * error):
        return []
    times = [segment.time_s for segment in alignment.segments]
    moved_s = abs(drift) * 1e-6 * (max(times) - min(times))
    if 360.0 * alignment.effective_bandwidth_hz * moved_s <= PASS_DELAY_DEG:
        return []
    return [(Verdict.FAIL, f"The delay grows by {drift:+.1f} ppm: the two ran on different clocks.")]


def _jumps(alignment: Alignment) -> _Findings:
    """Excerpts with delays of their own, as a lost or doubled block leaves behind."""
    delays = [part.delay_samples for part in alignment.segments if part.confidence >= PASS_CONFIDENCE]
    spread = max(delays, default=0.0) - min(delays, default=0.0)
    degrees = 360.0 * alignment.effective_bandwidth_hz * spread / alignment.sample_rate
    if spread <= FAIL_DELAY_SAMPLES or degrees <= UNSURE_DELAY_DEG:
        return []
    return [(Verdict.FAIL, f"The delay is not constant: its excerpts lie {spread:.3f} samples apart.")]


def _view(alignment: Alignment, view: ViewAlignment) -> _Findings:
    """A channel that is inverted or late by itself, which the sum of all can hide."""
    sure = view.level_db >= -VIEW_RANGE_DB and view.coherence >= FAIL_COHERENCE
    if not sure or view.confidence < FAIL_CONFIDENCE:
        return []
    if view.polarity != alignment.polarity:
        return [(Verdict.FAIL, f"The {view.name} signal is inverted against the rest.")]
    offset = view.delay_samples - alignment.delay_samples
    degrees = abs(360.0 * view.effective_bandwidth_hz * offset / alignment.sample_rate)
    if abs(offset) <= FAIL_DELAY_SAMPLES or degrees <= PASS_DELAY_DEG or view.confidence < PASS_CONFIDENCE:
        return []
    return [(Verdict.FAIL, f"The {view.name} signal is {offset:+.3f} samples off the rest.")]


def _band(band: BandAlignment) -> _Findings:
    size = abs(band.phase_deg)
    if band.level_db < -BAND_RANGE_DB or size <= PASS_PHASE_DEG:
        return []
    strong = " strongly" if size > WARN_PHASE_DEG else ""
    where = f"{band.low_hz:.0f} to {band.high_hz:.0f} Hz"
    return [(Verdict.WARN, f"The phase is turned{strong} from {where}: {band.phase_deg:+.0f} degrees.")]
