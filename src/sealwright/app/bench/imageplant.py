"""OCI layouts made by hand: a sound one, and forty that have one planted defect each."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from sealwright.core.ports import Signer
from sealwright.evidence import dsse

MADE = "2026-11-01T00:00:00Z"
BUILDER = "https://builder.example/pipeline"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TOKEN = "glpat-" + "x7Kq9mZ2bV4nR8tW1yLs"
_AWS = "AKIA" + "Q3EGRIHCTTV5KJ7W"

Files = dict[str, "File"]


class File(msgspec.Struct, frozen=True):
    """A path of a layer. ``kind`` as tar has it: 0 file, 2 link, 3 device, 5 folder."""

    data: bytes = b""
    mode: int = 0o644
    kind: str = "0"
    link: str = ""
    capability: bool = False


class Plan(msgspec.Struct):
    """An image to be written; a defect changes one thing of a sound one."""

    layers: list[Files]
    user: str = "65532"
    env: tuple[str, ...] = ("PATH=/usr/bin",)
    created: str | None = MADE
    history: tuple[str, ...] = ("COPY app /app",)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    signed: str = "good"
    provenance: str = "good"
    bill: str = "good"
    packing: str = "gzip"
    pinned: str = "same"
    rebuilt: str = "same"
    after: Callable[[Path], None] | None = None


def sound() -> Plan:
    """An image that loses no point."""
    base: Files = {
        "etc": File(mode=0o755, kind="5"),
        "etc/os-release": File(b'ID=debian\nVERSION_ID="12"\n'),
        "tmp": File(mode=0o1777, kind="5"),
    }
    app: Files = {
        "app/serve.py": File(b"print('ready')\n", 0o755),
        "usr/lib/python3/site-packages/calm-2.0.dist-info/METADATA": File(
            b"Metadata-Version: 2.1\nName: calm\nVersion: 2.0\n"
        ),
    }
    return Plan([base, app])


def _file(path: str, file: File, layer: int = 1) -> Callable[[Plan], None]:
    def change(plan: Plan) -> None:
        plan.layers[layer][path] = file

    return change


def _set(**values: Any) -> Callable[[Plan], None]:
    def change(plan: Plan) -> None:
        for name, value in values.items():
            setattr(plan, name, value)

    return change


def _deleted(path: str, data: bytes) -> Callable[[Plan], None]:
    """A file of one layer that the next one deletes."""

    def change(plan: Plan) -> None:
        folder, _, name = path.rpartition("/")
        plan.layers[0][path] = File(data)
        plan.layers[1][f"{folder}/.wh.{name}".lstrip("/")] = File()

    return change


def _package(name: str, version: str) -> File:
    return File(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode())


def _flip(root: Path) -> None:
    """One byte of the largest blob."""
    path = max((root / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _lose(root: Path) -> None:
    max((root / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size).unlink()


_SITE = "usr/lib/python3/site-packages"
_SECRET_FILE = File(f"token = '{_TOKEN}'\n".encode())

DEFECTS: Mapping[str, tuple[str, Callable[[Plan], None]]] = {
    "no signature": ("signature", _set(signed="")),
    "a signature by another key": ("signature", _set(signed="other")),
    "a signature over another image": ("signature", _set(signed="moved")),
    "a signature whose bytes were changed": ("signature", _set(signed="broken")),
    "no provenance": ("attestations", _set(provenance="")),
    "provenance by another key": ("attestations", _set(provenance="other")),
    "provenance of another image": ("attestations", _set(provenance="moved")),
    "provenance of an unknown builder": ("attestations", _set(provenance="builder")),
    "provenance whose bytes were changed": ("attestations", _set(provenance="broken")),
    "no bill of materials": ("attestations", _set(bill="")),
    "a bill by another key": ("attestations", _set(bill="other")),
    "a vulnerable package": (
        "vulnerabilities", _file(f"{_SITE}/frail-1.0.dist-info/METADATA", _package("frail", "1.0")),
    ),
    "a vulnerable package in the base": (
        "vulnerabilities", _file("opt/x/Frail-1.1.dist-info/METADATA", _package("Frail", "1.1"), 0),
    ),
    "a package whose version is none": (
        "vulnerabilities", _file(f"{_SITE}/odd-x.dist-info/METADATA", _package("odd", "from-git")),
    ),
    "packages that no index speaks of": (
        "vulnerabilities",
        _file("var/lib/dpkg/status",
              File(b"Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2\n\n"), 0),
    ),
    "an alpine database": (
        "vulnerabilities", _file("lib/apk/db/installed", File(b"P:musl\nV:1.2.3\n\n"), 0),
    ),
    "no known base": ("base", _file("etc/os-release", File(b""), 0)),
    "made long ago": ("base", _set(created="2024-01-01T00:00:00Z")),
    "made at no time": ("base", _set(created=None)),
    "made in the future": ("base", _set(created="2027-06-01T00:00:00Z")),
    "runs as root": ("privileges", _set(user="")),
    "runs as uid 0 by number": ("privileges", _set(user="0:1000")),
    "a setuid program": ("privileges", _file("usr/local/bin/up", File(b"x", 0o4755))),
    "a setgid program": ("privileges", _file("usr/local/bin/up", File(b"x", 0o2755))),
    "a folder everybody writes": ("privileges", _file("srv", File(mode=0o777, kind="5"))),
    "a file everybody writes": ("privileges", _file("app/conf", File(b"a", 0o666))),
    "a file capability": ("privileges", _file("app/net", File(b"x", 0o755, capability=True))),
    "a device": ("privileges", _file("dev/mem", File(mode=0o600, kind="3"))),
    "a token in a file": ("secrets", _file("app/client.py", _SECRET_FILE)),
    "a token in the base": ("secrets", _file("root/.conf", _SECRET_FILE, 0)),
    "a token that a later layer deletes": ("secrets", _deleted("etc/t", _SECRET_FILE.data)),
    "a key in the environment": ("secrets", _set(env=(f"AWS_ACCESS_KEY_ID={_AWS}",))),
    "a token in the history": ("secrets", _set(history=(f"RUN curl -H 'TOKEN: {_TOKEN}'",))),
    "a token in base64": (
        "secrets", _file("app/k.yaml", File(b"k: " + base64.b64encode(f"it is {_TOKEN}".encode()))),
    ),
    "pinned to another digest": ("pinned", _set(pinned="other")),
    "named by no digest": ("pinned", _set(pinned="")),
    "built again, and different": ("rebuilt", _set(rebuilt="other")),
    "a shell": ("small", _file("bin/sh", File(b"x", 0o755), 0)),
    "a compiler": ("small", _file("usr/bin/gcc", File(b"x", 0o755), 0)),
    "a package manager": ("small", _file("usr/bin/apt", File(b"x", 0o755), 0)),
}  # fmt: skip
"""Forty defects: the signal that must lose points, and the change."""

BROKEN: Mapping[str, Callable[[Plan], None]] = {
    "a byte of a layer is flipped": _set(after=_flip),
    "a layer is missing": _set(after=_lose),
}
"""What is no image any more: refused, not scored."""


class Keys(msgspec.Struct, frozen=True):
    """Whose signatures count, and somebody else's."""

    trusted: Signer
    other: Signer


