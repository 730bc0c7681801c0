"""`stemfix status`: what the service is doing, live on a terminal, as text, or as JSON."""
