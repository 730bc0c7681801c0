"""The engine as a process of its own: its run, its heartbeat, and how clients start it."""
