"""Watching the doors: who took how much, what is too much, and what holds them back."""
