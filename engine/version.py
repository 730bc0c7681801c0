"""The engine's own version: part of every job key, because a new engine may render other bytes."""

#: Raised by hand whenever the same job would come out with other samples than before.
ENGINE_VERSION = "1"
