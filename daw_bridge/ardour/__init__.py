"""Ardour: its configuration folders, and stemfix's actions in them."""
