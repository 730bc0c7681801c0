"""The comparison page: versions of a song side by side, at one loudness, with what was measured."""
