"""The audio engine: everything that touches samples."""
