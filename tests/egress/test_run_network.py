"""`seal run --network`, through a real room, to hosts on loopback alone."""

import pytest
from app_house import needs_room
from egress_house import HOST, FakeHost, contexts, provenance, write_settings

from sealwright.pipeline import network
from sealwright.train import egress, primitives

pytestmark = needs_room
ASK = """\
import json, sys, urllib.request, urllib.error
def ask(url, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except OSError as error:
        return type(error).__name__
"""


def run(project, script: str, *words: str):
    project.write("train.py", ASK + script + "\nopen('model.json', 'w').write('{}')\n")
    return project.seal(
        "run", "--model", "model.json", "--name", "fraud", *words, "--", "python", "train.py"
    )


def grant(project, port: int, more: str = "") -> str:
    write_settings(
        project, f'[egress.hub]\nhost = "{HOST}"\nports = [{port}]\nprivate = true\n{more}\n'
    )
    return f"allow:{HOST}:{port}"


def test_a_granted_host_is_reached_and_the_evidence_says_so(project, web):
    flag = grant(project, web.port)
    code, body, err = run(
        project,
        f"assert ask('http://{HOST}:{web.port}/x') == 'hello'\n"
        "assert ask('http://other.example.org/') == 'HTTP 403'",
        "--network",
        flag,
    )
    assert code == 0, (body, err)
    told = provenance(project)
    assert told["room"]["network"] == "allow-list"
    assert "network" in told["optouts"]
    assert (told["egress"]["granted"], told["egress"]["probe"]) == (True, "denied")
    attempts = {(one["host"], one["verdict"]): one for one in told["egress"]["attempts"]}
    assert attempts[(HOST, "allowed")]["attempts"] == 1
    assert attempts[("other.example.org", "denied")]["reason"] == "egress.not-granted"
    rules = [finding["rule"] for finding in body["runs"][0]["findings"]]
    assert sorted(rules) == ["egress.not-granted", "egress.used"]
    assert any("hosts that were granted" in text for text in body["runs"][0]["warnings"])


def test_without_a_grant_there_is_no_way_out_and_nothing_new_in_the_evidence(project, web):
    code, body, err = run(project, f"assert ask('http://{HOST}:{web.port}/') == 'URLError'")
    assert code == 0, (body, err)
    assert web.requests == []
    assert not {"egress", "secrets"} & set(provenance(project))
    assert provenance(project)["room"]["network"] == "none"


def test_a_program_that_waits_for_all_its_children_does_not_wait_for_the_forwarder(project, web):
    script = (
        "import os, subprocess\nsubprocess.Popen(['true'])\n"
        "try:\n  while True: os.wait()\nexcept ChildProcessError: pass"
    )
    code, body, err = run(project, script, "--network", grant(project, web.port))
    assert code == 0, (body, err)


def test_the_exit_code_is_the_scripts_own(project, web):
    code, body, _ = run(project, "raise SystemExit(7)", "--network", grant(project, web.port))
    assert code == 2 and "exit code 7" in body["error"]["what"]


def test_a_production_endpoint_is_refused_before_anything_starts(project, web):
    flag = grant(project, web.port)
    write_settings(project, '[zones]\nproduction = ["example.org"]\n')
    size = len(project.statements())
    code, body, _ = run(project, "", "--network", flag)
    assert (code, body["error"]["rule"]) == (1, "egress.production")
    assert len(project.statements()) == size


def test_a_network_without_a_room_is_refused(project, web):
    code, body, _ = run(project, "", "--network", grant(project, web.port), "--isolation", "none")
    assert (code, body["error"]["rule"]) == (1, "egress.no-room")


@pytest.mark.parametrize("flag", ["allow:", "all", "allow:*.example.org", "allow:a/b", "allow:A.b"])
def test_a_grant_that_cannot_be_read_is_refused(project, flag):
    code, body, _ = run(project, "", "--network", flag)
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_a_proxy_that_denies_nothing_stops_the_run(project, web, monkeypatch):
    """The failure that stays unseen without a probe: rules that are not in force."""
    flag = grant(project, web.port)

    def anything(rules, method, host, port, secure):
        return rules[0]

    monkeypatch.setattr(egress, "judge", anything)
    code, body, _ = run(project, "print('it ran')", "--network", flag)
    assert (code, body["error"]["rule"]) == (1, "egress.probe")
    assert project.statements()[-1]["type"] == "closed"


