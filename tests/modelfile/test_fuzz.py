"""Mutated files: no crash, no hang, and whatever is accepted is harmless to a real unpickler."""

import io
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.app.bench.supply import malicious, payloads
from sealwright.kit.modelfile.policy import policy_of

BARE = [data for _, _, data in payloads.payloads() if len(data) < 5000]
OTHER = [
    data
    for category, _, data in malicious.files(3, quick=True)
    if category in (12, 13, 14, 17) and len(data) < 20_000
]
HONEST = [
    pickle.dumps({"a": [1, 2.5, "x", (None, True)], "b": {"c": b"d" * 40}}, protocol)
    for protocol in range(6)
]
POLICY = policy_of("framework")


class Inert(pickle.Unpickler):
    """Reads names and imports nothing: the oracle."""

    def find_class(self, module, name):
        if not POLICY.uses_of(module, name):
            raise AssertionError(f"accepted, and names {module}.{name}")
        raise pickle.UnpicklingError("a listed name: far enough")

    def persistent_load(self, pid):
        raise AssertionError("accepted, and fetches something")


def mutated(draw, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        kind = draw(st.sampled_from(["flip", "cut", "put", "drop", "copy"]))
        if kind == "flip" and out:
            out[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del out[at:]
        elif kind == "put":
            out[at:at] = draw(st.binary(min_size=1, max_size=6))
        elif kind == "drop" and out:
            del out[at : at + draw(st.integers(1, 6))]
        else:
            out += out[at : at + 20]
    return bytes(out)


def harmless(data: bytes) -> None:
    try:
        Inert(io.BytesIO(data)).load()
    except AssertionError:
        raise
    except Exception:
        pass


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_mutated_malicious_pickle_is_refused_or_runs_nothing(gate, data):
    made = mutated(data.draw, data.draw(st.sampled_from(BARE)))
    if gate.look(made).verdict == "clean":
        harmless(made)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_a_mutated_honest_pickle_is_refused_or_runs_nothing(gate, data):
    made = mutated(data.draw, data.draw(st.sampled_from(HONEST)))
    if gate.look(made).verdict == "clean":
        harmless(made)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_a_mutated_container_never_makes_the_scanner_fail(gate, data):
    made = mutated(data.draw, data.draw(st.sampled_from(OTHER)))
    found = gate.look(made)
    assert found.verdict in ("clean", "dangerous", "not understood")
    assert found.verdict == "clean" or found.findings


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_have_a_verdict(gate, data):
    found = gate.look(data)
    if found.verdict == "clean":
        harmless(data)
