"""Bring a source in any known format into the MVTec AD layout, with a manifest."""
