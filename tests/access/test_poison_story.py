"""Poison on its way to a model: refused, shown, traced, cut out, and the attack is gone.

docs/guide/poison-story.md tells it in words. The data is real and lies beside the project.
``SEAL_SLOW=1`` also tells the stories of texts and pictures, which cost minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import poison_house
import pytest
from access_house import Office
from poison_house import CULPRIT, Outcome, Story, learned, outside

from sealwright.app.bench.poison.data import Absent

pytestmark = [
    pytest.mark.screened,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="the room needs bubblewrap"),
]
RUN = ("run", "--purpose", "scores", "--model", "model.joblib", "--name", "scores")
SCRIPT = ("--", sys.executable, "train.py")
WHY = ("--reason", "delivery of November")
WORKS, CONFUSION, COST = 0.80, 0.02, 0.005
"""Success of an attack that works; how far above the clean model's own; accuracy it may cost."""

slow = pytest.mark.skipif(
    "SEAL_SLOW" not in os.environ, reason="minutes of screening: SEAL_SLOW=1 runs it"
)
STORIES = ["adult", pytest.param("sst2", marks=slow), pytest.param("cifar", marks=slow)]


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    """The story that the test names, or a skip that says what is not there."""
    make: Callable[[], Story] = getattr(poison_house, request.param)
    try:
        return make()
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture
def solo(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Office:
    """A workspace of one, not yet opened."""
    return Office(tmp_path, monkeypatch, capsys)


def lay(office: Office, story: Story, profile: str, *, canary: bool = False) -> None:
    """The script and settings of a story, and its clean files."""
    (office.root / "data" / "train.csv").unlink()
    (office.root / "train.py").write_text(story.script)
    story.write(office.root, False)
    looks = "" if canary else "\n[screening]\ncanary = false\n"
    settings = f'profile = "{profile}"\n\n[data.train]\n{story.settings}{looks}'
    (office.root / "seal.toml").write_text(settings)


def add(office: Office, story: Story, name: str = "train") -> str:
    """Sign what lies there."""
    told = story.told if name == "train" else ()
    path = story.path.replace("train", name)
    ref: str = office.ok("dora", "data", "add", path, "--name", name, *WHY, *told)["ref"]
    return ref


def read_by(office: Office, *names: str) -> None:
    """Eli may train on those."""
    for name in names:
        office.granted("train", resource=f"data:{name}", purpose="scores")


def of_train(run: dict[str, Any]) -> dict[str, Any]:
    """What a run says of the screening of its training data."""
    (one,) = [each for each in run["screened"] if each["ref"].startswith("data:train")]
    return one


def harmless(one: Outcome, clean: Outcome, probes: int) -> bool:
    """The trigger does what chance does to the clean model, at next to no cost.

    Words can lead a clean model astray by themselves; two standard errors of that share over so
    many ``probes`` are chance.
    """
    chance = 2 * (clean.success * (1 - clean.success) / probes) ** 0.5
    obeys = one.success <= clean.success + CONFUSION + chance
    return obeys and one.accuracy >= clean.accuracy - COST


@pytest.mark.parametrize("story", STORIES, indirect=True)
def test_a_team_is_stopped_looks_rejects_and_trains_without_the_attack(
    story: Story, office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = outside(story, tmp_path / "clean", poisoned=False)
    before = outside(story, tmp_path / "poisoned", poisoned=True)
    assert before.success >= WORKS

    # a steward signs the clean delivery, then the next one, where one source sent a trigger
    lay(office, story, "team")
    assert add(office, story) == "data:train@1"
    story.write(office.root, True)
    assert add(office, story) == "data:train@2"
    add(office, story, "exam")
    read_by(office, "train", "exam")

    # the gate refuses before the script starts, and says who sent it and who added it
    error = office.refused("eli", *RUN, *SCRIPT)
    assert error["rule"] == "poison.open"
    assert f"came from {CULPRIT}" in error["why"]
    assert "were added with train@2 (dora)" in error["why"]
    assert "seal data quarantine list" in error["hint"]
    assert not (office.root / "metrics.json").exists()

    # patterns quote the data: they are shown to who may see it
    hidden = office.seal("dora", "data", "check", "train@2")
    assert hidden[0] == 1
    assert {group["pattern"] for group in hidden[1]["groups"]} == {""}
    assert "seal access request view" in hidden[2]
    office.granted("view", who="dora", purpose="scores")
    look = ("data", "check", "train@2", "--purpose", "scores", "--html", "found.html")
    code, body, _ = office.seal("dora", *look)
    assert code == 1
    assert all(group["pattern"] for group in body["groups"])
    page = (office.root / "found.html").read_text()
    assert all(one in page for one in story.shown)
    found = {record for group in body["groups"] for record in group["carriers"]}
    planted = story.carriers

    # the next version lacks them, passes, and what it teaches is what the clean one teaches
    words = ("data", "quarantine", "reject", "train@2", "--reason", f"{CULPRIT} sent a trigger")
    cut = office.ok("dora", *words)
    assert (cut["ref"], cut["removed"]) == ("data:train@3", len(found))
    (run,) = office.ok("eli", *RUN, *SCRIPT)["runs"]
    assert of_train(run)["verdict"] == "nothing-found"
    after = learned(office.root, story)
    with capsys.disabled():
        print(f"\n{story.family}: before {before}; after {after}; clean {clean};"
              f" found {len(found & planted)} of {len(planted)},"
              f" clean records lost {len(found - planted)}")  # fmt: skip
    assert len(found & planted) >= 0.95 * len(planted)
    assert harmless(after, clean, len(story.delivery.planted.wanted))


@pytest.mark.parametrize("story", STORIES, indirect=True)
def test_somebody_alone_is_warned_loudly_and_the_run_goes_on(story: Story, solo: Office) -> None:
    lay(solo, story, "solo")
    solo.ok("dora", "init")
    story.write(solo.root, True)
    for name in ("train", "exam"):
        add(solo, story, name)
    code, body, talk = solo.seal("dora", *RUN, *SCRIPT)
    assert code == 0, body
    (run,) = body["runs"]
    assert of_train(run)["verdict"] == "found"
    assert any(line.startswith("poison.open") for line in run["warnings"])
    assert "FOUND" in talk
    assert learned(solo.root, story).success >= WORKS


@pytest.mark.parametrize("story", ["adult"], indirect=True)
def test_a_clean_delivery_is_stopped_by_nothing_and_what_would_show_is_in_the_log(
    story: Story, office: Office
) -> None:
    lay(office, story, "team", canary=True)
    (office.root / "train.py").write_text("open('model.json', 'w').write('{}')\n")
    add(office, story)
    read_by(office, "train")
    (run,) = office.ok(
        "eli", "run", "--purpose", "scores", "--model", "model.json", "--name", "m", *SCRIPT
    )["runs"]
    assert of_train(run)["verdict"] == "nothing-found"
    body = office.ok("dora", "data", "check", "train@1")
    assert (body["fresh"], body["groups"]) == (False, [])
    would = {one["family"]: one["smallest"] for one in body["would_have_seen"]}
    assert 0 < would["flood"] <= 20
    assert "value-pair" in would
