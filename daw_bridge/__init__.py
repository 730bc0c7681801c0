"""The DAW side in Python: installs stemfix's actions into DAWs, and triggers them from outside."""
