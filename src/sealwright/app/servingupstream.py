"""``seal serve --upstream``: the guard before another server, joined here and nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from sealwright.adapters.upstream_http import HttpUpstream, parse_address
from sealwright.adapters.upstream_wire import Limits as WireLimits
from sealwright.app import accessing, gating, serving
from sealwright.app.serving import Ready, Where
from sealwright.app.servingbase import What, founded
from sealwright.app.servingmodel import of_model
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, MissingExtra, SealError
from sealwright.core.predicates import SERVING_KEY
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact
from sealwright.core.servesettings import ModelServeSettings, ServeSettings
from sealwright.serve import callers as callers_
from sealwright.serve import memorised, proxy
from sealwright.serve.callers import Callers, Known
from sealwright.serve.canaries import Canaries
from sealwright.serve.egress import Egress, Policy
from sealwright.serve.gateway import Front
from sealwright.serve.guard import Guard, Offer
from sealwright.serve.interface import Allowance
from sealwright.serve.journal import Journal
from sealwright.serve.oip import NUMBERS, TEXT, InputSpec
from sealwright.serve.oip_front import OipFront
from sealwright.serve.oip_mount import OipMount, Served, Unwatched
from sealwright.serve.openai_ask import Limits as TextLimits
from sealwright.serve.openai_front import OpenAiFront
from sealwright.serve.openai_mount import OpenAiMount, Text
from sealwright.serve.outputs import Shape
from sealwright.serve.proxy import Behind, OipBehind
from sealwright.serve.refusals import OutOfService
from sealwright.vault.secrets import check_name

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Protocol = Literal["openai", "oip"]
Say = Callable[[str], None]
EVERY_S = 0.5
MOST_RUNS = 1 << 30


class Behindhand(msgspec.Struct, frozen=True):
    """What stands behind: where, in which protocol, the model's name there and here.

    ``credential`` names the secret that the server behind is shown, as a Bearer token.
    """

    url: str
    protocol: Protocol
    model: str
    name: str
    credential: str = ""
    ca: str = ""

    @property
    def ref(self) -> str:
        """What records and budgets call it."""
        return f"upstream:{self.name}"

    @property
    def digest(self) -> Digest:
        """Of where and what is asked: nobody here can say which weights answer there."""
        told = msgspec.json.encode([self.url, self.protocol, self.model, self.name])
        return hashlib.sha256(told).hexdigest()


def allowed(workspace: Workspace, behind: Behindhand, reason: str) -> None:
    """The present principal may deploy it. Raises: GateDenied, BadInput."""
    address = parse_address(behind.url)
    if behind.credential:
        check_name(behind.credential)
        if not (address.tls or address.here):
            raise BadInput(
                f"a credential would go to {address} in the clear",
                hint="https://, a Unix socket, or an address of this machine",
            )
    subject = Artifact(behind.ref, behind.digest)
    accessing.require(workspace, "deploy", [subject], reason=reason)


def run(
    workspace: Workspace, behind: Behindhand, where: Where, ready: Callable[[Ready], None], say: Say
) -> None:
    """Serve until a signal ends it. Blocks. Raises: MissingExtra, SealError."""
    try:
        import uvloop
    except ImportError as error:
        raise MissingExtra("seal serve", "serve") from error
    uvloop.run(_Serving(workspace, behind, where, say).run(ready))


class _Serving:
    """One server behind: the parts of the guard before it, made in order."""

    def __init__(self, workspace: Workspace, behind: Behindhand, where: Where, say: Say) -> None:
        self._workspace = workspace
        self._behind = behind
        self._where = where
        self._say = say
        self._settings = workspace.settings.serve

    async def run(self, ready: Callable[[Ready], None]) -> None:
        """Serve. Raises: SealError (it could not start)."""
        workspace, behind, settings = self._workspace, self._behind, self._settings
        policy = gating.policies_of(workspace).digest
        async with AsyncExitStack() as held:
            what = What(behind.ref, behind.digest, policy)
            base = await founded(workspace, what, self._where, held, self._say)
            journal = base.journal
            upstream = upstream_of(workspace, behind)
            held.push_async_callback(upstream.close)
            mount = await mount_of(workspace, behind, upstream)
            standing = Standing(workspace, base.callers, journal)
            standing.keys = base.linker.organise
            await standing.look()
            held.callback(standing.stop)
            profile = "text" if isinstance(mount, OpenAiMount) else mount.served.shape.profile
            offer = offer_of(behind, policy, profile, settings)
            guard = Guard(offer, mount, base.callers, base.ledger, journal, standing, base.inputs)
            front: Front
            if isinstance(mount, OpenAiMount):
                front = OpenAiFront(guard, mount, standing, journal.count)
            else:
                front = OipFront(guard, mount, standing, journal.count)
            base.desk.profile = profile
            base.desk.told = lambda: {"state": standing.state, "upstream": behind.url}

            def shown(url: str) -> None:
                base.desk.url = url
                ready(Ready(url, behind.ref, behind.digest, profile, "", base.recovered))

            await serving.answer(
                front, self._where, settings, shown, [journal, standing], journal.count, self._say
            )


class Standing:
    """The port ``serve.guard.Standing``, before a server of which no weights are known here."""

    def __init__(self, workspace: Workspace, callers: Callers, journal: Journal) -> None:
        self._workspace = workspace
        self._callers = callers
        self._journal = journal
        self._seen = 0
        self._why = "nothing was looked at yet"
        self._stopped = False
        self.keys: Callable[[Iterable[Known]], Awaitable[None]] | None = None
        self._known: tuple[Known, ...] = ()
        self._told: tuple[Known, ...] = ()

    @property
    def state(self) -> str:
        """In words."""
        return f"not served: {self._why}" if self._why else "served"

    def require(self) -> None:
        """Raises: OutOfService."""
        if self._stopped:
            raise OutOfService("guard.stopping", "this server is stopping")
        if self._why:
            raise OutOfService("guard.evidence", "the log cannot be read", why=self._why)
        self._journal.require()

    def stop(self) -> None:
        """Refuse everything from now on."""
        self._stopped = True

    async def run(self) -> None:
        """Look for new keys until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Read the log where it grew."""
        try:
            await asyncio.to_thread(self._look)
            self._why = ""
            if self.keys is not None and self._known != self._told:
                await self.keys(self._known)
                self._told = self._known
        except (SealError, OSError) as error:
            self._seen, self._why = 0, str(error)

    def _look(self) -> None:
        size = self._workspace.log.size()
        if size != self._seen:
            entries = self._workspace.history().of_type(SERVING_KEY)
            known = callers_.known_of(callers_.keys_of(entries))
            self._known = tuple(known.values())
            self._callers.replace(known)
            self._seen = size


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


async def mount_of(
    workspace: Workspace, behind: Behindhand, upstream: HttpUpstream
) -> OpenAiMount | OipMount:
    """The mount of its protocol. Raises: SealError (it does not answer, or not as a model)."""
    settings = workspace.settings.serve
    if behind.protocol == "openai":
        told = settings.text
        limits = TextLimits(
            told.tokens, told.choices, told.prompts, told.inputs, told.dimensions, told.token_bits
        )
        text = Text(behind.name, behind.model, limits)
        return OpenAiMount(text, upstream, egress_of(workspace))
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
    return OipMount(
        Served(behind.name, "1", spec, shape, "sealwright_upstream"), asking.ask, Unwatched()
    )


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


def offer_of(behind: Behindhand, policy: Digest, profile: str, settings: ServeSettings) -> Offer:
    """What is on offer, and to whom how much of it."""
    own = of_model(settings, behind.name)
    text = behind.protocol == "openai"
    whose = settings.text if text else settings
    lifetime = (own.lifetime_bits or whose.lifetime_bits) * 1000
    external = Allowance(
        (own.budget_bits or whose.budget_bits) * 1000,
        lifetime,
        0 if text else settings.cells,
        settings.rate_per_s,
        settings.burst,
    )
    rate = settings.internal_rate_per_s
    internal = Allowance(max(settings.internal_bits * 1000, lifetime), lifetime, 0, rate, rate)
    return Offer(behind.ref, behind.digest, policy, profile, external, internal)
