"""The durable queue: jobs that survive their process, one database for every client."""
