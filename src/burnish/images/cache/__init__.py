"""Images decoded once and kept as uint8 in memory-mapped files."""
