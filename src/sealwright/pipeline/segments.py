"""Who may read what: one segment a stage, from the stage graph, and nothing between segments.

A stage reads its inputs, writes its outputs and reaches its granted hosts. It reaches no store,
no other stage and no name service: here a room enforces that, on Kubernetes a NetworkPolicy
(https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import msgspec

from sealwright.core.records import Json
from sealwright.pipeline.spec import StageSpec
from sealwright.train.egress import Rule

STAGE_LABEL = "sealwright.dev/stage"
ROLE_LABEL = "sealwright.dev/role"
PROXY = "egress-proxy"
PROXY_PORT = 3128
_INNER_4 = "10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16"
_INNER_6 = "::1/128 64:ff9b::/96 fc00::/7 fe80::/10 ff00::/8"
_NOT_PUBLIC = {"0.0.0.0/0": f"{_INNER_4} 224.0.0.0/4", "::/0": _INNER_6}


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one stage may touch. ``reads`` maps a dataset to the stage that makes it, or ''."""

    stage: str
    reads: Mapping[str, str]
    writes: tuple[str, ...]
    model: str
    hosts: tuple[Rule, ...]
    secrets: Mapping[str, str]


def of_stages(
    stages: Sequence[StageSpec],
    hosts: Mapping[str, Sequence[Rule]],
    default_inputs: Sequence[str] = (),
) -> tuple[Segment, ...]:
    """One segment a stage. ``default_inputs`` are the datasets of a stage that lists none."""
    makers = {name: stage.name for stage in stages for name in stage.outputs}
    segments = []
    for stage in stages:
        names = [ref.name for ref in stage.inputs] or list(default_inputs)
        segments.append(
            Segment(
                stage=stage.name,
                reads={name: makers.get(name, "") for name in names},
                writes=tuple(stage.outputs),
                model=stage.model_name if stage.model else "",
                hosts=tuple(hosts.get(stage.name, ())),
                secrets=dict(stage.secrets),
            )
        )
    return tuple(segments)


def kubernetes(segments: Sequence[Segment]) -> list[dict[str, Json]]:
    """NetworkPolicy objects: default deny for every stage, and a proxy of its own where granted.

    A NetworkPolicy knows addresses, not names: the stage may reach its proxy alone, and the
    proxy (which holds the host names) the public internet on the granted ports.
    """
    out = []
    for segment in segments:
        out.append(_stage_policy(segment))
        if segment.hosts:
            out.append(_proxy_policy(segment))
    return out


def _stage_policy(segment: Segment) -> dict[str, Json]:
    to_proxy: list[Json] = []
    if segment.hosts:
        to_proxy = [
            {
                "to": [{"podSelector": _selector(segment, PROXY)}],
                "ports": [{"protocol": "TCP", "port": PROXY_PORT}],
            }
        ]
    return _policy(f"seal-{_name(segment)}", segment, "stage", ingress=[], egress=to_proxy)


def _proxy_policy(segment: Segment) -> dict[str, Json]:
    ports = sorted({port for rule in segment.hosts for port in rule.ports})
    blocks: list[Json] = []
    for block, holes in _NOT_PUBLIC.items():
        blocks.append({"ipBlock": {"cidr": block, "except": [*holes.split()]}})
    for rule in segment.hosts:
        blocks += [{"ipBlock": {"cidr": cidr}} for cidr in _literal(rule)]
    names: Json = {
        "to": [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                },
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    granted: Json = {"to": blocks, "ports": [{"protocol": "TCP", "port": port} for port in ports]}
    ingress: list[Json] = [
        {
            "from": [{"podSelector": _selector(segment, "stage")}],
            "ports": [{"protocol": "TCP", "port": PROXY_PORT}],
        }
    ]
    return _policy(
        f"seal-{_name(segment)}-proxy", segment, PROXY, ingress=ingress, egress=[granted, names]
    )


def _literal(rule: Rule) -> list[str]:
    try:
        address = ipaddress.ip_address(rule.host)
    except ValueError:
        return []
    return [f"{address}/{address.max_prefixlen}"]


def _policy(
    name: str, segment: Segment, role: str, ingress: list[Json], egress: list[Json]
) -> dict[str, Json]:
    granted = ",".join(f"{rule.host}:{port}" for rule in segment.hosts for port in rule.ports)
    reads = ",".join(segment.reads)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name,
            "labels": {STAGE_LABEL: segment.stage},
            "annotations": {"sealwright.dev/hosts": granted, "sealwright.dev/reads": reads},
        },
        "spec": {
            "podSelector": _selector(segment, role),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _selector(segment: Segment, role: str) -> dict[str, Json]:
    return {"matchLabels": {STAGE_LABEL: segment.stage, ROLE_LABEL: role}}


def _name(segment: Segment) -> str:
    """A stage's name as a DNS label (RFC 1123)."""
    return segment.stage.replace("_", "-").replace(".", "-").strip("-")[:50] or "stage"


def yaml(documents: Sequence[Mapping[str, Json]]) -> str:
    """YAML 1.2 text, a document each; scalars are quoted, so nothing turns into another type."""
    return "".join("---\n" + "".join(_lines(document, 0)) for document in documents)


def _lines(value: Json | Mapping[str, Json], depth: int) -> list[str]:
    pad = "  " * depth
    out = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                out += [f"{pad}{key}:\n", *_lines(item, depth + 1)]
            else:
                out.append(f"{pad}{key}: {_scalar(item)}\n")
    elif isinstance(value, list):
        for item in value:
            inner = _lines(item, depth + 1) if isinstance(item, dict | list) else []
            if inner:
                out += [f"{pad}- {inner[0].lstrip()}", *inner[1:]]
            else:
                out.append(f"{pad}- {_scalar(item)}\n")
    return out


def _scalar(value: Json) -> str:
    return msgspec.json.encode(value).decode()
