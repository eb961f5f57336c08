"""What the files of an image say: packages, privileges, secrets, and what nobody needs there."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from sealwright.supply import audit as audits
from sealwright.supply import ecosystem, ospackages, secretscan
from sealwright.supply.audit import Installed
from sealwright.supply.index import Index
from sealwright.supply.oci import Entry, Image
from sealwright.supply.ospackages import Package
from sealwright.supply.osv import normal

_SHELLS = ("bin/sh", "bin/bash", "bin/ash", "bin/dash", "bin/zsh", "bin/busybox")
_COMPILERS = ("gcc", "cc", "g++", "clang", "make", "ld", "rustc", "go", "javac", "tcc")
_MANAGERS = ("apt", "apt-get", "dpkg", "apk", "yum", "dnf", "rpm", "pip", "pip3", "npm")
_SETUID_KNOWN = frozenset(
    {
        "bin/mount", "bin/su", "bin/umount", "sbin/unix_chkpwd", "usr/bin/chage", "usr/bin/chfn",
        "usr/bin/chsh", "usr/bin/expiry", "usr/bin/gpasswd", "usr/bin/mount", "usr/bin/newgrp",
        "usr/bin/passwd", "usr/bin/su", "usr/bin/umount", "usr/bin/wall", "usr/sbin/unix_chkpwd",
    }
)  # fmt: skip
_LARGE_BYTES = 1 << 30
_MANY_PACKAGES = 250
_ROOT = frozenset({"", "0", "root", "0:0", "root:root"})
_WHERE = 160


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that was seen: its rule, and where. Never a secret's value."""

    rule: str
    where: str


def packages(files: Mapping[str, Entry]) -> tuple[Package, ...]:
    """Everything dpkg, apk and pip say is installed."""
    found: list[Package] = []
    for path, entry in files.items():
        text = (entry.data or b"").decode("utf-8", "replace")
        if path.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO")):
            found += _python(text)
        else:
            found += ospackages.listed(path, text)
    return tuple(sorted(set(found), key=lambda one: (one.system, one.name, one.version)))


def _python(text: str) -> Iterator[Package]:
    head = text.split("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.split("\n") if ": " in line)
    if "Name" in fields:
        yield Package("pip", normal(fields["Name"]), fields.get("Version", ""))


def vulnerable(
    found: Sequence[Package], files: Mapping[str, Entry], index: Index
) -> tuple[tuple[Found, ...], int, audits.Rank]:
    """Advisories that hold; how many packages nothing here speaks of; the worst rank."""
    ours = [Installed(one.name, one.version) for one in found if one.system == "pip"]
    done = audits.audit(ours, index, ())
    where = ecosystem.of_release(*ospackages.release(files))
    others = [one for one in found if one.system != "pip"]
    judged, unsure = ospackages.vulnerable(others, where, index)
    hits = (
        *((hit.package, hit.version, hit.id, hit.rank) for hit in done.of("vulnerable")),
        *((f"{where} {hit.package}", hit.version, hit.id, hit.rank) for hit in judged),
    )
    ranks = {rank for *_, rank in hits}
    worst: audits.Rank = next((rank for rank in audits.RANKS if rank in ranks), "low")
    told = tuple(
        Found("image.vulnerable", f"{name} {version}: {id_} ({rank})"[:_WHERE])
        for name, version, id_, rank in hits
    )
    return told, unsure + len(done.unsure), worst


def os_release(files: Mapping[str, Entry]) -> str:
    """``ID VERSION_ID`` of the image's os-release; empty where it has none."""
    return " ".join(ospackages.release(files)).strip()


def privileges(image: Image, files: Mapping[str, Entry]) -> tuple[Found, ...]:
    """Root, setuid beyond the usual, world-writable folders and files, capabilities, devices."""
    settings = image.config.get("config") or {}
    user = str(settings.get("User", "")) if isinstance(settings, dict) else ""
    found = []
    if user in _ROOT or user.startswith(("0:", "root:")):
        found.append(Found("image.root", f"User is {user!r}"))
    for path, entry in sorted(files.items()):
        where = path[:_WHERE]
        if entry.kind == "file" and entry.mode & (stat.S_ISUID | stat.S_ISGID):
            if path not in _SETUID_KNOWN:
                found.append(Found("image.setuid", where))
        elif entry.kind == "special":
            found.append(Found("image.device", where))
        if entry.mode & stat.S_IWOTH and entry.kind != "link":
            if entry.kind != "folder" or not entry.mode & stat.S_ISVTX:
                found.append(Found("image.world-writable", where))
        if entry.capability:
            found.append(Found("image.capability", where))
    return tuple(found)


def secrets(image: Image, key: bytes, waived: frozenset[str]) -> tuple[Found, ...]:
    """Credentials in any layer, also in files that a later layer deletes, in Env and history."""
    found = (
        Found("image.secret", f"{hit.place}: {hit.pattern}"[:_WHERE])
        for place, data in _looked_at(image)
        for hit in secretscan.scan(place, data, key).hits
        if hit.fingerprint not in waived
    )
    return tuple(dict.fromkeys(found))


def _looked_at(image: Image) -> Iterator[tuple[str, bytes]]:
    settings = image.config.get("config") or {}
    said = {name: settings.get(name) for name in ("Env", "Cmd", "Entrypoint", "Labels")}
    yield "config.env", "\n".join(_strings(said)).encode()
    yield "history.sh", "\n".join(_strings(image.config.get("history"))).encode()
    for entry in image.every():
        if entry.kind == "file" and entry.data:
            yield f"layer {entry.layer}: {entry.path}", entry.data


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{name}={item}" if isinstance(item, str) else json.dumps(name)
            if not isinstance(item, str):
                yield from _strings(item)


def surplus(image: Image, files: Mapping[str, Entry]) -> tuple[Found, ...]:
    """What a service does not need: shells, compilers, package managers, bulk."""
    found = []
    names = {path.rpartition("/")[2]: path for path in files if "bin/" in path}
    if shell := next((p for p in files if p.removeprefix("usr/") in _SHELLS), ""):
        found.append(Found("image.shell", shell))
    if compiler := next((names[n] for n in _COMPILERS if n in names), ""):
        found.append(Found("image.compiler", compiler))
    if manager := next((names[n] for n in _MANAGERS if n in names), ""):
        found.append(Found("image.package-manager", manager))
    size = sum(entry.size for entry in files.values())
    if size > _LARGE_BYTES:
        found.append(Found("image.large", f"{size >> 20} MiB unpacked"))
    if (count := len(packages(files))) > _MANY_PACKAGES:
        found.append(Found("image.many-packages", f"{count} packages"))
    return tuple(found)
