"""Taking a mix apart into stems that sum to it."""
