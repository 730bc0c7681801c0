"""One tree of errors. Every message says what happened, to which file, and what to do about it."""

from __future__ import annotations


class StemfixError(Exception):
    """Base of every error that a user may see; `str(error)` is one or two whole sentences."""

    exit_status = 2

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what} {remedy}".strip())


class InputError(StemfixError):
    """The source can't be read, or there is nothing in it to work on."""


class OptionError(StemfixError):
    """An option, or a combination of options, that can't be served."""


class PresetError(OptionError):
    """A preset that does not exist, or a key or value in it that is not allowed."""


class ModelError(StemfixError):
    """A model's weights can't be had, don't match their checksum, or can't be loaded."""


class OutputError(StemfixError):
    """The results can't be written: no space, no permission, or the folder vanished."""


class DeviceError(StemfixError):
    """The computing device that was asked for is absent or failed."""


class AlignmentError(StemfixError):
    """A stem moved against itself, so nothing was published."""

    exit_status = 3


class Cancelled(StemfixError):
    """The user or a client stopped the job; nothing was written."""

    exit_status = 130

    def __init__(self) -> None:
        super().__init__("Cancelled; nothing was written.")
