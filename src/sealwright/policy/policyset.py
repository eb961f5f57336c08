"""The policy set: an artifact. Files, schema and profile, named together by one digest."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact, Json
from sealwright.evidence import jcs
from sealwright.policy import accessset, cedar, facts
from sealwright.policy.accessset import AccessRules

SCHEMA_FILE = "facts-v1.cedarschema"
ALWAYS_FILE = "always.cedar"
MEDIA_TYPE = "application/vnd.sealwright.policy-set+json"
MAX_TEXT_BYTES = 40_000
"""An activation carries the text, and an entry of the log holds 65,535 bytes of base64."""


class PolicySet(msgspec.Struct, frozen=True):
    """A loaded set. Whether it is in force is the ledger's business (``policy.activation``)."""

    profile: str
    files: tuple[tuple[str, str], ...]
    schema: str
    digest: Digest
    engine: cedar.Engine
    access: AccessRules | None = None

    @property
    def artifact(self) -> Artifact:
        """The set as statements name it."""
        return Artifact("policy-set", self.digest, MEDIA_TYPE)

    @property
    def schema_digest(self) -> Digest:
        """SHA-256 of the schema's text."""
        return of_bytes(self.schema.encode())

    @property
    def rank(self) -> int:
        """The profile as the fact ``profile`` has it."""
        return facts.PROFILES.index(self.profile)

    def listed(self) -> list[Json]:
        """Name, digest and text of every policy file."""
        return [
            {"name": name, "digest": of_bytes(text.encode()), "text": text}
            for name, text in self.files
        ]


def of_texts(texts: Mapping[str, str], schema: str, profile: str) -> PolicySet:
    """A set from its files' texts. Raises: BadInput (file, rule and fault)."""
    if profile not in facts.PROFILES:
        raise BadInput(f"no profile {profile!r}", why=f"known: {', '.join(facts.PROFILES)}")
    ordered = tuple(sorted(texts.items()))
    if sum(len(text.encode()) for _, text in ordered) > MAX_TEXT_BYTES:
        raise BadInput(f"the policies are longer than {MAX_TEXT_BYTES:,} bytes together")
    digests = {name: of_bytes(text.encode()) for name, text in ordered}
    digest = digest_of(digests, of_bytes(schema.encode()), profile)
    gates = tuple((name, text) for name, text in ordered if not accessset.is_access(name))
    engine = cedar.load(gates, schema)
    return PolicySet(profile, ordered, schema, digest, engine, accessset.of_texts(texts))


def digest_of(files: Mapping[str, Digest], schema: Digest, profile: str) -> Digest:
    """The set's name: SHA-256 over its profile and its files' and schema's digests."""
    listed: list[Json] = [{"name": n, "digest": d} for n, d in sorted(files.items())]
    identity: dict[str, Json] = {
        "files": listed,
        "profile": profile,
        "schema": schema,
        "version": facts.VERSION,
    }
    return of_bytes(jcs.canonical(identity))


def load(directory: Path, profile: str) -> PolicySet:
    """The set in a project's ``policies/``. Raises: BadInput."""
    schema_path = directory / SCHEMA_FILE
    schema = _text(schema_path)
    if schema != facts.schema():
        raise BadInput(
            f"{schema_path} is not the schema of {facts.VERSION}",
            why="policies are checked against the facts this version of Sealwright draws",
            hint=f"seal policy write --only {SCHEMA_FILE}",
        )
    texts = {path.name: _text(path) for path in sorted(directory.glob("*.cedar"))}
    texts |= {name: _text(path) for name, path in accessset.read(directory)}
    accessset.refuse_other_schema(texts)
    if other := sorted(texts.keys() & {f"{p}.cedar" for p in facts.PROFILES if p != profile}):
        raise BadInput(
            f"{directory / other[0]} belongs to another profile than {profile}",
            why="seal.toml and the policies must name one profile",
            hint="seal policy write",
        )
    return of_texts(texts, schema, profile)


def load_any(directory: Path) -> PolicySet:
    """The set in a directory that names its own profile by the file it holds for it.

    Where it holds none of the shipped names, evidence of any looser profile counts as
    looser. Raises: BadInput.
    """
    named = [profile for profile in facts.PROFILES if (directory / f"{profile}.cedar").exists()]
    return load(directory, named[-1] if named else facts.PROFILES[-1])


def shipped(profile: str) -> PolicySet:
    """The set that comes with Sealwright for a profile."""
    texts = {name: text for name, text in shipped_files(profile).items() if name != SCHEMA_FILE}
    return of_texts(texts, facts.schema(), profile)


def shipped_files(profile: str) -> dict[str, str]:
    """What ``seal init`` writes into ``policies/``: file name → text. Raises: BadInput."""
    if profile not in facts.PROFILES:
        raise BadInput(f"no profile {profile!r}", why=f"known: {', '.join(facts.PROFILES)}")
    source = package_files("sealwright.policy").joinpath("sets")
    names = (ALWAYS_FILE, f"{profile}.cedar", SCHEMA_FILE, *accessset.shipped_names(profile))
    return {name: source.joinpath(*name.split("/")).read_text("utf-8") for name in names}


def write(directory: Path, profile: str, only: str = "") -> list[Path]:
    """Write the shipped files that are not there yet; ``only`` names one to write anew.

    The files of another profile go, unless somebody edited them. Raises: BadInput.
    """
    wanted = shipped_files(profile)
    if only and only not in wanted:
        raise BadInput(f"no shipped policy file {only!r}", why=f"known: {', '.join(wanted)}")
    (directory / accessset.FOLDER).mkdir(parents=True, exist_ok=True)
    for other in facts.PROFILES:
        if other != profile:
            _take_away(directory, other)
    written = []
    for name, text in wanted.items():
        path = directory / name
        if (only == name) or (not only and not path.exists()):
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def _own_files(profile: str) -> tuple[str, str]:
    """The files that only this profile has."""
    return f"{profile}.cedar", f"{accessset.FOLDER}/{profile}.cedar"


def _take_away(directory: Path, profile: str) -> None:
    """Remove a profile's own files. Raises: BadInput (somebody edited one)."""
    shipped = shipped_files(profile)
    there = [name for name in _own_files(profile) if (directory / name).exists()]
    for name in there:
        if _text(directory / name) != shipped[name]:
            raise BadInput(
                f"{directory / name} was edited and belongs to the profile {profile}",
                hint=f"move what you added into another file of {directory.name}/",
            )
    for name in there:
        (directory / name).unlink()


def _text(path: Path) -> str:
    try:
        return small_file(path).decode("utf-8")
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing", hint="seal policy write") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8", why=f"at byte {error.start}") from error
