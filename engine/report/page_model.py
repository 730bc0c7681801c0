"""Page: everything that the comparison page shows, as the JSON that lies in it."""

from __future__ import annotations

from pydantic import BaseModel

#: `major.minor` of the JSON in the page and of the answers that it exports.
PAGE_VERSION = "1.0"


class TrackData(BaseModel):
    """One stream of audio: a mix or a stem of one version."""

    id: str
    channels: int
    #: Base64 of `2 * columns` signed bytes: the lowest and the highest sample per column, 127 is full scale.
    peaks: str = ""
    #: Base64 of `rows * columns` bytes, lowest row first: `floor_db + step_db * byte` is the level in dB.
    spectrogram: str = ""
    columns: int = 0
    rows: int = 0
    lufs: float | None = None
    #: Gain that brings it to the loudness of its counterparts in the other versions.
    match_db: float = 0.0


class SpectrogramScale(BaseModel):
    """What the bytes of a spectrogram mean."""

    floor_db: float
    step_db: float
    #: Highest frequency; rows are equally wide on the mel scale from 0 Hz up to it.
    top_hz: float


class LoudnessRow(BaseModel):
    """Levels of a mix or a stem; None where one is undefined."""

    part: str
    lufs: float | None = None
    loudness_range_lu: float | None = None
    true_peak_db: float | None = None
    crest_db: float | None = None
    match_db: float | None = None


class BandRow(BaseModel):
    """Phase and coherence of one band."""

    low_hz: float
    high_hz: float
    phase_deg: float | None
    gain_db: float | None
    coherence: float | None


class AlignmentRow(BaseModel):
    """How one part lies against itself before it was changed."""

    part: str
    verdict: str
    reasons: list[str] = []
    delay_samples: float | None = None
    polarity: int | None = None
    gain_db: float | None = None
    coherence: float | None = None
    drift_ppm: float | None = None
    bands: list[BandRow] = []


class EffectRow(BaseModel):
    """What one effect or repair found and did in one part."""

    part: str
    effect: str
    applied: bool
    #: Sentences of a repair; for other effects their figures in words.
    found: str = ""
    done: str = ""
    figures: list[str] = []
    #: True for a repair, whose places are marked in the pictures.
    repair: bool = False
    synthetic: bool = False
    #: Stretches of time in seconds from the page's start, with a band where there is one.
    places: list[dict[str, float]] = []
    places_total: int = 0


class VersionData(BaseModel):
    """One way in which the song can be heard."""

    id: str
    name: str
    #: None for the original.
    preset: str | None = None
    description: str = ""
    mix: str
    #: Track per stem.
    stems: dict[str, str] = {}
    #: Gain between the sum of the stems and the mix.
    stems_to_mix_db: float = 0.0
    loudness: list[LoudnessRow] = []
    alignment: list[AlignmentRow] = []
    null_rms_db: float | None = None
    null_peak_db: float | None = None
    verdict: str | None = None
    effects: list[EffectRow] = []
    #: Name and value, in words, in the order in which they are shown.
    about: list[tuple[str, str]] = []
    #: The same for what `stemfix metrics` measures.
    metrics: list[tuple[str, str]] = []
    job_key: str | None = None


class Page(BaseModel):
    """The whole page."""

    format: str = "stemfix-comparison"
    version: str = PAGE_VERSION
    title: str
    stemfix_version: str
    #: SHA-256 of the original's samples: answers about one song belong together by it.
    song: str
    #: Rate of the page's clock, at which all tracks are decoded.
    sample_rate: int
    frames: int
    #: Where the page's first frame lies in the recording.
    start_s: float = 0.0
    chunk_s: int
    margin_s: float
    stem_names: list[str] = []
    versions: list[VersionData]
    tracks: dict[str, TrackData]
    scale: SpectrogramScale
    #: Between these seconds the mixes were measured.
    measured_s: tuple[float, float] = (0.0, 0.0)
    #: Folder beside the page with the audio in full quality.
    full_quality: str | None = None
    licences: list[tuple[str, str]] = []
    notes: list[str] = []