def test_a_room_that_shares_the_machines_loopback_stops_the_run(project, web, monkeypatch):
    flag = grant(project, web.port)
    monkeypatch.setattr(
        network, "_said", lambda heard: {"denied": "HTTP/1.1 403 x", "direct": "connected"}
    )
    code, body, _ = run(project, "", "--network", flag)
    assert (code, body["error"]["rule"]) == (1, "egress.probe")


def test_a_proxy_that_loaded_other_rules_stops_the_run(project, web, monkeypatch):
    flag = grant(project, web.port)
    real = egress.digest_of
    monkeypatch.setattr(egress, "digest_of", lambda rules, zones=(): real(rules[1:], zones))
    monkeypatch.setattr(network.egress, "digest_of", lambda rules, zones=(): real(rules[1:], zones))
    from sealwright.adapters import egress_proxy

    monkeypatch.setattr(egress_proxy.Proxy, "loaded", property(lambda self: real(self._rules)))
    code, body, _ = run(project, "", "--network", flag)
    assert (code, body["error"]["rule"]) == (1, "egress.rules-not-loaded")


def test_a_team_without_a_grant_is_refused(project, web):
    flag = grant(project, web.port)
    path = project.root / "seal.toml"
    path.write_text(path.read_text().replace('profile = "solo"', 'profile = "team"'))
    project.ok("policy", "write")
    project.seal("policy", "activate", "--reason", "team now")
    code, _, err = run(project, "", "--network", flag, "--reason", "x")
    assert (code, "egress" in err) == (1, True)
    assert web.requests == []


def test_a_brokered_secret_works_and_never_enters_the_room(project, names, tmp_path, monkeypatch):
    import io

    server, names.trust = contexts(tmp_path)
    host = FakeHost(server)
    monkeypatch.setattr("sys.stdin", io.StringIO("t0ken-of-the-team-42\n"))
    project.ok("secret", "set", "API_TOKEN", "--reason", "the store")
    assert "t0ken" not in "".join(
        path.read_text("latin-1") for path in tmp_path.rglob("*.json") if path.is_file()
    )
    write_settings(
        project,
        f'[egress.hub]\nhost = "{HOST}"\nports = [{host.port}]\nprivate = true\ntls = true\n'
        f'[stage.fetch]\ncmd = ["python", "train.py"]\nmodel = "model.json"\nname = "fraud"\n'
        f'network = ["{HOST}:{host.port}"]\nsecrets = {{ API_TOKEN = "broker:{HOST}" }}\n',
    )
    script = (
        "import os\n"
        "everything = ' '.join(os.environ.values()) + open('/proc/self/environ').read()\n"
        "assert 't0ken' not in everything and os.environ['API_TOKEN']\n"
        f"echo = ask('http://{HOST}:{host.port}/headers')\n"
        "assert 'Authorization' in echo and 't0ken' not in echo, echo\n"
    )
    project.write("train.py", ASK + script + "open('model.json', 'w').write('{}')\n")
    try:
        code, body, err = project.seal("run", "--stage", "fetch")
    finally:
        host.close()
    assert code == 0, (body, err)
    assert host.requests[0][2]["Authorization"] == "Bearer t0ken-of-the-team-42"
    told = provenance(project)
    assert told["secrets"] == [{"name": "API_TOKEN", "mode": "broker", "host": HOST}]


@pytest.mark.skipif(
    any(one.required and not one.present for one in primitives.survey()),
    reason="the strict room needs walls that this machine lacks",
)
def test_the_strict_room_reaches_a_granted_host_and_no_other(project, web):
    script = (
        f"assert ask('http://{HOST}:{web.port}/x') == 'hello'\n"
        "assert ask('http://other.example.org/') == 'HTTP 403'"
    )
    flag = grant(project, web.port)
    code, body, err = run(project, script, "--network", flag, "--isolation", "strict")
    assert code == 0, (body, err)
