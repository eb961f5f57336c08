"""No file that would run something is ever clean, in whatever it is wrapped."""

import tarfile
from collections import Counter
from itertools import islice

import pytest
from modelfile_house import shared

from sealwright.app.bench.supply import malicious, payloads

SEED = 20_260_101


def test_every_bare_payload_is_refused_with_a_reason(gate):
    for category, name, data in payloads.payloads():
        verdict = gate.look(data)
        assert verdict.verdict != "clean", (category, name)
        assert verdict.findings, (category, name)


def test_a_set_from_a_seed_is_refused_in_every_container(gate):
    seen = Counter()
    for category, name, data in malicious.files(SEED, quick=True):
        assert gate.word(data) != "clean", (category, name)
        seen[category] += 1
    assert set(seen) == set(range(1, 18))


def test_the_full_set_is_large_and_the_same_for_a_seed():
    first = malicious.files(SEED)
    count = sum(1 for _ in first)
    assert count >= 1500
    once, again = (list(islice(malicious.files(SEED), 200)) for _ in range(2))
    assert once == again


def test_the_files_of_another_scanners_tests_are_all_refused(gate):
    with tarfile.open(shared("modelfile_corpus.tar.gz")) as archive:
        files = [(one.name, archive.extractfile(one).read()) for one in archive if one.isfile()]
    assert len(files) == 50
    assert [name for name, data in files if gate.word(data) == "clean"] == []


@pytest.mark.parametrize("name", sorted(malicious.WRAPS))
def test_a_container_is_refused_for_what_is_in_it_and_not_for_itself(gate, name):
    import pickle

    wrap = malicious.WRAPS[name]
    assert gate.look(wrap(pickle.dumps({"a": [1, 2.5, "x"]}, 4))).findings == ()
    assert gate.word(wrap(payloads.SYSTEM)) == "dangerous"


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for category, name, data in payloads.frame_lies()]
)
def test_a_frame_that_lies_is_refused(gate, name, data):
    assert gate.word(data) != "clean"
    assert set(gate.rules(data)) & {"pickle.frame", "pickle.truncated"}
