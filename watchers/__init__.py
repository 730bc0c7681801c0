"""Watched folders: a file that is complete becomes a job."""
