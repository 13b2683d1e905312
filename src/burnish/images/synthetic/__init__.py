"""Procedural metal, and synthetic defects on any picture of it."""
