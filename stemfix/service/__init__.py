"""`stemfix up` as the user's service: a systemd user unit, a launchd agent, or a Windows scheduled task."""
