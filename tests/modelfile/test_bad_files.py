"""Bad input: bounded time and memory, a reason each, never clean."""

import io
import json
import os
import pickle
import zipfile

import pytest

from sealwright.app.bench.supply.malicious import zipped
from sealwright.app.scanning import scan_one
from sealwright.kit.modelfile import arrays
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.scan import Scanner
from sealwright.kit.modelfile.source import Bytes


@pytest.fixture
def one(tmp_path):
    """Write bytes to a file and judge it by its path."""
    policy = policy_of("framework")

    def judge(path):
        with Scanner(policy) as scanner:
            return scan_one(path, scanner, policy).verdict

    return judge


def test_every_prefix_of_a_file_is_refused(gate):
    import numpy as np

    out = io.BytesIO()
    np.save(out, np.arange(6))
    for whole in (pickle.dumps([1.5, "a", {"b": 2}], 4), out.getvalue(), zipped({"a.npy": b"x"})):
        words = {gate.word(whole[:cut]) for cut in range(4, len(whole))}
        assert "clean" not in words


def test_an_empty_file_is_not_understood(gate):
    assert gate.rules(b"") == ["file.empty"]


def test_fifty_gigabytes_of_nothing_are_refused_at_once(tmp_path, one):
    for name, head in (("zeros.bin", b"\0"), ("model.pkl", b"\x80\x04"), ("m.zip", b"PK\x03\x04")):
        path = tmp_path / name
        with path.open("wb") as stream:
            stream.write(head)
            stream.truncate(50 << 30)
        with Opened(path) as opened, Scanner(policy_of()) as scanner:
            assert scanner.scan(opened).verdict != "clean"


def test_a_password_is_asked_of_nobody(gate):
    data = bytearray(zipped({"a.pkl": pickle.dumps(1)}))
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    assert gate.rules(bytes(data)) == ["zip.encrypted"]


def test_a_bomb_is_stopped_before_it_unfolds(gate):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.txt", b"a" * (1 << 20))
    with Scanner(policy_of(), Limits(total_bytes=3 << 20)) as scanner:
        rules = [one.rule for one in scanner.scan(Bytes(out.getvalue())).findings]
    assert rules == ["archive.bomb"]
    assert gate.word(out.getvalue()) == "clean"


def test_archives_in_archives_end_somewhere(gate):
    data = pickle.dumps(1)
    for _ in range(4):
        data = zipped({"x": data})
    assert gate.word(data) == "clean"
    assert gate.rules(zipped({"x": data})) == ["archive.deep"]


def test_ten_thousand_levels_are_refused(gate):
    assert gate.rules(b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b".") == ["pickle.budget"]
    assert gate.rules(b"[" * 10_000 + b"]" * 10_000) == ["json.broken"]


def test_the_extension_decides_nothing(tmp_path, one):
    path = tmp_path / "readme.txt"
    path.write_bytes(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.")
    assert one(path).verdict == "dangerous"
    path = tmp_path / "model.exe"
    path.write_bytes(pickle.dumps({"a": 1}, 4))
    assert one(path).verdict == "clean"


def test_a_link_and_a_pipe_are_not_followed(tmp_path, one):
    (tmp_path / "real.pkl").write_bytes(pickle.dumps(1, 4))
    (tmp_path / "link.pkl").symlink_to(tmp_path / "real.pkl")
    os.mkfifo(tmp_path / "pipe.pkl")
    for name in ("link.pkl", "pipe.pkl"):
        found = one(tmp_path / name)
        assert (found.verdict, found.findings[0].rule) == ("not understood", "file.special")


def test_a_file_written_to_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(1, 4))
    with Opened(path) as opened:
        path.write_bytes(pickle.dumps(2, 4))
        with pytest.raises(Unsound, match="written"):
            opened.unchanged()


def test_a_source_that_fails_is_a_finding():
    class Faulty:
        size = 100

        def pread(self, offset, count):
            raise OSError(5, "Input/output error")

    with Scanner(policy_of()) as scanner:
        found = scanner.scan(Faulty())
    assert (found.verdict, found.findings[0].rule) == ("not understood", "file.fault")


def test_what_two_programs_would_read_differently_is_refused(gate):
    assert gate.rules(b'{"a": 1}' + zipped({"a/data.pkl": pickle.dumps(1)})) == ["file.polyglot"]


def test_honest_text_and_json_are_clean(gate):
    assert gate.word(b"# A model\n\nTrained on digits; accuracy 0.97 (of 1.0).\n") == "clean"
    assert gate.word(json.dumps({"hidden_size": 8, "vocab": ["a", "b"]}).encode()) == "clean"


def test_a_plain_chat_template_is_clean_and_one_that_reaches_out_is_not(gate):
    plain = (
        "{% for message in messages %}{% if message['role'] == 'user' %}"
        "{{ '<|user|>' + message['content'] | trim }}{% elif message.role == 'system' %}"
        "{{ message.content.strip() }}{% endif %}{% if loop.last and add_generation_prompt %}"
        "{{ '<|assistant|>' }}{% endif %}{% endfor %}"
    )
    assert gate.word(json.dumps({"chat_template": plain}).encode()) == "clean"
    bad = plain + "{{ cycler.__init__.__globals__ }}"
    assert gate.rules(json.dumps({"chat_template": bad}).encode()) == ["template.code"]


@pytest.mark.parametrize(
    "body", [b"[$T{}*", b"[$T#l\x7f\xff\xff\xff", b"[$Z#L" + b"\x7f" + b"\xff" * 7]
)
def test_a_booster_of_values_without_bytes_is_refused_at_once(gate, body):
    key = b"{L" + (7).to_bytes(8, "big") + b"learner"
    assert gate.rules(key + body + b"}") == ["booster.broken"]


@pytest.mark.parametrize("text", [b"3" * 33, b"[]", b'"a"'])
def test_a_safetensors_header_that_is_no_object_is_refused(text):
    with pytest.raises(Unsound, match="no object"):
        arrays.safetensors(Bytes(len(text).to_bytes(8, "little") + text), LIMITS)
