"""What one stage may reach and which secrets serve it: from the settings, before it is pinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sealwright.app import wiring
from sealwright.app.wiring import Workspace
from sealwright.core import settings as settings_
from sealwright.core.errors import BadInput
from sealwright.core.records import Json
from sealwright.core.settings import EgressSettings, Settings
from sealwright.pipeline import plan, segments
from sealwright.pipeline import spec as specs
from sealwright.pipeline.leaks import Secrets
from sealwright.pipeline.network import Network
from sealwright.pipeline.segments import Segment
from sealwright.pipeline.spec import StageSpec
from sealwright.pipeline.training import Around
from sealwright.train import egress
from sealwright.train.egress import Rule

ALLOW = "allow:"


def of_flag(text: str) -> tuple[str, ...]:
    """``--network none`` or ``--network allow:HOST[:PORT][,HOST…]``. Raises: BadInput."""
    if text == "none":
        return ()
    hosts = tuple(part.strip() for part in text.removeprefix(ALLOW).split(",") if part.strip())
    if not text.startswith(ALLOW) or not hosts:
        raise BadInput(
            f"{text!r} is no network",
            why="a room has none, or the hosts that are named",
            hint="seal run --network allow:api.example.org:443",
        )
    return hosts


def rules_of(settings: Settings, granted: Sequence[str], broker: Mapping[str, str]) -> list[Rule]:
    """One rule a host: what its [egress.NAME] says, or its port and the default budget.

    ``broker`` is secret → host. Raises: BadInput (malformed, or a broker without a grant).
    """
    tables = {one.host: one for one in settings.egress.values()}
    ports: dict[str, list[int]] = {}
    for text in granted:
        host, port = egress.parse(text)
        ports.setdefault(host, []).append(port)
    secrets: dict[str, str] = {}
    for name, host in broker.items():
        if host not in ports or host in secrets:
            raise BadInput(
                f"the secret {name} is for {host}, which is not granted, or has one already",
                hint=f'network = ["{host}"] in the same stage',
            )
        secrets[host] = name
    return [_rule(host, asked, tables, secrets.get(host, "")) for host, asked in ports.items()]


def segments_of(workspace: Workspace) -> tuple[Segment, ...]:
    """Who may read what, by seal.toml's stages; a project without stages is one stage, ``run``.

    Raises: BadInput, Refused (``egress.*``).
    """
    settings = workspace.settings
    stages = specs.of_settings(settings) if settings.stage else (StageSpec(specs.ADHOC, (), ()),)
    hosts = {}
    for stage in stages:
        wanted = (*settings.room.network, *stage.network)
        rules = rules_of(settings, wanted, broker_of(stage))
        hosts[stage.name] = egress.check(rules, settings.zones.production)
    return segments.of_stages(plan.order(stages), hosts, tuple(settings.data))


def broker_of(stage: StageSpec) -> dict[str, str]:
    """Which of a stage's secrets the proxy adds, and for which host. Raises: BadInput."""
    return {
        name: egress.parse(how.removeprefix("broker:"))[0]
        for name, how in stage.secrets.items()
        if how.startswith("broker:")
    }


def _rule(
    host: str, asked: Sequence[int], tables: Mapping[str, EgressSettings], secret: str
) -> Rule:
    one = tables.get(host)
    if one is None:
        return Rule(host, tuple(dict.fromkeys(asked)), tls=bool(secret), secret=secret)
    outside = [port for port in asked if port not in one.ports]
    if outside:
        raise BadInput(
            f"{host}:{outside[0]} is granted, and its [egress.NAME] names other ports",
            why=f"ports = {list(one.ports)}",
        )
    return Rule(
        host=host,
        ports=tuple(dict.fromkeys(asked)),
        methods=tuple(one.methods),
        budget=settings_.size_bytes(one.bytes),
        purpose=one.purpose,
        tls=one.tls or bool(secret),
        private=one.private,
        secret=secret,
    )


def around_stage(workspace: Workspace, spec: StageSpec, where: Around, reason: str = "") -> Around:
    """``where`` with this stage's network and secrets in it.

    Raises: BadInput (no such secret), Refused (``egress.*``), GateDenied (no grant).
    """
    secrets = _secrets(workspace, spec)
    wanted = (*workspace.settings.room.network, *spec.network)
    rules = rules_of(workspace.settings, wanted, secrets.broker)
    variables = {**where.variables, **{name: secrets.values[name] for name in secrets.env}}
    variables |= dict.fromkeys(secrets.broker, "held-by-the-broker")
    where = msgspec.structs.replace(where, variables=variables, secrets=secrets)
    if not rules:
        return where
    zones = tuple(workspace.settings.zones.production)
    checked = egress.check(rules, zones)
    granted = _ask(workspace, spec, checked, reason)
    network = Network(checked, zones, granted, wiring.egress_opener(workspace))
    return msgspec.structs.replace(where, network=network)


def _secrets(workspace: Workspace, spec: StageSpec) -> Secrets:
    held = workspace.secrets.records()
    known = {record.name for record in held}
    if missing := sorted(set(spec.secrets) - known):
        raise BadInput(
            f"stage {spec.name} uses the secret {missing[0]}, and there is none",
            hint=f"seal secret set {missing[0]} --reason '...'",
        )
    env = tuple(name for name, how in spec.secrets.items() if how == "env")
    values = workspace.secrets.values() if held else {}
    if clash := sorted(set(spec.secrets) & set(spec.env)):
        raise BadInput(
            f"{clash[0]} is a secret of stage {spec.name} and in its env as well",
            why="one of them would be the other's leak",
        )
    return Secrets(values, env, broker_of(spec), workspace.settings.secrets.outputs)


def _ask(workspace: Workspace, spec: StageSpec, rules: Sequence[Rule], reason: str) -> bool:
    """Whether the present principal may open this network: exactly these rules, no others.

    One member alone is not asked. Raises: GateDenied (a request for it is left in the log).
    """
    from sealwright.app import accessing

    params: dict[str, Json] = {
        "stage": spec.name,
        "hosts": [f"{rule.host}:{port}" for rule in rules for port in rule.ports],
        "rules": egress.digest_of(rules),
    }
    purpose = next((rule.purpose for rule in rules if rule.purpose), "")
    project = [accessing.whole_project(workspace)]
    return accessing.require(
        workspace, "egress", project, purpose=purpose, reason=reason, params=params
    ).allowed
