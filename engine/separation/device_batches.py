"""What a GPU is given: how many segments at once, and in which arithmetic, by one segment that is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.audio.buffer import Audio
from engine.separation.arithmetic import Arithmetic
from engine.separation.device_link import DeviceLink, segments_that_fit
from engine.separation.fidelity import PROMISED_SNR_DB, snr_db
from engine.separation.separator import Precision

#: Computes the trial segment on the device with one network in an arithmetic: (sources, channels, frames).
Trial = Callable[[Arithmetic], Audio]


def choose_arithmetic(
    trials: Sequence[Trial],
    choices: Sequence[Arithmetic],
    precision: Precision,
    note: Callable[[str], None],
) -> Arithmetic:
    """The first of `choices` that keeps what `precision` promises with every network; `f32` always does.

    Args:
        trials: one per network.
        choices: see `arithmetic.candidates`.
        precision: what was promised.
        note: told in a sentence why the first choice is not taken.
    """
    if choices[0] == "f32":
        return "f32"
    promised = PROMISED_SNR_DB[precision]
    exact = [trial("f32") for trial in trials]
    for choice in choices:
        if choice == "f32":
            break
        try:
            near = min(snr_db(wanted, trial(choice)) for wanted, trial in zip(exact, trials, strict=True))
        except RuntimeError as error:
            note(f"The device can't compute in {choice} ({str(error).splitlines()[0]}).")
            continue
        if near >= promised:  # never true of what is not a number
            return choice
        note(f"In {choice} the device comes within {near:.0f} dB where {promised:.0f} were promised.")
    return "f32"


def segments_at_once(
    link: DeviceLink,
    trials: Sequence[Callable[[], Audio]],
    output_bytes: int,
    passes: int,
) -> int | None:
    """How many segments fit the device's memory; None where it can't be asked for it.

    The first trial of each network is not counted: in it libraries load and keep what they need.

    Args:
        link: to the device, with the models in its memory.
        trials: compute one segment each, as segments will be.
        output_bytes: of one segment's stems.
        passes: over the recording; the stems of each wait on the device until all have them.
    """
    if link.free_bytes() is None:
        return None
    most = 0
    for trial in trials:
        trial()
        most = max(most, link.bytes_of(trial) or 0)
    free = link.free_bytes()
    if free is None or most == 0:
        return None
    # Of each pass: what is finished, the same in one piece, and what is blended and on its way back.
    return segments_that_fit(free - 3 * passes * output_bytes, most + 4 * passes * output_bytes)
