"""Measures of a recording, and of a recording against a reference; each file holds one, with its source."""
