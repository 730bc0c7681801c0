"""REAPER: its resource folders, stemfix's actions in them, its projects on disk and the one that is open."""
