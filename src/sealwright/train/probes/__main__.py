"""``python -m sealwright.train.probes CANARIES.json PROBE …``: inside a room, or outside it."""

import sys

from sealwright.train.probes import (  # noqa: F401  (each enters its probes)
    files,
    kernel,
    kit,
    network,
    processes,
    resources,
)

kit.main(sys.argv[1:])
