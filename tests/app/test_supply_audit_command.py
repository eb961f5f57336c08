"""`seal supply`: an index comes in, a vulnerable package is named, one waiver lets it through."""

import json
import sys
import zipfile

import pytest

ADVISORY = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-7"],
    "modified": "2026-11-20T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Frail"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ],
}
WAIVER = ("PYSEC-2026-1", "--package", "frail", "--versions", "==1.0", "--until", "+30d")


@pytest.fixture
def python(project, tmp_path):
    """A virtual environment with one frail package in it."""
    import venv

    home = tmp_path / "venv"
    venv.create(home, symlinks=True, with_pip=False)
    site = next((home / "lib").iterdir()) / "site-packages"
    info = site / "frail-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: frail\nVersion: 1.0\n")
    (info / "RECORD").write_text("frail.py,,\nfrail-1.0.dist-info/METADATA,,\n")
    (site / "frail.py").write_text("")
    assert sys.version_info >= (3, 11)
    return str(home / "bin" / "python")


@pytest.fixture
def advised(project, python):
    """A project whose code imports it, and an index that speaks of it."""
    project.write("train.py", "import frail\n")
    project.write("osv/PYSEC-2026-1.json", json.dumps(ADVISORY))
    project.write("osv/broken.json", "{")
    done = project.ok("supply", "advisories", "update", "--from", "osv")
    assert (done["advisories"], done["skipped"]) == (1, ["broken.json"])
    return project


def test_without_an_index_nothing_passes(project, python) -> None:
    code, body, _ = project.seal("supply", "audit", "--python", python)
    assert (code, body["advisories"]["rule"]) == (1, "supply.index-missing")
    assert [each["package"] for each in body["unknown"]] == ["frail"]


def test_a_vulnerable_package_is_named_with_its_fix(advised, python) -> None:
    code, body, _ = advised.seal("supply", "audit", "--python", python)
    (hit,) = body["hits"]
    assert (code, body["vulnerable"]) == (1, ["frail"])
    assert (hit["id"], hit["fixed"], hit["imported"]) == ("PYSEC-2026-1", "2.0", "yes")


def test_a_waiver_lets_it_through_and_ending_it_does_not(advised, python) -> None:
    waived = advised.ok("supply", "waive", *WAIVER, "--reason", "never called")
    body = advised.ok("supply", "audit", "--python", python)
    assert [hit["waiver"] for hit in body["hits"]] == [waived["request"]]
    advised.ok("supply", "waive", "--end", waived["request"], "--reason", "was wrong")
    code, body, _ = advised.seal("supply", "audit", "--python", python)
    assert (code, body["waivers_not_counted"][0]["why"]) == (1, "it was ended")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--until", "+91d"), "90 days"),
        (("--versions", ">=1"), "upper end"),
        (("--justification", "because"), "justification"),
    ],
)
def test_a_waiver_that_could_not_count_is_refused_at_once(advised, change, says) -> None:
    code, body, _ = advised.seal("supply", "waive", *WAIVER, *change, "--reason", "r")
    assert code == 2
    assert says in json.dumps(body)


def test_an_index_on_disk_that_is_not_the_signed_one_is_refused(advised, python) -> None:
    (file,) = (advised.root / ".seal" / "advisories").iterdir()
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code, body, _ = advised.seal("supply", "audit", "--python", python)
    assert (code, body["advisories"]["rule"]) == (1, "supply.index-corrupt")
    file.unlink()
    code, body, _ = advised.seal("supply", "advisories")
    assert (code, body["rule"]) == (1, "supply.index-missing")


def test_an_index_that_no_statement_names_is_refused(project) -> None:
    project.write(".seal/advisories/x.json.gz", "")
    code, body, _ = project.seal("supply", "advisories")
    assert (code, body["rule"]) == (1, "supply.index-unsigned")


def test_an_old_index_says_so_and_does_not_pass(project, python) -> None:
    old = {**ADVISORY, "modified": "2024-01-01T00:00:00Z", "affected": [*ADVISORY["affected"]]}
    project.write("osv/a.json", json.dumps(old))
    project.ok("supply", "advisories", "update", "--from", "osv")
    code, body, _ = project.seal("supply", "audit", "--python", python)
    assert (code, body["advisories"]["rule"]) == (1, "supply.index-stale")


def test_a_zip_is_read_like_a_folder(project) -> None:
    with zipfile.ZipFile(project.root / "all.zip", "w") as archive:
        archive.writestr("x/PYSEC-2026-1.json", json.dumps(ADVISORY))
    assert project.ok("supply", "advisories", "update", "--from", "all.zip")["packages"] == 1


@pytest.mark.parametrize("source", ["nowhere", "http://example.org/all.zip", "train.py"])
def test_a_source_that_is_none_is_one_clear_error(project, source) -> None:
    code, body, _ = project.seal("supply", "advisories", "update", "--from", source)
    assert (code, body["error"]["hint"] != "") == (2, True)


def test_sarif_names_the_line_of_the_lock_and_says_when_there_is_no_index(advised, python) -> None:
    advised.write("requirements.txt", "# pins\nFrail==1.0\n")
    code, _, _ = advised.seal("supply", "audit", "--python", python, "--sarif", "o.sarif")
    (one,) = json.loads((advised.root / "o.sarif").read_text())["runs"][0]["results"]
    place = one["locations"][0]["physicalLocation"]
    assert (code, one["ruleId"]) == (1, "advisory.PYSEC-2026-1")
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (
        "requirements.txt",
        2,
    )
    (file,) = (advised.root / ".seal" / "advisories").iterdir()
    file.unlink()
    advised.seal("supply", "audit", "--python", python, "--sarif", "o.sarif")
    found = json.loads((advised.root / "o.sarif").read_text())["runs"][0]["results"]
    assert [one["ruleId"] for one in found] == ["supply.unknown", "supply.index-missing"]
