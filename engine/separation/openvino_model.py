"""A hybrid transformer as an OpenVINO model, made straight from the PyTorch network."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.separation.spectral import Spectral

if TYPE_CHECKING:
    import torch

#: Raised whenever the same network would be converted into another model.
CONVERSION = 1


class NotConvertibleError(Exception):
    """A network that is no hybrid transformer."""


def import_openvino() -> Any:
    """The package `openvino`. Raises ImportError where it is not installed or does not load.

    It reports its use to its makers through the package `openvino_telemetry`; that one is kept out, for which
    openvino has a way of its own.
    """
    if "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        try:
            import openvino
            import openvino.tools.ovc
        finally:
            del sys.modules["openvino_telemetry"]
    import openvino

    return openvino


def can_be_converted(network: Any) -> bool:
    """Whether the network is one of those that `convert` knows."""
    from demucs.htdemucs import HTDemucs

    return (
        isinstance(network, HTDemucs)
        and bool(network.cac)
        and bool(network.use_train_segment)
        and network.hop_length * 4 == network.nfft
    )


def transforms(network: Any) -> Spectral:
    """The transforms that go around `network`."""
    return Spectral(int(network.nfft), int(network.segment * network.samplerate))


def convert(network: Any) -> Any:
    """The network between its transforms as an `openvino.Model`, in 32 bits.

    Its inputs are a segment (1, channels, frames) and what `Spectral.analyse` makes of it with one more axis
    in front; its outputs what `Spectral.synthesise` takes, again with an axis in front, and a waveform
    (1, sources, channels, frames) to be added.
    """
    import torch

    openvino = import_openvino()
    around = transforms(network)
    channels = int(network.audio_channels)
    shapes = [(1, channels, around.frames), (1, 2 * channels, around.n_fft // 2, around.columns)]
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the shapes are fixed, which is what the tracer warns of
        example = tuple(torch.zeros(shape) for shape in shapes)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            _between_transforms(network), example, check_trace=False
        )
        return openvino.convert_model(traced, example_input=example, input=shapes)


def _between_transforms(network: Any) -> torch.nn.Module:
    import torch

    class BetweenTransforms(torch.nn.Module):
        """`HTDemucs.forward` with its four spectral methods replaced by this module's input and output."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, mix: torch.Tensor, spectrogram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            estimates: list[torch.Tensor] = []

            def keep(estimate: torch.Tensor, length: int) -> torch.Tensor:
                estimates.append(estimate)
                return mix.new_zeros(())

            with _replaced(
                self.network,
                _spec=lambda signal: None,
                _magnitude=lambda spectrum: spectrogram,
                _mask=lambda spectrum, estimate: estimate,
                _ispec=keep,
            ):
                waveform = self.network(mix)
            return estimates[0], waveform

    return BetweenTransforms().eval()


@contextlib.contextmanager
def _replaced(network: Any, **methods: Any) -> Iterator[None]:
    for name, method in methods.items():
        setattr(network, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(network, name)
