"""``seal.toml``: read once, in one place, then passed down.

Every problem is reported at once, each with its path; an unknown key is refused with the
key it was probably meant to be. The JSON Schema is :func:`json_schema`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from sealwright.core import refs, screensettings, servesettings, shape, watchsettings
from sealwright.core.amounts import size_bytes as size_bytes
from sealwright.core.amounts import span_s as span_s
from sealwright.core.errors import BadInput, BadSettings
from sealwright.core.reading import small_file
from sealwright.core.screensettings import ScreeningSettings as ScreeningSettings
from sealwright.core.sensitivity import Sensitivity
from sealwright.core.servesettings import ServeSettings as ServeSettings
from sealwright.core.shape import near
from sealwright.core.watchsettings import WatchSettings as WatchSettings

Profile = Literal["solo", "team", "regulated"]
Isolation = Literal["strict", "standard", "none"]
Gpu = Literal["off", "auto"]

_ISSUER = re.compile(r"https://[^\s?#]+|http://(127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s?#]*)?")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[data.NAME]``: a dataset and where the script reads it.

    ``source`` is the column that says who or what a record came from.
    """

    path: str
    label: str = ""
    key: str = ""
    reference: bool = False
    sensitivity: Sensitivity = ""
    source: str = ""


class SupplySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[supply]``: how old the index of advisories may be before it counts as none, what a
    model file may name, and whether a bill of materials is kept of every model a run registers."""

    advisories_days: int = 30
    bill: bool = True
    level: Literal["weights", "framework", "project"] = "framework"


class ComputeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``compute`` of a stage: what it plans to use at most. ``0`` is no plan for that.

    ``cpu`` is CPU time of all its processes together; ``gpu`` devices, -1 for no plan.
    ``enforce`` makes CPU time, memory and wall time limits of the room, not only findings.
    """

    cpu: str = "0s"
    memory: str = "0"
    wall: str = "0s"
    gpu: int = -1
    enforce: bool = False


class StageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[stage.NAME]``: one command. ``inputs`` are datasets; ``outputs`` become datasets.

    ``model`` is the output path (file or folder) that is the model, ``name`` what to call it.
    """

    cmd: list[str]
    inputs: list[str] = msgspec.field(default_factory=list)
    outputs: dict[str, str] = msgspec.field(default_factory=dict)
    model: str = ""
    name: str = ""
    after: list[str] = msgspec.field(default_factory=list)
    env: list[str] = msgspec.field(default_factory=list)
    network: list[str] = msgspec.field(default_factory=list)
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    compute: ComputeSettings = ComputeSettings()


class RoomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[room]``: the sandbox and its limits."""

    isolation: Isolation = "standard"
    gpu: Gpu = "off"
    memory: str = "auto"
    processes: int = 512
    time: str = "24h"
    output: str = "8GiB"
    files: int = 100_000
    log: str = "64MiB"
    network: list[str] = msgspec.field(default_factory=list)


class EgressSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[egress.NAME]``: more about one host; ``network`` of a room or stage is what grants it.

    ``methods`` empty is any; ``bytes`` counts up and down; ``tls``: the proxy carries it.
    """

    host: str
    ports: list[int] = msgspec.field(default_factory=lambda: [443])
    methods: list[str] = msgspec.field(default_factory=list)
    bytes: str = "64MiB"
    purpose: str = ""
    tls: bool = False
    private: bool = False


class ZoneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[zones]``: hosts that no training run may reach, whatever is granted."""

    production: list[str] = msgspec.field(default_factory=list)


class SecretSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[secrets]``: what happens to an output that holds the value of one."""

    outputs: Literal["hold", "allow"] = "hold"


class KeysSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[keys]``: where wrapping keys are: ``file``, ``service:unix:/path``,
    ``service:tls://HOST:PORT`` or ``pkcs11:/path/of/library.so?token=LABEL``."""

    kms: str = "file"


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[tls]``: who we are to services on other hosts. ``folder`` holds ca, cert and key."""

    folder: str = ""
    minimum: Literal["1.3", "1.2"] = "1.3"


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: where else the log is kept. ``witness`` is ``http://127.0.0.1:PORT``,
    ``https://HOST:PORT`` or ``unix:/path``; ``mirror`` a folder on another disk."""

    witness: str = ""
    mirror: str = ""


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[identity.NAME]``: an OpenID provider people and services sign in with.

    ``keys`` is a JWKS file (empty: fetched from the issuer), ``ca`` a PEM file to trust for it.
    """

    issuer: str
    client_id: str
    keys: str = ""
    ca: str = ""


class SplitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[splits.NAME]``: datasets that must have nothing in common. ``key`` names an entity's
    column, ``time`` a moment's; ``near`` 0 looks for equal records only; ``allow`` is the share
    of a side that may leak."""

    train: str = ""
    validation: str = ""
    test: str = ""
    key: str = ""
    time: str = ""
    near: float = 0.8
    allow: float = 0.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``seal.toml``."""

    profile: Profile = "solo"
    data: dict[str, Data] = msgspec.field(default_factory=dict)
    stage: dict[str, StageSettings] = msgspec.field(default_factory=dict)
    splits: dict[str, SplitSettings] = msgspec.field(default_factory=dict)
    room: RoomSettings = RoomSettings()
    log: LogSettings = LogSettings()
    keys: KeysSettings = KeysSettings()
    tls: TlsSettings = TlsSettings()
    watch: WatchSettings = WatchSettings()
    screening: ScreeningSettings = ScreeningSettings()
    egress: dict[str, EgressSettings] = msgspec.field(default_factory=dict)
    zones: ZoneSettings = ZoneSettings()
    secrets: SecretSettings = SecretSettings()
    identity: dict[str, ProviderSettings] = msgspec.field(default_factory=dict)
    supply: SupplySettings = SupplySettings()
    serve: ServeSettings = ServeSettings()


def load(path: Path) -> Settings:
    """Read and check a settings file. Raises: BadInput (no file), BadSettings."""
    try:
        raw = small_file(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing", hint="seal init") from error
    return parse(raw, str(path.name))


def parse(raw: bytes, where: str = "seal.toml") -> Settings:
    """Bytes in, settings out. Raises: BadSettings with every problem."""
    try:
        tree = tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise BadSettings(where, [f"$: not UTF-8 at byte {error.start}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(where, [f"$: {error}"]) from error
    except RecursionError as error:
        raise BadSettings(where, ["$: it nests too deep to be read"]) from error
    problems = list(shape.faults(tree, Settings, "$"))
    if not problems:
        settings = msgspec.convert(tree, Settings)
        problems = list(_semantics(settings))
        if not problems:
            return settings
    raise BadSettings(where, problems)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that editors can check ``seal.toml`` against."""
    return msgspec.json.schema(Settings)


def describe() -> Iterator[tuple[str, str]]:
    """Every key as ``(path, type)``; the documentation test walks this."""
    yield from _describe(Settings, "")


