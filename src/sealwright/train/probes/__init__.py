"""Attempts to get out of a room, or to get something out of it, tried for real."""
