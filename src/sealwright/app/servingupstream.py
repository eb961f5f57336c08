"""``seal serve --upstream``: another server as what answers, asked in its own protocol."""

from __future__ import annotations

import hashlib
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from sealwright.adapters.upstream_http import HttpUpstream, parse_address
from sealwright.adapters.upstream_wire import Limits as WireLimits
from sealwright.app.servingmodel import of_model
from sealwright.app.servingsource import Opened, Subject, Tensors, Texts
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.reading import small_file
from sealwright.core.servesettings import ModelServeSettings
from sealwright.kit.projection import WIDEST, Array, planes
from sealwright.policy.served import UPSTREAM
from sealwright.registry.versions import Model
from sealwright.serve import memorised, proxy, wording
from sealwright.serve.canaries import Canaries
from sealwright.serve.egress import Egress, Policy
from sealwright.serve.oip import NUMBERS, TEXT, InputSpec
from sealwright.serve.oip_mount import AskModel, Served
from sealwright.serve.openai_ask import Limits as TextLimits
from sealwright.serve.openai_mount import Text
from sealwright.serve.outputs import Shape
from sealwright.serve.proxy import Behind, OipBehind
from sealwright.vault.secrets import check_name

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Protocol = Literal["openai", "oip"]
MOST_RUNS = 1 << 30
WIDEST_WATCHED = 4_096
"""Numbers in a row; wider ones would fill the memory of what watches."""


class Behindhand(msgspec.Struct, frozen=True):
    """What stands behind: where, in which protocol, the model's name there and here.

    ``credential`` names the secret that the server behind is shown, as a Bearer token. ``said`` is
    the registered model that it is said to have; None: nobody says which.
    """

    url: str
    protocol: Protocol
    model: str
    name: str
    credential: str = ""
    ca: str = ""
    said: Model | None = None

    @property
    def where(self) -> Digest:
        """Of where and what is asked: nobody here can say which weights answer there."""
        told = msgspec.json.encode([self.url, self.protocol, self.model, self.name])
        return hashlib.sha256(told).hexdigest()

    @property
    def subject(self) -> Subject:
        """The model it is said to be; else an address and a name."""
        if self.said is not None:
            return Subject(self.said.ref, self.said.digest, self.said.name, self.said)
        return Subject(f"{UPSTREAM}{self.name}", self.where, self.name)


def check(behind: Behindhand) -> None:
    """Raises: BadInput (no address, no such name, a credential in the clear)."""
    address = parse_address(behind.url)
    if behind.credential:
        check_name(behind.credential)
        if not (address.tls or address.here):
            raise BadInput(
                f"a credential would go to {address} in the clear",
                hint="https://, a Unix socket, or an address of this machine",
            )


class OtherServer:
    """The source (``servingsource.Source``): a server that runs already."""

    def __init__(self, workspace: Workspace, behind: Behindhand) -> None:
        self._workspace = workspace
        self._behind = behind
        self.subject = behind.subject

    async def open(self, held: AsyncExitStack) -> Opened:
        """It is asked once, to see that it answers, and as what. Raises: SealError."""
        upstream = upstream_of(self._workspace, self._behind)
        held.push_async_callback(upstream.close)
        asked = await asked_of(self._workspace, self._behind, upstream)
        said = ""
        if self._behind.said is not None:
            where = self._behind.where[:16]
            said = f"another server is said to have it: {self._behind.model}, address {where}"
        return Opened(asked, _ends_nothing, lambda: {"upstream": self._behind.url}, said)


def _ends_nothing(why: str) -> None:
    """Its process is not ours; the guard stops asking it."""


def upstream_of(workspace: Workspace, behind: Behindhand) -> HttpUpstream:
    """The client of the server behind, with the guard's own credentials.

    Raises: BadInput (no such secret, no address), VerifyError (the secret was changed).
    """
    own: dict[bytes, bytes] = {}
    if behind.credential:
        value = workspace.secrets.values().get(behind.credential)
        if value is None:
            raise BadInput(
                f"there is no secret {behind.credential}",
                hint=f"seal secret set {behind.credential} --reason '...'",
            )
        own[b"authorization"] = b"Bearer " + value.encode()
    address = parse_address(behind.url)
    answer_s = float(span_s(workspace.settings.serve.answer_time))
    limits = WireLimits(head_s=answer_s, connections=workspace.settings.serve.requests)
    context = ssl.create_default_context(cafile=behind.ca) if behind.ca else None
    return HttpUpstream(address, limits, own, context)


