"""Which stage may read and reach what, and the same as Kubernetes objects."""

import ipaddress
import re

import pytest
from app_house import needs_room
from egress_house import write_settings

from sealwright.core.refs import Ref
from sealwright.pipeline import segments
from sealwright.pipeline.spec import StageSpec
from sealwright.train.egress import Rule

CLEAN = StageSpec("clean", ("true",), (Ref("data", "raw"),), outputs={"clean": "clean.csv"})
TRAIN = StageSpec("train", ("true",), (Ref("data", "clean"),), model="m", model_name="fraud")
HOSTS = {"clean": (Rule("api.example.org"), Rule("93.184.216.34", (8443,)))}
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def test_a_stage_reads_its_inputs_and_no_other_stages():
    clean, train = segments.of_stages([CLEAN, TRAIN], HOSTS)
    assert clean.reads == {"raw": ""} and clean.writes == ("clean",)
    assert train.reads == {"clean": "clean"} and train.hosts == ()


def check_policy(one: dict) -> None:
    """The structure of NetworkPolicy in networking.k8s.io/v1, field by field."""
    assert set(one) == {"apiVersion", "kind", "metadata", "spec"}
    assert (one["apiVersion"], one["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    assert LABEL.fullmatch(one["metadata"]["name"]) and len(one["metadata"]["name"]) <= 63
    assert all(isinstance(x, str) for x in one["metadata"]["annotations"].values())
    spec = one["spec"]
    assert set(spec) == {"podSelector", "policyTypes", "ingress", "egress"}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    check_selector(spec["podSelector"])
    for rules, peers in ((spec["ingress"], "from"), (spec["egress"], "to")):
        assert isinstance(rules, list)
        for rule in rules:
            assert set(rule) == {peers, "ports"} and rule[peers] and rule["ports"]
            for port in rule["ports"]:
                assert set(port) == {"protocol", "port"} and port["protocol"] in ("TCP", "UDP")
                assert isinstance(port["port"], int) and 0 < port["port"] < 65536
            for peer in rule[peers]:
                check_peer(peer)


def check_peer(peer: dict) -> None:
    if "ipBlock" in peer:
        assert set(peer) == {"ipBlock"} and set(peer["ipBlock"]) <= {"cidr", "except"}
        block = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        for hole in peer["ipBlock"].get("except", []):
            assert ipaddress.ip_network(hole).subnet_of(block)
    else:
        assert peer and set(peer) <= {"podSelector", "namespaceSelector"}
        for selector in peer.values():
            check_selector(selector)


def check_selector(selector: dict) -> None:
    assert set(selector) == {"matchLabels"} and selector["matchLabels"]
    for name, value in selector["matchLabels"].items():
        assert isinstance(name, str) and isinstance(value, str) and len(value) <= 63


def test_the_export_is_a_network_policy_and_denies_by_default():
    yaml = pytest.importorskip("yaml", reason="a YAML reader of somebody else's is needed")
    objects = segments.kubernetes(segments.of_stages([CLEAN, TRAIN], HOSTS))
    read = list(yaml.safe_load_all(segments.yaml(objects)))
    assert read == objects
    for one in read:
        check_policy(one)
    named = {one["metadata"]["name"]: one["spec"] for one in read}
    assert set(named) == {"seal-clean", "seal-clean-proxy", "seal-train"}
    assert named["seal-train"]["egress"] == [] and named["seal-train"]["ingress"] == []
    (to_proxy,) = named["seal-clean"]["egress"]
    assert to_proxy["to"][0]["podSelector"]["matchLabels"]["sealwright.dev/stage"] == "clean"
    granted = named["seal-clean-proxy"]["egress"][0]
    assert [port["port"] for port in granted["ports"]] == [443, 8443]
    assert {"ipBlock": {"cidr": "93.184.216.34/32"}} in granted["to"]


@pytest.mark.parametrize("name", ["a.b", "a_b", "x" * 63, "a-.b", "0"])
def test_every_stage_name_makes_a_name_that_kubernetes_takes(name):
    stage = StageSpec(name, ("true",), ())
    for one in segments.kubernetes(segments.of_stages([stage], {name: HOSTS["clean"]})):
        check_policy(one)


STAGES = """
[zones]
production = ["db.prod.internal"]

[stage.clean]
cmd = ["python", "clean.py"]
inputs = ["train"]
outputs = { tidy = "data/tidy.csv" }
network = ["api.example.org"]

[stage.fit]
cmd = ["python", "fit.py"]
inputs = ["tidy"]
model = "model.json"
name = "fraud"
"""

LOOK = """
import json, os
seen = []
for top in ("/", os.getcwd()):
    for folder, folders, files in os.walk(top, onerror=None):
        folders[:] = [f for f in folders if folder != "/" or f not in ("proc", "sys", "usr", "dev")]
        seen += [os.path.join(folder, name) for name in files]
mine = [os.path.relpath(p) for p in seen if p.startswith(os.getcwd())]
json.dump({"mine": sorted(set(mine)),
           "stores": [p for p in seen if "/.seal/" in p or p.startswith("STATE")],
           "sockets": os.listdir("/run/seal")}, open("model.json", "w"))
"""


def test_policy_network_prints_the_rules_of_the_graph(project):
    write_settings(project, STAGES)
    body = project.ok("policy", "network")
    by_stage = {one["stage"]: one for one in body["segments"]}
    assert by_stage["clean"]["hosts"][0]["host"] == "api.example.org"
    assert by_stage["fit"]["reads"] == {"tidy": "clean"} and by_stage["fit"]["hosts"] == []
    assert body["production"] == ["db.prod.internal"]
    objects = project.ok("policy", "network", "--kubernetes")["objects"]
    named = {one["metadata"]["name"] for one in objects}
    assert named >= {"seal-clean", "seal-clean-proxy", "seal-fit"}
    assert "seal-fit-proxy" not in named


def test_policy_network_refuses_a_production_endpoint(project):
    write_settings(project, STAGES.replace("api.example.org", "db.prod.internal"))
    code, body, _ = project.seal("policy", "network")
    assert (code, body["error"]["rule"]) == (1, "egress.production")


@needs_room
def test_a_room_sees_its_inputs_and_no_store_of_any_stage(project):
    import json

    write_settings(project, STAGES.replace('network = ["api.example.org"]', ""))
    project.write("clean.py", "open('data/tidy.csv','w').write(open('data/train.csv').read())")
    project.write("fit.py", LOOK.replace("STATE", str(project.state)))
    project.ok("run", "--stage", "clean", "--stage", "fit")
    told = json.loads((project.root / "model.json").read_text())
    assert "data/tidy.csv" in told["mine"] and "data/train.csv" not in told["mine"]
    assert told["stores"] == [] and told["sockets"] == ["imports"]
