"""Presets: named chains of effects for every stem, one commented TOML file each."""
