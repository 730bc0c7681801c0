"""DeviceLink: the way to a device's memory and back, and how much of it there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.audio.buffer import Audio

if TYPE_CHECKING:
    import torch

#: Of the memory that is free, so much is left to libraries' own workspaces and to fragmentation.
_SPARE = 0.2
#: Published measurements gain little beyond it, and a block of audio grows with it.
MOST_SEGMENTS = 16


def segments_that_fit(free_bytes: int, segment_bytes: int, most: int = MOST_SEGMENTS) -> int:
    """How many segments to compute at once: a power of two, at least 1 and at most `most`.

    Only powers of two, because another number gives other last bits, and free memory is never twice the same.

    Args:
        free_bytes: of the device, beside the models.
        segment_bytes: the most that one segment more takes.
    """
    fitting = int(free_bytes * (1 - _SPARE)) // max(segment_bytes, 1)
    return int(1 << (max(min(fitting, most), 1).bit_length() - 1))


class DeviceLink:
    """Copies to and from `device`. On CUDA they run beside what is computed, from and to pinned memory.

    Made and used by one thread. What `download` gives may be asked for any time later; until then the device
    goes on with what it was told to do meanwhile.
    """

    def __init__(self, device: str) -> None:
        import torch

        self.device = device
        self._cuda = device == "cuda"
        self._up: Any = torch.cuda.Stream() if self._cuda else None  # type: ignore[no-untyped-call]
        self._down: Any = torch.cuda.Stream() if self._cuda else None  # type: ignore[no-untyped-call]

    def upload(self, samples: Audio) -> torch.Tensor:
        """`samples` on the device; not to be changed afterwards, since a CPU's are the same memory."""
        import torch

        tensor = torch.from_numpy(samples)
        if not self._cuda:
            return tensor.to(self.device)
        computing = torch.cuda.current_stream()
        with torch.cuda.stream(self._up):
            there = tensor.pin_memory().to(self.device, non_blocking=True)
        computing.wait_stream(self._up)
        there.record_stream(computing)
        return there

    def download(self, tensor: torch.Tensor) -> Callable[[], Audio]:
        """Begin to fetch `tensor`, which is not changed afterwards; what is returned waits for it."""
        import torch

        if not self._cuda or tensor.device.type != "cuda":
            here = tensor.cpu().numpy()
            return lambda: here
        self._down.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._down):
            pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            pinned.copy_(tensor, non_blocking=True)
            tensor.record_stream(self._down)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()

        def wait() -> Audio:
            arrived.synchronize()
            samples: Audio = pinned.numpy()
            return samples

        return wait

    def free_bytes(self) -> int | None:
        """Memory that may still be taken, what PyTorch holds for reuse included; None if nobody knows."""
        import torch

        if self._cuda:
            held = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
            return int(torch.cuda.mem_get_info()[0]) + held
        if self.device == "mps":
            return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
        return None

    def bytes_of(self, compute: Callable[[], Audio]) -> int | None:
        """The most memory that `compute` takes while it runs; None if nobody knows."""
        import torch

        if self._cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            compute()
            torch.cuda.synchronize()
            return int(torch.cuda.max_memory_allocated() - before)
        if self.device == "mps":
            # There is no peak to be asked for; what the driver then holds for reuse comes near to it.
            torch.mps.empty_cache()
            before = torch.mps.driver_allocated_memory()
            compute()
            torch.mps.synchronize()
            return int(torch.mps.driver_allocated_memory() - before)
        compute()
        return None
