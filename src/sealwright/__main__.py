"""``python -m sealwright`` is ``seal``."""

from sealwright.app.cli import command

command()
