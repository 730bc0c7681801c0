"""Measures of a recording, and of a recording against a reference; each file holds one, with its source."""

from engine.metrics.summary import AgainstReference, Metrics, compare, describe

__all__ = ["AgainstReference", "Metrics", "compare", "describe"]
