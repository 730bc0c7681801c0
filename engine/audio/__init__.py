"""Reading, writing and measuring audio. Audio in memory is float32, shape (channels, frames)."""