async def asked_of(
    workspace: Workspace, behind: Behindhand, upstream: HttpUpstream
) -> Tensors | Texts:
    """How it is asked. Raises: SealError (it does not answer, or not as a model)."""
    settings = workspace.settings.serve
    if behind.protocol == "openai":
        told = settings.text
        limits = TextLimits(
            told.tokens, told.choices, told.prompts, told.inputs, told.dimensions, told.token_bits
        )
        named = Text(behind.name, behind.model, limits)
        return Texts(named, upstream, egress_of(workspace), _space(behind, TEXT, 1))
    own = of_model(settings, behind.name)
    said = await proxy.metadata(upstream, behind.model)
    spec = input_of(own, said, settings.rows)
    output = own.output or (said.outputs[0].name if len(said.outputs) == 1 else "")
    if not output:
        names = ", ".join(one.name for one in said.outputs) or "none"
        raise BadInput(
            f"which output of {behind.model} are its scores?",
            why=f"it says: {names}",
            hint=f'output = "NAME" under [serve.models.{behind.name}] in seal.toml',
        )
    asking = OipBehind(upstream, Behind(behind.model, output, tuple(own.labels)), spec)
    shape = await shape_of(asking, spec, own, behind)
    version = str(behind.said.version) if behind.said else "1"
    served = Served(behind.name, version, spec, shape, "sealwright_upstream")
    text = spec.datatype == TEXT
    wide = spec.width > WIDEST_WATCHED
    return Tensors(
        served,
        Worded(asking.ask).ask if text else _narrow(asking.ask, spec.width),
        _space(behind, spec.datatype, spec.width),
        unwatched=f"nothing: a row of {spec.width:,} numbers is too wide to watch" if wide else "",
    )


def _narrow(ask: AskModel, width: int) -> AskModel:
    return ask if width <= WIDEST else Narrowed(ask, width).ask


class Worded:
    """``oip_mount.AskModel`` of texts: their features are the words in them."""

    def __init__(self, ask: AskModel) -> None:
        self._ask = ask

    async def ask(self, batch: Array) -> tuple[Array, Array]:
        """Raises: as what it asks."""
        scores, _ = await self._ask(batch)
        return scores, wording.features(batch)


class Narrowed:
    """``oip_mount.AskModel``, the features of wide rows projected by planes of their width."""

    def __init__(self, ask: AskModel, width: int) -> None:
        self._ask = ask
        self._planes = planes(width)

    async def ask(self, batch: Array) -> tuple[Array, Array]:
        """Raises: as what it asks."""
        scores, features = await self._ask(batch)
        return scores, features @ self._planes


def _space(behind: Behindhand, datatype: str, width: int) -> Digest:
    """Features are inputs: what they are depends on where, and how wide."""
    told = f"{behind.where} {datatype} {width}"
    return hashlib.sha256(told.encode()).hexdigest()


def input_of(own: ModelServeSettings, said: proxy.Metadata, rows: int) -> InputSpec:
    """What the model wants, as the server or the settings say. Raises: BadInput."""
    if len(said.inputs) > 1:
        raise BadInput("a model with several inputs is not served yet")
    told = said.inputs[0] if said.inputs else None
    name = told.name if told and own.input == "input" else own.input
    if own.text or (told is not None and told.datatype == TEXT):
        return InputSpec(name, TEXT, 1, rows)
    width = own.width or (told.shape[-1] if told and len(told.shape) == 2 else 0)
    if width < 1:
        raise BadInput(
            "the server does not say how many numbers a row has",
            hint="width = N (or text = true) under [serve.models.NAME] in seal.toml",
        )
    datatype = told.datatype if told and told.datatype in NUMBERS else "FP32"
    return InputSpec(name, datatype, width, rows)


async def shape_of(
    asking: OipBehind, spec: InputSpec, own: ModelServeSettings, behind: Behindhand
) -> Shape:
    """What it answers with; it is asked once to see. Raises: SealError."""
    if spec.datatype == TEXT:
        batch = np.array(["a", "b"])
    else:
        batch = np.zeros((2, spec.width), NUMBERS[spec.datatype])
    scores, _ = await asking.ask(batch)
    width = scores.shape[1]
    shares = (scores >= -1e-9).all() and (abs(scores.sum(axis=1) - 1) < 1e-3).all()
    profile = own.profile
    if not profile and width > 1 and shares:
        profile = "binary" if width == 2 else "multiclass"
    if not profile:
        raise BadInput(
            f"what does {behind.model} answer with?",
            why=f"{width} numbers a row, which are no probabilities",
            hint=f'profile = "regression" (ranking, embedding) under [serve.models.{behind.name}]',
        )
    if profile in ("multiclass", "binary") and not shares:
        raise BadInput(f"{behind.model} does not answer with probabilities")
    labels = tuple(own.labels) if profile in ("multiclass", "binary") else ()
    if labels and len(labels) != width:
        raise BadInput(f"{len(labels)} labels, but {behind.model} has {width} classes")
    return Shape(profile, width, labels)


def egress_of(workspace: Workspace) -> Egress:
    """What is taken out of texts. Raises: BadInput (no such secret or file)."""
    told = workspace.settings.serve.egress
    canaries = None
    if told.canaries:
        lines = workspace.secrets.values().get(check_name(told.canaries))
        if lines is None:
            raise BadInput(
                f"there is no secret {told.canaries} with canaries",
                hint=f"seal secret set {told.canaries} --reason '...'; one canary a line",
            )
        canaries = Canaries(line for line in lines.splitlines() if line.strip())
    runs = None
    if told.memorised_runs:
        runs = memorised.read(small_file(workspace.root / told.memorised_runs, MOST_RUNS))
    policy = Policy(
        told.personal, told.financial, told.health, told.credential, told.network,
        told.canary, told.memorised, told.confidence,
    )  # fmt: skip
    return Egress(policy, canaries, runs)
