"""Screening costs seconds for each new version, so a test pays for it only where it is about it.

Elsewhere the look itself answers "nothing found"; its statement, its gate and all the rest are
the real ones. ``@pytest.mark.screened`` looks for real.
"""

import pytest


@pytest.fixture(autouse=True)
def _screened_quickly(request, monkeypatch):
    if request.node.get_closest_marker("screened") is None:
        from sealwright.app import screening

        def nothing(workspace, dataset, reference, question, known, blank, progress):
            import msgspec

            return msgspec.structs.replace(blank, verdict="nothing-found"), None

        monkeypatch.setattr(screening, "_look", nothing)
