"""DeviceBatches: how many segments a GPU is given at once and in which arithmetic, by one that is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from engine.audio.buffer import Audio
from engine.separation.arithmetic import Arithmetic
from engine.separation.device_link import DeviceLink, segments_that_fit
from engine.separation.fidelity import PROMISED_SNR_DB, snr_db
from engine.separation.separator import Precision

#: Computes a segment of music on the device with one network: (sources, channels, frames).
Trial = Callable[[Arithmetic], Audio]


class DeviceBatches:
    """What is learnt of one model on one device. It is learnt once; only free memory is asked for again.

    Args:
        link: to the device, with the networks in its memory.
        trials: one per network.
        output_bytes: of one segment's stems.
        passes: over the recording; the stems of each wait on the device until all have them.
    """

    def __init__(self, link: DeviceLink, trials: Sequence[Trial], output_bytes: int, passes: int) -> None:
        self._link, self._trials = link, trials
        self._stems_bytes = output_bytes * passes
        self._network_bytes: int | None = None

    def arithmetic(
        self, choices: Sequence[Arithmetic], precision: Precision, note: Callable[[str], None]
    ) -> Arithmetic:
        """The first of `choices` that keeps what `precision` promises with every network; `f32` always does.

        `note` is told in a sentence why a choice is not taken.
        """
        if choices[0] == "f32":
            return "f32"
        promised = PROMISED_SNR_DB[precision]
        exact = [trial("f32") for trial in self._trials]
        for choice in choices:
            if choice == "f32":
                break
            try:
                pairs = zip(exact, self._trials, strict=True)
                near = min(snr_db(wanted, trial(choice)) for wanted, trial in pairs)
            except RuntimeError as error:
                note(f"The device can't compute in {choice} ({str(error).splitlines()[0]}).")
                continue
            if near >= promised:  # never true of what is not a number
                return choice
            note(f"In {choice} the device comes within {near:.0f} dB where {promised:.0f} were promised.")
        return "f32"

    def segments(self, arithmetic: Arithmetic) -> int | None:
        """How many segments fit at once now; None where nobody can tell.

        Each network's first segment is not counted: in it libraries load and keep what they need.
        """
        if self._link.free_bytes() is None:
            return None
        if self._network_bytes is None:
            most = 0
            for trial in self._trials:
                trial(arithmetic)
                most = max(most, self._link.bytes_of(partial(trial, arithmetic)) or 0)
            self._network_bytes = most
        free = self._link.free_bytes()
        if free is None or self._network_bytes == 0:
            return None
        # Of each pass: the sum as it is and as it is pushed on, and what is finished before its first block.
        free -= 3 * self._stems_bytes
        # Then: what is finished, the same in one piece, what is blended, and that on its way back.
        return segments_that_fit(free, self._network_bytes + 4 * self._stems_bytes)
