"""The recipes that are passed around for cleaning AI music, as they are passed around."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from damage import from_spectrogram, spectrogram
from material import FRAMES, RATE, Stereo


def noisereduce(audio: Stereo) -> Stereo:
    """Stationary spectral gating without a noise profile, 80 %."""
    import noisereduce as nr

    return np.asarray(nr.reduce_noise(y=audio, sr=RATE, stationary=True, prop_decrease=0.8))


def median_filter(audio: Stereo) -> Stereo:
    """A median over three bins of magnitude against metallic sounds; phases are kept."""
    from scipy import ndimage

    spectrum = spectrogram(audio)
    magnitude = ndimage.median_filter(np.abs(spectrum), (1, 1, 3))
    return from_spectrogram(magnitude * np.exp(1j * np.angle(spectrum)))


def griffin_lim(audio: Stereo, iterations: int = 16) -> Stereo:
    """New phases for old magnitudes (Griffin and Lim 1984), said to repair phase."""
    import torch

    window = torch.hann_window(2048)
    forward = lambda x: torch.stft(x, 2048, 512, window=window, return_complex=True)  # noqa: E731
    magnitude = forward(torch.from_numpy(audio.astype(np.float32))).abs()
    spectrum = magnitude * torch.exp(
        2j * np.pi * torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0))
    )
    for _ in range(iterations):
        again = forward(torch.istft(spectrum, 2048, 512, window=window, length=FRAMES))
        spectrum = magnitude * again / again.abs().clamp(min=1e-9)
    return torch.istft(spectrum, 2048, 512, window=window, length=FRAMES).numpy().astype(np.float64)


NAIVE: dict[str, Callable[[Stereo], Stereo]] = {
    "noisereduce": noisereduce,
    "median": median_filter,
    "Griffin-Lim": griffin_lim,
}
