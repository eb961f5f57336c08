"""In a team, a network is opened by two people, for exactly what was asked."""

import json
import sys
from pathlib import Path

import pytest
from app_house import needs_room
from egress_house import HOST

from sealwright.adapters import egress_proxy
from sealwright.app import wiring

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "access"))

from access_house import Office

pytestmark = needs_room
SCRIPT = """\
import json, urllib.request
rows = open("data/train.csv").read().split()[1:]
body = urllib.request.urlopen("http://{where}/x", timeout=20).read().decode()
json.dump({{"rows": len(rows), "said": body}}, open("model.json", "w"))
"""


@pytest.fixture
def office(tmp_path, monkeypatch, capsys, names, web) -> Office:
    one = Office(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")

    def opener(workspace):
        scratch = workspace.state_dir / "rooms"
        return lambda rules, zones, secrets: egress_proxy.opened(
            scratch, rules, zones, secrets, names
        )

    monkeypatch.setattr(wiring, "egress_opener", opener)
    one.open("team")
    one.add()
    one.granted("train")
    (one.root / "train.py").write_text(SCRIPT.format(where=f"{HOST}:{web.port}"))
    (one.root / "seal.toml").write_text(
        (one.root / "seal.toml").read_text()
        + f'\n[egress.hub]\nhost = "{HOST}"\nports = [{web.port}]\nprivate = true\n'
    )
    return one


def words(web) -> tuple[str, ...]:
    said = f"run --model model.json --name fraud --network allow:{HOST}:{web.port}"
    return (*said.split(), *"--purpose fraud --reason prices -- python train.py".split())


def test_a_network_opens_once_two_people_approved_exactly_that(office, web):
    refused = office.refused("eli", *words(web))
    assert refused["rule"].startswith("access.")
    assert web.requests == []
    (request,) = [
        one["request"]
        for one in office.ok("olga", "access", "list")["requests"]
        if one["action"] == "access.egress"
    ]
    office.approve("olga", request)
    assert office.refused("eli", *words(web))["rule"].startswith("access.")
    office.approve("max", request)
    code, body, err = office.seal("eli", *words(web))
    assert (office.root / "model.json").exists(), (code, body, err)
    assert json.loads((office.root / "model.json").read_text())["said"] == "hello"


def test_an_approval_for_one_host_opens_no_other(office, web):
    office.refused("eli", *words(web))
    (request,) = [
        one["request"]
        for one in office.ok("olga", "access", "list")["requests"]
        if one["action"] == "access.egress"
    ]
    office.approve("olga", request)
    office.approve("max", request)
    path = office.root / "seal.toml"
    path.write_text(path.read_text().replace("private = true", 'private = true\nbytes = "1GiB"'))
    assert office.refused("eli", *words(web))["rule"].startswith("access.")
    assert web.requests == []
