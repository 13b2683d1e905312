"""The border to Pillow: what a file is, which files may be decoded, and what they turn into."""
