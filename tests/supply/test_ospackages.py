"""Packages of dpkg and apk in an image, held against advisories of their own release."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from sealwright.app import advisorysource
from sealwright.app.bench import imageplant
from sealwright.app.bench.imageplant import File, Keys, Plan
from sealwright.app.bench.supply import images as bench
from sealwright.core.errors import BadInput
from sealwright.supply import audit as audits
from sealwright.supply import image as images
from sealwright.supply import index as indexes
from sealwright.supply.audit import Installed
from sealwright.supply.image import Signal
from sealwright.supply.index import Index
from sealwright.supply.oci import Layout
from sealwright.supply.ospackages import listed
from sealwright.vault.signers import Ed25519Signer

KEYS = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
STATUS = """Package: libssl3
Status: install ok installed
Source: openssl
Version: 3.0.11-1~deb12u2

Package: libc6
Status: install ok installed
Source: glibc (2.36-9)
Version: 2.36-9+b1

Package: gone
Status: deinstall ok config-files
Version: 1

"""
APK = "P:libcrypto3\nV:3.1.4-r1\no:openssl\n\nP:musl\nV:1.2.4-r2\no:musl\n\n"


def record(name: str, system: str, package: str, *events: dict[str, str], **more: object) -> object:
    affected = {
        "package": {"ecosystem": system, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, *events]}],
        "ecosystem_specific": more.pop("specific", {}),
    }
    return {"id": name, "modified": "2026-11-20T00:00:00Z", "affected": [affected], **more}


RECORDS = [
    record("PYSEC-1", "PyPI", "frail", {"fixed": "2.0"}),
    record(
        "DEBIAN-CVE-1", "Debian:12", "openssl", {"fixed": "3.0.13-1~deb12u1"}, upstream=["CVE-1"]
    ),
    record("DEBIAN-CVE-2", "Debian:12", "glibc", {"fixed": "2.36-9"}),
    record("DEBIAN-CVE-3", "Debian:11", "glibc", {"fixed": "9"}),
    record("ALPINE-CVE-1", "Alpine:v3.19", "openssl", {"fixed": "3.1.4-r2"}),
    record("ALPINE-CVE-2", "Alpine:v3.18", "musl", {"fixed": "9"}),
    record("UBUNTU-CVE-1", "Ubuntu:24.04:LTS", "openssl", {"fixed": "3.0.13-0ubuntu3.1"}),
    record("UBUNTU-CVE-2", "Ubuntu:Pro:24.04:LTS", "openssl", {"fixed": "9"}),
    record("MIXED-1", "npm", "left-pad"),
]  # fmt: skip


def source(root: Path, records: list[object], name: str = "all.zip") -> str:
    with zipfile.ZipFile(root / name, "w") as archive:
        for number, one in enumerate(records):
            archive.writestr(f"{number}.json", json.dumps(one))
    return str(root / name)


def index(root: Path, *systems: str, records: list[object] = RECORDS) -> Index:
    return advisorysource.read([source(root, records)], ecosystems=systems)


def signal(root: Path, release: str, files: dict[str, str], held: Index) -> Signal:
    plan: Plan = imageplant.sound()
    plan.layers[0]["etc/os-release"] = File(release.encode())
    for path, text in files.items():
        plan.layers[1][path] = File(text.encode())
    imageplant.write(plan, root / "x", KEYS)
    layout = Layout(root / "x")
    wanted = bench._wanted(KEYS)
    wanted = type(wanted)(wanted.keys, wanted.builders, held, wanted.now, wanted.key)
    scored = images.score(layout, layout.image(images.pick(layout)), wanted)
    return scored.signal("vulnerabilities")


DEBIAN, ALPINE = 'ID=debian\nVERSION_ID="12"\n', "ID=alpine\nVERSION_ID=3.19.1\n"


def test_a_binary_package_is_looked_up_by_the_source_it_was_built_of() -> None:
    found = {
        one.name: (one.source, one.source_version) for one in listed("var/lib/dpkg/status", STATUS)
    }
    assert found == {"libssl3": ("openssl", "3.0.11-1~deb12u2"), "libc6": ("glibc", "2.36-9")}
    (crypto, musl) = listed("lib/apk/db/installed", APK)
    assert (crypto.source, crypto.source_version, musl.source) == ("openssl", "3.1.4-r1", "musl")


def test_packages_of_debian_are_judged_by_their_own_release(tmp_path: Path) -> None:
    held = index(tmp_path, "Debian")
    said = signal(tmp_path, DEBIAN, {"var/lib/dpkg/status": STATUS}, held)
    assert [one.where for one in said.found] == [
        "Debian:12 openssl 3.0.11-1~deb12u2: DEBIAN-CVE-1 (high)"
    ]
    assert said.points == 0


def test_distroless_databases_are_read_too(tmp_path: Path) -> None:
    one, other = STATUS.split("\n\n")[:2]
    files = {
        "var/lib/dpkg/status.d/libssl3": one.replace("Status: install ok installed\n", ""),
        "var/lib/dpkg/status.d/libc6": other.replace("Status: install ok installed\n", ""),
        "var/lib/dpkg/status.d/libc6.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x\n",
    }
    said = signal(tmp_path, DEBIAN, files, index(tmp_path, "Debian:12"))
    assert [one.rule for one in said.found] == ["image.vulnerable"]
    assert said.says == "3 packages"


def test_packages_of_alpine_and_ubuntu_are_judged_too(tmp_path: Path) -> None:
    held = index(tmp_path, "Alpine:v3.19", "Ubuntu:24.04")
    said = signal(tmp_path, ALPINE, {"lib/apk/db/installed": APK}, held)
    assert [one.where for one in said.found] == [
        "Alpine:v3.19 openssl 3.1.4-r1: ALPINE-CVE-1 (high)"
    ]
    (tmp_path / "u").mkdir()
    status = "Package: openssl\nVersion: 3.0.13-0ubuntu3.1\n\n"
    release = 'ID=ubuntu\nVERSION_ID="24.04"\n'
    said = signal(tmp_path / "u", release, {"var/lib/dpkg/status": status}, held)
    assert (said.points, said.found) == (20, ())


@pytest.mark.parametrize(
    ("release", "systems"),
    [
        (DEBIAN, ()),  # an index of PyPI alone
        (DEBIAN, ("Debian:11",)),  # of another release
        ("ID=debian\n", ("Debian",)),  # a release that is not numbered yet
        ('ID=mint\nVERSION_ID="12"\n', ("Debian",)),
        (ALPINE, ("Alpine",)),  # a database of dpkg in an Alpine
    ],
)
def test_what_the_index_has_nothing_of_is_unknown(
    release: str, systems: tuple[str, ...], tmp_path: Path
) -> None:
    held = index(tmp_path, *systems)
    said = signal(tmp_path, release, {"var/lib/dpkg/status": STATUS}, held)
    assert [one.rule for one in said.found] == ["image.packages-unknown"]
    assert said.found[0].where.startswith("2 packages")
    assert said.points == 10


def test_a_version_that_has_no_order_is_unknown(tmp_path: Path) -> None:
    status = "Package: openssl\nVersion: from-git\n\n"
    said = signal(tmp_path, DEBIAN, {"var/lib/dpkg/status": status}, index(tmp_path, "Debian"))
    assert [one.rule for one in said.found] == ["image.packages-unknown"]


def test_what_debian_calls_unimportant_ranks_low_and_what_is_exploited_first(
    tmp_path: Path,
) -> None:
    minor = record("D-1", "Debian:12", "glibc", specific={"urgency": "unimportant"})
    held = index(tmp_path, "Debian", records=[minor, RECORDS[0]])
    said = signal(tmp_path, DEBIAN, {"var/lib/dpkg/status": STATUS}, held)
    assert (said.points, said.found[0].where) == (10, "Debian:12 glibc 2.36-9: D-1 (low)")
    known = indexes.build(index(tmp_path, "Debian").advisories, "x", "", exploited=["CVE-1"])
    (tmp_path / "k").mkdir()
    said = signal(tmp_path / "k", DEBIAN, {"var/lib/dpkg/status": STATUS}, known)
    assert said.found[0].where.endswith("(exploited)")


def test_an_index_of_a_distribution_alone_says_nothing_of_pypi(tmp_path: Path) -> None:
    held = index(tmp_path, "Debian", records=RECORDS[1:3])
    done = audits.audit([Installed("frail", "1.0")], held, ())
    assert done.unsure == ("frail",)


def test_a_record_about_both_does_not_show_that_either_database_was_brought(tmp_path: Path) -> None:
    both = record("CVE-9", "Debian:12", "glibc", {"fixed": "1"})
    both["affected"].append(RECORDS[0]["affected"][0])  # type: ignore[index]
    assert index(tmp_path, "Debian", records=[both, RECORDS[0]]).ecosystems == {"PyPI"}
    assert index(tmp_path, "Debian", records=[both, RECORDS[1]]).ecosystems == {"Debian:12"}


def test_two_sources_are_one_index_and_what_both_hold_alike_counts_once(tmp_path: Path) -> None:
    one = source(tmp_path, RECORDS[:2], "a.zip")
    other = source(tmp_path, RECORDS[1:3], "b.zip")
    held = advisorysource.read([one, other], ecosystems=["Debian"])
    assert [found.id for found in held.advisories] == ["DEBIAN-CVE-1", "DEBIAN-CVE-2", "PYSEC-1"]
    assert held.source == "a.zip and b.zip"
    changed = record("DEBIAN-CVE-1", "Debian:12", "openssl", {"fixed": "1"})
    with pytest.raises(BadInput, match="twice"):
        advisorysource.read([one, source(tmp_path, [changed], "c.zip")], ecosystems=["Debian"])


def test_an_ecosystem_that_is_not_read_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("Fedora", "Debian:sid", "Alpine:3.19", "Ubuntu:Pro:24.04:LTS"):
        with pytest.raises(BadInput, match="no ecosystem"):
            index(tmp_path, name)


def test_an_index_with_distributions_is_the_same_after_it_was_packed(tmp_path: Path) -> None:
    held = index(tmp_path, "Debian", "Alpine", "Ubuntu")
    data = indexes.pack(held)
    again = indexes.unpack(data, indexes.of_bytes(data))
    assert again == held
    assert again.ecosystems == {
        *("PyPI", "Debian:12", "Debian:11", "Alpine:v3.19", "Alpine:v3.18", "Ubuntu:24.04"),
    }
