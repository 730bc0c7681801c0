"""The spool: jobs from programs that can't speak Python, as files in a private folder."""
