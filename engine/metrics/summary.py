"""describe: every measure of a recording in one object, for the command line and the comparison page."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from engine.alignment.estimate import estimate_alignment
from engine.alignment.model import BandAlignment
from engine.audio.buffer import AudioBuffer
from engine.metrics.bandwidth import bandwidth
from engine.metrics.bss_eval import bss_eval
from engine.metrics.comb_residue import comb_residue
from engine.metrics.dynamics import dynamics
from engine.metrics.frames import require_pair
from engine.metrics.log_mel_distance import log_mel_distance_db
from engine.metrics.log_spectral_distance import log_spectral_distance
from engine.metrics.mono_loss import mono_loss
from engine.metrics.mr_stft import mr_stft_distance
from engine.metrics.shimmer_index import shimmer_index
from engine.metrics.si_sdr import si_sdr_db
from engine.metrics.snr_estimate import snr_estimate_db
from engine.metrics.spectral_flatness import spectral_flatness_db
from engine.metrics.speech import speech_quality
from engine.metrics.stereo_correlation import stereo_correlation
from engine.metrics.thd import total_harmonic_distortion
from engine.progress import Progress

#: What stands for an infinite ratio: a copy has a SI-SDR of 200 dB.
LIMIT_DB = 200.0


class BandDistanceDb(BaseModel):
    """Log-spectral distance within a band."""

    model_config = ConfigDict(frozen=True)

    low_hz: float
    high_hz: float
    distance_db: float


class AgainstReference(BaseModel):
    """A recording held against its reference; see docs/metrics.md for each."""

    model_config = ConfigDict(frozen=True)

    si_sdr_db: float
    log_spectral_distance_db: float
    log_spectral_bands: list[BandDistanceDb]
    log_mel_distance_db: float
    mr_stft_distance: float
    spectral_convergence: float
    log_magnitude: float
    delay_samples: float
    #: Energy-weighted, 0..1; per band in `phase_bands`, which is empty for identical recordings.
    phase_coherence: float
    phase_bands: list[BandAlignment]
    sdr_db: float | None = None
    isr_db: float | None = None
    sir_db: float | None = None
    sar_db: float | None = None
    #: For speech only; they mean nothing for singing.
    pesq: float | None = None
    stoi: float | None = None


class Metrics(BaseModel):
    """Measures of a recording; None where one is undefined. See docs/metrics.md for each."""

    model_config = ConfigDict(frozen=True)

    sample_rate: int
    channels: int
    frames: int
    lufs: float | None
    loudness_range_lu: float | None
    true_peak_db: float | None
    sample_peak_db: float | None
    rms_db: float | None
    crest_db: float | None
    plr_db: float | None
    snr_estimate_db: float | None
    spectral_flatness_db: float | None
    rolloff_hz: float | None
    cutoff_hz: float | None
    thd_percent: float | None
    thd_fundamental_hz: float | None
    comb_residue_db: float
    #: Samples at `comb_origin_rate_hz`, None where no comb stands out.
    comb_period: int | None
    comb_origin_rate_hz: int | None
    shimmer_db: float | None
    birdies_percent: float | None
    stereo_correlation: float | None
    mono_loss_db: float | None
    mono_worst_band_db: float | None
    mono_worst_band_hz: float | None
    against_reference: AgainstReference | None = None


def describe(
    buffer: AudioBuffer, reference: AudioBuffer | None = None, progress: Progress | None = None
) -> Metrics:
    """Measure `buffer`, and hold it against `reference` if there is one, in bounded memory.

    What needs the extra `metrics` is left out; see `compare`.

    Raises:
        OptionError: the two differ in rate, channels or length.
        Cancelled: through `progress`.
    """
    progress = progress or Progress()
    against = None if reference is None else compare(buffer, reference, progress=progress)
    levels = dynamics(buffer)
    progress.check()
    comb = comb_residue(buffer)
    progress.check()
    shimmer = shimmer_index(buffer)
    progress.check()
    width, tone, mono = bandwidth(buffer), total_harmonic_distortion(buffer), mono_loss(buffer)
    progress.check()
    return Metrics(
        sample_rate=buffer.sample_rate,
        channels=buffer.channels,
        frames=buffer.frames,
        lufs=levels.loudness.lufs,
        loudness_range_lu=levels.loudness.loudness_range_lu,
        true_peak_db=levels.loudness.true_peak_db,
        sample_peak_db=levels.loudness.sample_peak_db,
        rms_db=levels.loudness.rms_db,
        crest_db=levels.loudness.crest_db,
        plr_db=levels.plr_db,
        snr_estimate_db=snr_estimate_db(buffer),
        spectral_flatness_db=spectral_flatness_db(buffer),
        rolloff_hz=width.rolloff_hz,
        cutoff_hz=width.cutoff_hz,
        thd_percent=None if tone is None else tone.thd_percent,
        thd_fundamental_hz=None if tone is None else tone.fundamental_hz,
        comb_residue_db=comb.level_db,
        comb_period=comb.period,
        comb_origin_rate_hz=None if comb.period is None else comb.origin_rate_hz,
        shimmer_db=shimmer.flicker_db,
        birdies_percent=shimmer.birdies_percent,
        stereo_correlation=stereo_correlation(buffer),
        mono_loss_db=None if mono is None else mono.whole_db,
        mono_worst_band_db=None if mono is None else mono.worst_band_db,
        mono_worst_band_hz=None if mono is None else mono.worst_band_hz,
        against_reference=against,
    )


def compare(
    buffer: AudioBuffer,
    reference: AudioBuffer,
    *,
    interferers: Sequence[AudioBuffer] = (),
    with_bss_eval: bool = False,
    with_speech: bool = False,
    progress: Progress | None = None,
) -> AgainstReference:
    """Hold `buffer` against `reference`; BSS Eval and the speech measures need the extra `metrics`.

    Raises:
        OptionError: the two differ in rate, channels or length, or a package is missing.
        Cancelled: through `progress`.
    """
    require_pair(reference, buffer)
    progress = progress or Progress()
    spectral = log_spectral_distance(reference, buffer)
    progress.check()
    resolutions = mr_stft_distance(reference, buffer)
    progress.check()
    alignment = estimate_alignment(reference, buffer)
    progress.check()
    stem = bss_eval(reference, buffer, interferers) if with_bss_eval else None
    speech = speech_quality(reference, buffer) if with_speech else None
    return AgainstReference(
        si_sdr_db=max(min(si_sdr_db(reference, buffer), LIMIT_DB), -LIMIT_DB),
        log_spectral_distance_db=spectral.distance_db,
        log_spectral_bands=[
            BandDistanceDb(low_hz=band.low_hz, high_hz=band.high_hz, distance_db=band.distance_db)
            for band in spectral.bands
        ],
        log_mel_distance_db=log_mel_distance_db(reference, buffer),
        mr_stft_distance=min(resolutions.distance, LIMIT_DB),
        spectral_convergence=min(resolutions.spectral_convergence, LIMIT_DB),
        log_magnitude=resolutions.log_magnitude,
        delay_samples=alignment.delay_samples,
        phase_coherence=alignment.coherence,
        phase_bands=alignment.bands,
        sdr_db=None if stem is None else stem.sdr_db,
        isr_db=None if stem is None else stem.isr_db,
        sir_db=None if stem is None else stem.sir_db,
        sar_db=None if stem is None else stem.sar_db,
        pesq=None if speech is None else speech.pesq,
        stoi=None if speech is None else speech.stoi,
    )
