"""Monitors behind the answer: each looks for one thing that honest users seldom do."""
