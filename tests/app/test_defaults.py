"""What is on without being asked for, and that each opt-out is in the evidence of a run."""

import io
from pathlib import Path

import pytest
from app_house import needs_room

from sealwright.app import wiring
from sealwright.app.defaults import CUSTODY, DEFAULTS, of_project, opted_out
from sealwright.core import digest, settings
from sealwright.core.predicates import INTENT, SLSA_PROVENANCE

NAMES = [one.name for one in DEFAULTS]
STAGE = '[stage.a]\ncmd = ["python", "train.py"]\nmodel = "model.json"\nname = "fraud"\n'
BY_SETTING = {
    "room.isolation": '[room]\nisolation = "none"',
    "network": '[room]\nnetwork = ["api.example.org"]',
    "room.gpu": '[room]\ngpu = "auto"',
    "screening.enabled": "[screening]\nenabled = false",
    "screening.reduced": '[screening]\ndetectors = ["floods"]',
    "supply.level": '[supply]\nlevel = "project"',
    "secrets.outputs": '[secrets]\noutputs = "allow"',
    "secrets.env": STAGE + 'secrets = { TOKEN = "env" }',
}


def parsed(text: str = "") -> settings.Settings:
    return settings.parse(text.encode())


def test_nothing_is_opted_out_of_by_default_but_a_second_lock_on_the_keys():
    assert of_project(parsed(), "key-file") == (CUSTODY,)
    assert of_project(parsed(), "passphrase") == of_project(parsed(), "external") == ()


@pytest.mark.parametrize("name", BY_SETTING)
def test_each_setting_is_one_opt_out(name):
    assert of_project(parsed(BY_SETTING[name]), "passphrase") == (name,)


def test_the_command_line_opts_out_as_the_settings_do():
    quiet = {"isolation": "standard", "gpu": "off", "network": False, "secrets": ()}
    flags = {
        "isolation": ("none", "room.isolation"),
        "gpu": ("auto", "room.gpu"),
        "network": (True, "network"),
        "secrets": (["TOKEN"], "secrets.env"),
    }
    for key, (value, name) in flags.items():
        said = opted_out(parsed(), custody="passphrase", **{**quiet, key: value})
        assert said == (name,)


def test_every_default_is_covered_here_and_has_its_line_in_the_docs():
    assert {*BY_SETTING, CUSTODY} == set(NAMES)
    page = Path(__file__).parents[2] / "docs/concepts/defaults.md"
    lines = page.read_text("utf-8").splitlines()
    for one in DEFAULTS:
        assert all(getattr(one, field) for field in one.__struct_fields__)
        assert any(line.startswith(f"| `{one.name}` |") for line in lines), one.name


def told(kind: str) -> dict:
    entry = wiring.open_workspace().history().of_type(kind)[-1]
    return entry.statement.predicate


def internal() -> dict:
    return told(SLSA_PROVENANCE)["buildDefinition"]["internalParameters"]


@needs_room
def test_a_run_of_a_fresh_project_says_that_only_a_key_file_keeps_its_keys(project):
    project.ok("run", "--model", "model.json", "--", "python", "train.py")
    assert told(INTENT)["optouts"] == internal()["optouts"] == [CUSTODY]
    assert internal()["settings"] == digest.of_file(project.root / "seal.toml")


@needs_room
def test_each_opt_out_of_a_run_is_in_its_intent_and_in_its_provenance(project, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("v3ry-s3cret-value\n"))
    project.ok("secret", "set", "TOKEN", "--reason", "for the store")
    kept = ("screening.enabled", "supply.level", "secrets.outputs", "secrets.env")
    path = project.root / "seal.toml"
    head = path.read_text().partition("[stage.")[0]
    path.write_text(head + "\n" + "\n".join(BY_SETTING[name] for name in kept))
    code, body, _ = project.seal("run", "--stage", "a", "--isolation", "none")
    assert (code, body["error"]["rule"]) == (1, "room.unisolated")  # of registering, not the run
    wanted = [name for name in NAMES if name in {"room.isolation", CUSTODY, *kept}]
    assert told(INTENT)["optouts"] == internal()["optouts"] == wanted


def test_a_run_that_fails_has_its_opt_outs_in_the_log_all_the_same(project):
    project.write("train.py", "raise SystemExit(3)")
    code, _, _ = project.seal("run", "--isolation", "none", "--", "python", "train.py")
    assert code == 2
    assert told(INTENT)["optouts"] == ["room.isolation", CUSTODY]
    assert wiring.open_workspace().history().of_type(SLSA_PROVENANCE) == ()


def test_init_and_doctor_say_what_is_on_and_what_an_opt_out_costs(bare, monkeypatch):
    monkeypatch.setenv("SEAL_PASSPHRASE", "correct horse battery staple")
    said = bare.ok("init")["defaults"]
    assert said["opted_out"] == []
    assert {one.on for one in DEFAULTS} < set(said["on"])
    path = bare.root / "seal.toml"
    path.write_text(path.read_text().partition("[stage.")[0] + BY_SETTING["screening.enabled"])
    _, body, _ = bare.seal("doctor")
    found = {check["name"]: check for check in body["checks"]}
    (screening,) = [one for one in DEFAULTS if one.name == "screening.enabled"]
    off = found["default: screening.enabled"]
    assert screening.costs in off["detail"] and screening.still in off["detail"]
    assert off["mend"] == screening.mend
    assert screening.on not in found["defaults"]["detail"]
    assert [name for name in found if name.startswith("default: ")] == [
        "default: screening.enabled"
    ]
