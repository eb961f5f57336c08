"""Running a training job in a sealed room, and saying truthfully what ran there."""
