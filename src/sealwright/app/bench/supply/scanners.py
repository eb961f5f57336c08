"""Other scanners of model files, run beside ours where they are installed: optional yardsticks.

Each is ``scan(name, data) -> "flagged" | "passed" | "skipped"``; an error, an unknown extension or
a file it could not follow is ``skipped``, which a pipeline takes for a pass.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

Said = Literal["flagged", "passed", "skipped"]
Scan = Callable[[str, bytes], Said]


def installed() -> Iterator[tuple[str, Scan]]:
    """The scanners that can be imported here."""
    for name, make in (
        ("picklescan", _picklescan),
        ("modelscan", _modelscan),
        ("fickling", _fickling),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scan = make()
        except (ImportError, AttributeError):
            continue
        logging.disable(logging.CRITICAL)
        yield name, _careful(scan)


def _careful(scan: Scan) -> Scan:
    def run(name: str, data: bytes) -> Said:
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                return scan(name, data)
        except (Exception, RecursionError):  # it stumbled: it did not see the file
            return "skipped"

    return run


def _picklescan() -> Scan:
    scanner = import_module("picklescan.scanner")

    def scan(name: str, data: bytes) -> Said:
        found: Any = scanner.scan_bytes(io.BytesIO(data), name, Path(name).suffix)
        if found.issues_count:
            return "flagged"
        return "skipped" if found.scan_err or not found.scanned_files else "passed"

    return scan


def _modelscan() -> Scan:
    kind = import_module("modelscan.modelscan").ModelScan

    def scan(name: str, data: bytes) -> Said:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name.replace("/", "_").replace("\0", "_")[-80:]
            path.write_bytes(data)
            summary = kind().scan(path)["summary"]
        if summary["total_issues"]:
            return "flagged"
        return "passed" if summary["scanned"]["total_scanned"] else "skipped"

    return scan


def _fickling() -> Scan:
    fickle, analysis = import_module("fickling.fickle"), import_module("fickling.analysis")

    def scan(name: str, data: bytes) -> Said:
        found = analysis.check_safety(fickle.Pickled.load(data))
        safe = found.severity <= analysis.Severity.LIKELY_SAFE
        return "passed" if safe else "flagged"

    return scan
