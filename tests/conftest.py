"""Screening and the supply chain cost seconds, so a test pays for them only where it is about them.

Elsewhere the look itself answers "nothing found"; its statement, its gate and all the rest are
the real ones. ``@pytest.mark.screened`` looks at data for real, ``@pytest.mark.supplied`` at
packages, code and model files.
"""

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # started in the background of a shell: what the tests start has to hear of an interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _screened_quickly(request, monkeypatch):
    if request.node.get_closest_marker("screened") is None:
        from sealwright.app import screening

        def nothing(workspace, dataset, reference, question, known, blank, progress):
            import msgspec

            return msgspec.structs.replace(blank, verdict="nothing-found"), None

        monkeypatch.setattr(screening, "_look", nothing)


@pytest.fixture(autouse=True)
def _supplied_quickly(request, monkeypatch):
    if request.node.get_closest_marker("supplied") is None:
        from sealwright.app import supplying

        def nothing(workspace, prepared):
            from sealwright.app.advising import Audited, Held
            from sealwright.app.secretscanning import Looked
            from sealwright.core.records import Artifact
            from sealwright.policy.waivers import Standing
            from sealwright.supply.audit import Audit

            audited = Audited(
                Audit(0, ()), Held(None, "", 0), Artifact("environment", "0" * 64), Standing((), ())
            )
            return audited, Looked(0, (), (), ()), ()

        monkeypatch.setattr(supplying, "_look", nothing)
        monkeypatch.setattr(supplying, "_scan", lambda workspace, place: [])
        monkeypatch.setattr("sealwright.app.materials.of_model", lambda workspace, model: "")
