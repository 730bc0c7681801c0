"""stemfix: separate a song, enhance every stem, and hand the stems back aligned to the sample."""

__version__ = "0.1.0"