def _describe(kind: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, hint in get_type_hints(kind).items():
        path = f"{prefix}{name}"
        if get_origin(hint) is dict and shape.is_struct(get_args(hint)[1]):
            yield from _describe(get_args(hint)[1], f"{path}.NAME.")
        elif shape.is_struct(hint):
            yield from _describe(hint, f"{path}.")
        else:
            yield path, str(hint)


def _semantics(settings: Settings) -> Iterator[str]:
    for name, data in settings.data.items():
        yield from _named(f"$.data.{name}", name)
        if not data.path:
            yield f"$.data.{name}.path: is empty"
    for name, stage in settings.stage.items():
        yield from _named(f"$.stage.{name}", name)
        yield from _stage(settings, name, stage)
    yield from _splits(settings)
    yield from _limits(settings.room)
    yield from watchsettings.problems(settings.watch)
    if not 1 <= settings.supply.advisories_days <= 3650:
        yield "$.supply.advisories_days: from 1 to 3650"
    yield from screensettings.problems(settings.screening)
    yield from servesettings.problems(settings.serve)
    for name in settings.serve.models:
        yield from _named(f"$.serve.models.{name}", name)
    if settings.keys.kms != "file" and not settings.keys.kms.startswith(("service:", "pkcs11:")):
        yield f"$.keys.kms: {settings.keys.kms!r} is not file, service:… or pkcs11:…"
    yield from _network(settings)
    for name, provider in settings.identity.items():
        yield from _named(f"$.identity.{name}", name)
        if not _ISSUER.fullmatch(provider.issuer):
            yield f"$.identity.{name}.issuer: https://HOST... is wanted (http on loopback only)"
        if not provider.client_id:
            yield f"$.identity.{name}.client_id: is empty"


def _planned(path: str, compute: ComputeSettings) -> Iterator[str]:
    planned = (("cpu", span_s), ("memory", size_bytes), ("wall", span_s))
    for field, read in planned:
        try:
            read(getattr(compute, field))
        except BadInput as error:
            yield f"{path}.compute.{field}: {error.what} ({error.why})"


def _stage(settings: Settings, name: str, stage: StageSettings) -> Iterator[str]:
    path = f"$.stage.{name}"
    if not stage.cmd:
        yield f"{path}.cmd: is empty"
    yield from _planned(path, stage.compute)
    made = {output for other in settings.stage.values() for output in other.outputs}
    for number, text in enumerate(stage.inputs):
        try:
            ref = refs.parse(text, "data")
        except BadInput as error:
            yield f"{path}.inputs[{number}]: {error.what}"
            continue
        known = set(settings.data) | made
        if ref.kind != "data":
            yield f"{path}.inputs[{number}]: only datasets can be inputs"
        elif ref.name not in known:
            yield (f"{path}.inputs[{number}]: no [data.{ref.name}]{near(ref.name, tuple(known))}")
    for number, other in enumerate(stage.after):
        if other not in settings.stage:
            yield f"{path}.after[{number}]: no [stage.{other}]{near(other, tuple(settings.stage))}"
    for output in stage.outputs:
        yield from _named(f"{path}.outputs.{output}", output)
    if stage.name:
        yield from _named(f"{path}.name", stage.name)


def _splits(settings: Settings) -> Iterator[str]:
    for name, split in settings.splits.items():
        path = f"$.splits.{name}"
        yield from _named(path, name)
        sides = {"train": split.train, "validation": split.validation, "test": split.test}
        named = {role: text for role, text in sides.items() if text}
        if len(named) < 2:
            yield f"{path}: name at least two of train, validation and test"
        for role, text in named.items():
            try:
                refs.parse(text, "data")
            except BadInput as error:
                yield f"{path}.{role}: {error.what}"
        for key, share in (("near", split.near), ("allow", split.allow)):
            if not 0 <= share <= 1:
                yield f"{path}.{key}: from 0 to 1"


def _limits(room: RoomSettings) -> Iterator[str]:
    for field, text in (("memory", room.memory), ("output", room.output), ("log", room.log)):
        if field == "memory" and text == "auto":
            continue
        try:
            size_bytes(text)
        except BadInput as error:
            yield f"$.room.{field}: {error.what} ({error.why})"
    try:
        span_s(room.time)
    except BadInput as error:
        yield f"$.room.time: {error.what} ({error.why})"
    if room.processes < 1:
        yield "$.room.processes: at least 1"
    if room.files < 1:
        yield "$.room.files: at least 1"


def _network(settings: Settings) -> Iterator[str]:
    for name, one in settings.egress.items():
        yield from _named(f"$.egress.{name}", name)
        try:
            size_bytes(one.bytes)
        except BadInput as error:
            yield f"$.egress.{name}.bytes: {error.what} ({error.why})"
        if not one.ports or not all(0 < port < 1 << 16 for port in one.ports):
            yield f"$.egress.{name}.ports: from 1 to 65535"
    hosts = [one.host for one in settings.egress.values()]
    for host in sorted({host for host in hosts if hosts.count(host) > 1}):
        yield f"$.egress: two tables are about {host}"
    for name, stage in settings.stage.items():
        for secret, how in stage.secrets.items():
            path = f"$.stage.{name}.secrets.{secret}"
            if not _VARIABLE.fullmatch(secret):
                yield f"{path}: a secret is named like an environment variable"
            if how != "env" and not re.fullmatch(r"broker:[a-z0-9.:-]+", how):
                yield f'{path}: "broker:HOST" or "env" is wanted'


def _named(path: str, name: str) -> Iterator[str]:
    try:
        refs.check_name(name)
    except BadInput as error:
        yield f"{path}: {error.what} ({error.why})"
