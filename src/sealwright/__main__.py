"""``python -m sealwright`` is ``seal``."""

import sys

from sealwright.app.cli import main

sys.exit(main())
