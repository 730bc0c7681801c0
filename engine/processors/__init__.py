"""Effects that enhance a stem: one per file, each of them zero-latency and bypassable."""