def plant(change: Callable[[Plan], None]) -> Plan:
    """A sound plan with one thing changed."""
    plan = sound()
    change(plan)
    return plan


def write(plan: Plan, root: Path, keys: Keys) -> str:
    """Write a layout; returns the image's digest."""
    (root / "blobs" / "sha256").mkdir(parents=True)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    layers = [_layer(root, files, plan.packing) for files in plan.layers]
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": plan.user, "Env": list(plan.env)},
        "history": [{"created_by": line} for line in plan.history],
    }
    if plan.created is not None:
        config["created"] = plan.created
    settings = _put(root, _dump(config), "application/vnd.oci.image.config.v1+json")
    manifest = _manifest(root, settings, layers, annotations=plan.annotations)
    image = str(manifest["digest"]).removeprefix("sha256:")
    rows = [{**manifest, "annotations": {"org.opencontainers.image.ref.name": "app"}}]
    rows += _beside(plan, root, manifest, keys)
    (root / "index.json").write_bytes(_dump({"schemaVersion": 2, "manifests": rows}))
    if plan.after is not None:
        plan.after(root)
    return image


def _beside(plan: Plan, root: Path, image: dict[str, Any], keys: Keys) -> list[dict[str, Any]]:
    rows = []
    other = {**image, "digest": "sha256:" + "0" * 64}
    if plan.signed:
        about = other if plan.signed == "moved" else image
        payload = _dump({"critical": {"image": {"docker-manifest-digest": about["digest"]}}})
        signer = keys.other if plan.signed == "other" else keys.trusted
        signature = signer.sign(payload)
        if plan.signed == "broken":
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        layer = _put(root, payload, "application/vnd.dev.cosign.simplesigning.v1+json")
        text = base64.b64encode(signature).decode()
        layer["annotations"] = {"dev.cosignproject.cosign/signature": text}
        rows.append(_referrer(root, image, layer))
    provenance = {"runDetails": {"builder": {"id": BUILDER}}}
    if plan.provenance == "builder":
        provenance = {"runDetails": {"builder": {"id": "https://elsewhere.example"}}}
    for how, kind, predicate in (
        (plan.provenance, "https://slsa.dev/provenance/v1", provenance),
        (plan.bill, "https://cyclonedx.org/bom", {"bomFormat": "CycloneDX"}),
    ):
        if how:
            about = other if how == "moved" else image
            signer = keys.other if how == "other" else keys.trusted
            rows.append(
                _referrer(root, image, _attestation(root, about, kind, predicate, signer, how))
            )
    return rows


def _attestation(
    root: Path, about: dict[str, Any], kind: str, predicate: Any, signer: Signer, how: str
) -> dict[str, Any]:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": about["digest"].removeprefix("sha256:")}}],
        "predicateType": kind,
        "predicate": predicate,
    }
    envelope = dsse.sign(_dump(statement), [signer])
    if how == "broken":
        document = json.loads(envelope)
        document["payload"] = base64.b64encode(_dump({**statement, "more": 1})).decode()
        envelope = _dump(document)
    return _put(root, envelope, "application/vnd.dsse.envelope.v1+json")


def _referrer(root: Path, image: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    empty = _put(root, b"{}", "application/vnd.oci.empty.v1+json")
    return _manifest(root, empty, [layer], subject=image)


def _manifest(
    root: Path, config: dict[str, Any], layers: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    body = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers, **more}
    return _put(root, _dump(body), _MANIFEST)


def _layer(root: Path, files: Files, packing: str) -> dict[str, Any]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.mode, member.type = file.mode, file.kind.encode()
            member.size, member.linkname = len(file.data), file.link
            if file.capability:
                member.pax_headers = {"SCHILY.xattr.security.capability": "\x01"}
            archive.addfile(member, io.BytesIO(file.data))
    data = stream.getvalue()
    kind = "application/vnd.oci.image.layer.v1.tar"
    if packing == "zstd":
        data = import_module("zstandard").ZstdCompressor().compress(data)
    elif packing == "gzip":
        data = gzip.compress(data, mtime=0)
    return _put(root, data, f"{kind}+{packing}" if packing else kind)


def _put(root: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (root / "blobs" / "sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _dump(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
