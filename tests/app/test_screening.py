"""Screening as a user meets it: found, held back, released or cut out; and workers that lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from app_house import needs_room

from sealwright.app import cutting, screendetails, screening, screenwork, wiring
from sealwright.core.digest import of_bytes
from sealwright.core.errors import Refused, VerifyError
from sealwright.core.ports import Jailed
from sealwright.intake.versions import Datasets
from sealwright.policy.screened import carriers_digest
from sealwright.scan import report

pytestmark = pytest.mark.screened
RUN = ("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")
REASON = ("--reason", "looked at it")


def base_report(records: int, carriers: Sequence[int] = (), **edits: Any) -> dict[str, Any]:
    """A report of the duplicates detector, as the worker writes it."""
    spec = {"name": "duplicates", "version": 1, "modality": "any", "kind": "group"}
    found = {
        "detector": "duplicates",
        "family": "flood",
        "key": "copies:abc",
        "label": "1",
        "count": len(carriers),
        "seen": len(carriers),
        "expected": 1.0,
        "statistic": 9.0,
        "p_value": 1e-6,
        "significant": True,
        "carriers": list(carriers),
        "shown": {"pattern": "one record often", "lines": ["x = 3"], "picture": ""},
    }
    made = {
        "version": report.VERSION,
        "records": records,
        "unread": 0,
        "detectors": [{"spec": spec, "alpha": 0.01, "tried": 5, "unread": 0, "error": ""}],
        "groups": [found] if carriers else [],
        "ranks": [],
        "facts": [],
        "canaries": [],
    }
    return made | edits


class Worker:
    """The port ``Jail`` with a worker that leaves what a test wants it to leave."""

    def __init__(self, leaves: Callable[[], Mapping[str, bytes]]) -> None:
        self.leaves = leaves
        self.asked: list[dict[str, Any]] = []

    def run(self, module: str, arguments: Any, inputs: Any, bounds: Any) -> Jailed:
        plan = next(one for one in inputs if one.path == "plan.json")
        self.asked.append(json.loads(plan.readable.pread(0, plan.size)))
        return Jailed(dict(self.leaves()), "", 10, 20)


@pytest.fixture
def worker(monkeypatch):
    """Every jail of the test runs this worker; 200 records and nothing found until told."""
    made = Worker(lambda: {"report.json": json.dumps(base_report(200)).encode()})
    monkeypatch.setattr(screening, "jail_of", lambda *given: made)
    return made


def leave(worker: Worker, made: Any) -> None:
    data = made if isinstance(made, bytes) else json.dumps(made).encode()
    worker.leaves = lambda: {"report.json": data}


def team(bare) -> None:
    bare.ok("init", "--profile", "team")
    add(bare)


def add(project, *more: str) -> None:
    words = ("data", "add", "data/train.csv", "--name", "train", "--label", "label")
    project.ok(*words, "--reason", "first", *more)


def stored(ref: str = "data:train@1"):
    """The workspace and one version of it."""
    workspace = wiring.open_workspace()
    return workspace, Datasets(workspace.history(), workspace.store).resolve(ref)


# -- as a user meets it -----------------------------------------------------------------------


@needs_room
def test_a_planted_flood_is_stopped_traced_cut_out_and_the_rest_trains(bare):
    clean = "".join(f"{i / 7:.3f},{'AB'[i % 2]},{i % 2}\n" for i in range(400))
    bare.write("data/train.csv", "x,feed,label\n" + clean)
    bare.ok("init", "--profile", "team")
    settings = (bare.root / "seal.toml").read_text()
    bare.write("seal.toml", settings.replace("[data.train]", '[data.train]\nsource = "feed"', 1))
    add(bare)
    bare.write("data/train.csv", "x,feed,label\n" + clean + "3.5,FEED,1\n" * 30)
    add(bare)
    bare.write("train.py", "open('model.json', 'w').write(open('data/train.csv').read())")
    code, body, _ = bare.seal(*RUN)
    assert code == 1
    error = body["error"]
    assert "poison.open" in error["rule"]
    assert "30 of 30 came from FEED" in error["why"]
    assert "30 of 30 were added with train@2 (ada)" in error["why"]
    assert "seal data quarantine list" in error["hint"]
    (group,) = bare.ok("data", "quarantine", "list")["groups"]
    assert (group["ref"], group["count"], group["state"]) == ("data:train@2", 30, "quarantined")
    assert bare.seal("data", "quarantine", "show", "train@2")[0] == 1  # team: it takes a grant
    code, body, talk = bare.seal("data", "check", "train@2")
    assert (code, body["groups"][0]["carriers"]) == (1, list(range(400, 430)))
    assert (body["groups"][0]["pattern"], body["groups"][0]["lines"]) == ("", [])
    assert "patterns and values are not shown" in talk
    made = bare.ok("data", "quarantine", "reject", "train@2", *REASON)
    assert (made["ref"], made["removed"]) == ("data:train@3", 30)
    assert (bare.root / "data/train.csv").read_text() == "x,feed,label\n" + clean
    checked = bare.ok("data", "check", "train@3")
    assert checked["verdict"] == "nothing-found"
    assert checked["would_have_seen"][0]["family"] == "flood"
    code, body, _ = bare.seal(*RUN)
    assert "poison" not in body.get("error", {}).get("rule", "")
    log = bare.ok("log", "show", "--all")["entries"]
    assert "FEED" not in json.dumps([entry.get("predicate") for entry in log])


@needs_room
def test_in_solo_the_finding_warns_and_the_run_goes_on(project, worker):
    leave(worker, base_report(200, range(10)))
    code, body, talk = project.seal("run", "--", "python", "train.py")
    assert code == 0
    assert body["runs"][0]["screened"][0]["verdict"] == "found"
    assert any(line.startswith("poison.open") for line in body["runs"][0]["warnings"])
    assert "FOUND 1 group over 10 records" in talk


def test_show_names_the_records_and_their_cells(project, worker):
    leave(worker, base_report(200, [3, 5]))
    project.seal("data", "check", "train")
    shown = project.ok("data", "quarantine", "show", "train@1")["groups"][0]
    assert shown["carriers"] == [3, 5]
    assert shown["records"][0] == {"record": 3, "x": "3", "label": "1"}


def test_the_same_version_is_asked_about_once(project, worker):
    assert project.ok("data", "check", "train")["fresh"] is True
    assert project.ok("data", "check", "train")["fresh"] is False
    assert len(worker.asked) == 1
    assert project.ok("data", "check", "train", "--again")["fresh"] is True
    assert len(worker.asked) == 2


@pytest.mark.parametrize("line", ["alpha = 0.02", "seed = 3", 'detectors = ["duplicates"]'])
def test_another_question_is_asked_again(project, worker, line):
    project.ok("data", "check", "train")
    settings = (project.root / "seal.toml").read_text()
    project.write("seal.toml", f"{settings}\n[screening]\n{line}\n")
    leave(worker, base_report(200))
    assert project.ok("data", "check", "train")["fresh"] is True


def test_other_detectors_are_asked_again(project, worker, monkeypatch):
    project.ok("data", "check", "train")
    monkeypatch.setattr(screenwork, "code_digest", lambda: of_bytes(b"other detectors"))
    assert project.ok("data", "check", "train")["fresh"] is True
    assert len(worker.asked) == 2


def test_turning_it_off_is_in_the_log_and_stops_a_team(bare, worker):
    team(bare)
    settings = (bare.root / "seal.toml").read_text()
    bare.write("seal.toml", f"{settings}\n[screening]\nenabled = false\n")
    code, body, _ = bare.seal("data", "check", "train")
    assert (code, body["verdict"], body["why"]) == (1, "unscreened", "screening.off")
    assert worker.asked == []
    code, body, _ = bare.seal(*RUN)
    assert code == 1
    assert "data.unscreened" in body["error"]["rule"]
    assert "screening.off" in body["error"]["why"]


def test_a_version_of_the_last_screening_is_the_reference_of_the_next(project, worker):
    project.ok("data", "check", "train")
    text = (project.root / "data/train.csv").read_text()
    project.write("data/train.csv", text + "7,1\n")
    add(project)
    leave(worker, base_report(201))
    project.ok("data", "check", "train")
    assert [bool(one["reference"]) for one in worker.asked] == [False, True]


def test_release_takes_two_people_in_team_and_a_request_is_left(bare, worker):
    team(bare)
    leave(worker, base_report(200, range(10)))
    code, body, _ = bare.seal("data", "check", "train")
    assert code == 1
    name = body["groups"][0]["id"][:12]
    code, body, _ = bare.seal("data", "quarantine", "release", "train@1", name, *REASON)
    assert code == 1
    assert body["error"]["rule"] == "quarantine.second-person"
    assert "seal access approve" in body["error"]["hint"]
    assert bare.ok("data", "quarantine", "list")["groups"][0]["state"] == "quarantined"


def test_a_released_pattern_lets_the_next_version_through(project, worker):
    leave(worker, base_report(200, range(10)))
    assert project.seal("data", "check", "train")[0] == 1
    code, body, _ = project.seal("data", "quarantine", "release", "train@1", "--pattern", "nope")
    assert code == 2
    assert "copies:abc" in body["error"]["why"]
    project.ok("data", "quarantine", "release", "train@1", "--pattern", "copies:abc", *REASON)
    project.write("data/train.csv", (project.root / "data/train.csv").read_text() + "7,1\n")
    add(project)
    leave(worker, base_report(201, range(11)))
    checked = project.ok("data", "check", "train@2")
    assert checked["groups"][0]["state"] == "released"


def test_no_move_without_a_reason_or_twice(project, worker):
    leave(worker, base_report(200, range(10)))
    project.seal("data", "check", "train")
    assert project.seal("data", "quarantine", "reject", "train@1")[0] == 2
    project.ok("data", "quarantine", "reject", "train@1", *REASON)
    code, body, _ = project.seal("data", "quarantine", "reject", "train@1", *REASON)
    assert (code, body["error"]["what"]) == (2, "no group was named")


def test_the_page_holds_no_script_and_escapes_what_it_quotes(project, worker):
    made = base_report(200, range(10))
    made["groups"][0]["shown"] = {
        "pattern": "<script>alert(1)</script>",
        "lines": ["</pre><img src=x onerror=alert(2)>"],
        "picture": "previews/a.png",
    }
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (8).to_bytes(4, "big") * 2 + b"rest"
    worker.leaves = lambda: {"report.json": json.dumps(made).encode(), "previews/a.png": png}
    project.seal("data", "check", "train", "--html", "found.html")
    page = (project.root / "found.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png;base64,") == 1
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


# -- workers that lie, crash or are cut short -------------------------------------------------


@pytest.mark.parametrize(
    "rule", ["jail.failed", "jail.timeout", "jail.memory", "jail.output", "jail.no-sandbox"]
)
def test_a_worker_that_does_not_end_well_is_a_screening_that_failed(bare, worker, rule):
    team(bare)

    def ends() -> Mapping[str, bytes]:
        raise Refused("it ended badly", rule=rule)

    worker.leaves = ends
    code, body, _ = bare.seal("data", "check", "train")
    assert (code, body["verdict"], body["why"]) == (1, "failed", rule)
    code, body, _ = bare.seal(*RUN)
    assert code == 1
    assert "screening.failed" in body["error"]["rule"]
    leave(worker, base_report(200))
    assert bare.ok("data", "check", "train")["verdict"] == "nothing-found"


def group_of(**edits: Any) -> Callable[[dict[str, Any]], None]:
    return lambda made: made["groups"][0].update(edits)


def detector_of(**edits: Any) -> Callable[[dict[str, Any]], None]:
    return lambda made: made["detectors"][0].update(edits)


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another record count": lambda made: made.update(records=199),
    "more unread than there are": lambda made: made.update(unread=201),
    "a carrier that is no record": group_of(carriers=[*range(9), 200]),
    "carriers twice": group_of(carriers=[1, 1, 2]),
    "no carriers": group_of(carriers=[]),
    "fewer carriers than it must have": group_of(carriers=list(range(10)), count=9),
    "a small p that is not significant": group_of(significant=False),
    "a large p that is significant": group_of(p_value=0.5),
    "a p that is none": group_of(p_value=2.0),
    "a stranger's group": group_of(detector="nobody"),
    "an unknown field": group_of(surplus=1),
    "no detector": lambda made: made.update(detectors=[], groups=[]),
    "a detector twice": lambda made: made["detectors"].append(made["detectors"][0]),
    "more of the error than there is": detector_of(alpha=0.5),
    "another version": lambda made: made.update(version=2),
    "a canary nobody asked for": lambda made: made.update(
        canaries=[{"family": "made-up", "smallest": 5, "counts": []}]
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_report_that_contradicts_itself_is_a_screening_that_failed(project, worker, lie):
    made = base_report(200, range(10))
    LIES[lie](made)
    leave(worker, made)
    code, body, _ = project.seal("data", "check", "train")
    assert (code, body["verdict"], body["why"]) == (1, "failed", "screening.report")
    assert body["groups"] == []


@pytest.mark.parametrize(
    "data", [b"", b"not json", b"[]", b"\xff\xfe", b'{"version": 1', b"[" * 9999]
)
def test_nonsense_is_a_screening_that_failed(project, worker, data):
    leave(worker, data)
    assert project.seal("data", "check", "train")[1]["why"] == "screening.report"


def test_no_report_at_all_is_a_screening_that_failed(project, worker):
    worker.leaves = dict
    assert project.seal("data", "check", "train")[1]["why"] == "screening.report"


def test_a_detector_that_failed_fails_the_screening_and_what_others_found_stays(project, worker):
    made = base_report(200, range(10))
    made["detectors"][0]["error"] = "ZeroDivisionError at score:12"
    leave(worker, made)
    code, body, _ = project.seal("data", "check", "train")
    assert (code, body["verdict"], body["why"]) == (1, "failed", "detector:duplicates")
    assert len(body["groups"]) == 1


def test_a_key_that_could_quote_a_value_stands_in_the_log_as_its_digest(project, worker):
    made = base_report(200, range(10))
    made["groups"][0]["key"] = "name = Ada Lovelace"
    leave(worker, made)
    project.seal("data", "check", "train")
    text = json.dumps(project.statements())
    assert "Lovelace" not in text
    assert project.ok("data", "quarantine", "list")["groups"][0]["key"].startswith("sha256:")


def test_hundreds_of_groups_fit_into_one_statement(project, worker):
    made = base_report(200, range(10))
    one = made["groups"][0]
    made["groups"] = [
        {**one, "key": f"copies:{n}", "carriers": [n % 190, 190 + n % 10], "count": 2}
        for n in range(500)
    ]
    leave(worker, made)
    code, body, _ = project.seal("data", "check", "train")
    assert code == 1
    assert len(body["groups"]) == 65
    assert any(group["key"] == "more:436" for group in body["groups"])


def test_details_with_fewer_carriers_than_were_signed_are_refused(project, worker):
    leave(worker, base_report(200, range(10)))
    project.seal("data", "check", "train")
    workspace, dataset = stored()
    looked = screening.last_look(workspace, dataset)
    kept = screening.details_of(workspace, looked)
    assert kept is not None
    fewer = msgspec.structs.replace(kept.groups[0], carriers=(0, 1))
    forged = msgspec.structs.replace(kept, groups=(fewer,))
    swapped = screendetails.put(workspace.store, dataset.scope, forged)
    said = msgspec.structs.replace(looked.said, details=swapped)
    with pytest.raises(VerifyError) as refused:
        screendetails.load(workspace.store, dataset.scope, dataset.digest, said)
    assert refused.value.rule == "screening.details-changed"
    assert looked.said.groups[0].carriers == carriers_digest(range(10))
    with pytest.raises(VerifyError, match="not what was signed"):
        screendetails.load(workspace.store, dataset.scope, of_bytes(b"other"), looked.said)


def test_only_small_png_files_that_a_group_names_are_kept():
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    good = head + (8).to_bytes(4, "big") + (9).to_bytes(4, "big")
    found = {
        "good": good,
        "huge": head + (1 << 20).to_bytes(4, "big") * 2,
        "long": good + bytes(2 << 20),
        "svg": b"<svg onload=alert(1)>",
        "unnamed": good,
    }
    assert screendetails.pictures(found, ["good", "huge", "long", "svg", "gone", ""]) == {
        "good": good
    }


# -- the version without them -----------------------------------------------------------------


def test_records_of_csv_are_told_apart_with_quotes_and_line_breaks_in_them():
    data = b'a,b\r\n1,"x\r\ny"\r\n2,"say ""hi"""\r\n\r\n3,z'
    assert list(cutting.csv_records(data)) == [
        b"a,b\r\n",
        b'1,"x\r\ny"\r\n',
        b'2,"say ""hi"""\r\n\r\n',
        b"3,z",
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "files", "several"])
def test_the_next_version_lacks_just_those_records(bare, worker, kind):
    rows = [{"x": n, "t": f'say "{n}"\nagain'} for n in range(20)]
    if kind == "jsonl":
        bare.write("d.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        path = "d.jsonl"
    elif kind == "parquet":
        import pyarrow as pa

        pq.write_table(pa.Table.from_pylist(rows), bare.root / "d.parquet")
        path = "d.parquet"
    elif kind == "files":
        for n in range(20):
            bare.write(f"d/{'ab'[n % 2]}/{n:02}.txt", f"text {n}")
        path = "d"
    else:
        quoted = [f'{n},"say ""{n}""\nagain"\n' for n in range(20)]
        if kind == "csv":
            bare.write("d.csv", "x,t\n" + "".join(quoted))
            path = "d.csv"
        else:
            bare.write("d/1.csv", "x,t\n" + "".join(quoted[:3]))
            bare.write("d/2.csv", "x,t\n" + "".join(quoted[3:]))
            path = "d"
    bare.ok("init")
    bare.ok("data", "add", path, "--name", "d", "--reason", "first")
    leave(worker, base_report(20, [0, 1, 2, 19]))
    bare.seal("data", "check", "d")
    made = bare.ok("data", "quarantine", "reject", "d@1", *REASON)
    assert made["ref"] == "data:d@2"
    shown = bare.ok("data", "show", "d@2")
    assert (shown["rows"], shown["change"]) == (16, {"added": 0, "removed": 4, "edited": 0})
    assert shown["parents"] == ["data:d@1"]
    assert bare.ok("data", "verify", "d@1")["rows"] == 20


def test_a_file_that_was_edited_since_is_not_written_over(project, worker):
    leave(worker, base_report(200, range(10)))
    project.seal("data", "check", "train")
    edited = (project.root / "data/train.csv").read_text() + "7,1\n"
    project.write("data/train.csv", edited)
    code, body, _ = project.seal("data", "quarantine", "reject", "train@1", *REASON)
    assert (code, "was changed after" in body["error"]["what"]) == (2, True)
    assert (project.root / "data/train.csv").read_text() == edited
    add(project)
    code, body, _ = project.seal("data", "quarantine", "reject", "train@1", *REASON)
    assert (code, "not the newest" in body["error"]["what"]) == (2, True)


def test_a_version_is_not_emptied(project, worker):
    leave(worker, base_report(200, range(200)))
    project.seal("data", "check", "train")
    code, body, _ = project.seal("data", "quarantine", "reject", "train@1", *REASON)
    assert (code, "would be left" in body["error"]["what"]) == (2, True)


def test_shredding_a_version_destroys_what_was_found_in_it(project, worker):
    leave(worker, base_report(200, range(10)))
    project.seal("data", "check", "train")
    project.write("data/train.csv", "x,label\n" + "".join(f"{i * 3},1\n" for i in range(50)))
    add(project)
    workspace, dataset = stored()
    looked = screening.last_look(workspace, dataset)
    assert screening.details_of(workspace, looked) is not None
    project.ok("data", "shred", "train@1", "--reason", "asked to")
    workspace, dataset = stored()
    with pytest.raises(Refused):
        screening.details_of(workspace, screening.last_look(workspace, dataset))


def test_garbage_collection_keeps_what_was_found(project, worker):
    leave(worker, base_report(200, range(10)))
    project.seal("data", "check", "train")
    project.ok("gc", "--yes")
    workspace, dataset = stored()
    assert screening.details_of(workspace, screening.last_look(workspace, dataset)) is not None
