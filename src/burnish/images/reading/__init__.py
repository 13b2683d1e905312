"""Everything that touches Pillow's decoders: guards, decoding, headers."""
