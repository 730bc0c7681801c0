"""Arithmetic: the numbers that a network is computed with on a GPU, and which of them a precision allows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from engine.separation.separator import Precision

#: `f32` is 32 bits throughout, without the 19-bit TF32; the others are PyTorch's mixed precision.
Arithmetic = Literal["f32", "bf16", "f16"]


def candidates(device: str, precision: Precision) -> tuple[Arithmetic, ...]:
    """What to try on `device`, the first choice first; always ends with `f32`, which needs no proof.

    A GPU that has both takes as long for either, and float16 has eight times the steps: htdemucs comes within
    56 dB of 32 bits with it and within 37 with bfloat16, measured with a CPU's mixed precision. bfloat16 has
    the range of 32 bits, for networks that float16's is too narrow for; GPUs before Ampere only emulate it.
    """
    if precision == "full" or device == "cpu":
        return ("f32",)
    import torch

    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return ("f16", "f32")
    return ("f16", "bf16", "f32")


@contextlib.contextmanager
def computing_in(arithmetic: Arithmetic, device: str) -> Iterator[None]:
    """All that PyTorch computes within is in `arithmetic`, without gradients, and the same every time.

    cuDNN is kept from algorithms that it picks by timing, or that add in no fixed order. By itself PyTorch
    computes convolutions in TF32, which is some 60 dB from 32 bits.
    """
    import torch

    exact = arithmetic == "f32"
    matmul = torch.backends.cuda.matmul
    allowed, matmul.allow_tf32 = matmul.allow_tf32, not exact
    try:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=not exact
            ),
        ):
            if exact:
                yield
            else:
                dtype = torch.bfloat16 if arithmetic == "bf16" else torch.float16
                with torch.autocast(device, dtype=dtype):
                    yield
    finally:
        matmul.allow_tf32 = allowed
