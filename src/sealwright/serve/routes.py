"""What may be asked at all. Whatever this table does not list is refused, and counted.

Triton's control of models and shared memory, vLLM's ``/invocations`` and ``/pause`` and their
like are what such servers leave open: they are named in the refusal, and not in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from sealwright.serve.refusals import refused

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_CONTROL = re.compile(
    r"/v2/repository|/v2/(system|cuda)sharedmemory|/v2/logging|/v2/trace|/metrics|/load|/unload"
    r"|/invocations|/tokenize|/detokenize|/pause|/resume|/sleep|/wake_up|/update_weights|/explain"
    r"|/generate|/classify|/pooling|/score|/rerank|/server_info|/reset_prefix_cache"
    r"|/collective_rpc|/v1/load_lora_adapter|/v1/unload_lora_adapter"
)
MOST_PATH = 512
MOST_MET = 256
"""Paths whose route is remembered; only those that have one."""


class Route(msgspec.Struct, frozen=True):
    """One thing that may be asked: what it is called, its method, its path with ``{model}``."""

    name: str
    method: str
    pattern: str


class Match(msgspec.Struct, frozen=True):
    """A request's route, and the model that its path names (empty: none)."""

    name: str
    model: str = ""
    version: str = ""


OIP: tuple[Route, ...] = (
    Route("infer", "POST", "/v2/models/{model}/infer"),
    Route("infer", "POST", "/v2/models/{model}/versions/{version}/infer"),
    Route("live", "GET", "/v2/health/live"),
    Route("ready", "GET", "/v2/health/ready"),
    Route("server", "GET", "/v2"),
    Route("metadata", "GET", "/v2/models/{model}"),
    Route("metadata", "GET", "/v2/models/{model}/versions/{version}"),
    Route("model-ready", "GET", "/v2/models/{model}/ready"),
    Route("model-ready", "GET", "/v2/models/{model}/versions/{version}/ready"),
)
"""The Open Inference Protocol v2 over REST, without its control of models."""

OPEN = frozenset({"live", "ready"})
"""Routes that say nothing about a model; anybody who reaches the port may ask them."""


class Table:
    """A table of routes, matched by their whole path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._met: dict[tuple[str, str], Match] = {}
        self._plain: dict[str, list[Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            if "{" in route.pattern:
                text = re.sub(r"\\{(\w+)\\}", rf"(?P<\1>{_NAME})", re.escape(route.pattern))
                self._patterns.append((re.compile(text), route))
            else:
                self._plain.setdefault(route.pattern, []).append(route)

    def match(self, method: str, path: str) -> Match:
        """Raises: Refused (``guard.route``, ``guard.control-route``, ``guard.method``)."""
        met = self._met.get((method, path))
        if met is None:
            met = self._look(method, path)
            if len(self._met) >= MOST_MET:
                self._met.clear()
            self._met[method, path] = met
        return met

    def _look(self, method: str, path: str) -> Match:
        found = [Match(one.name) for one in self._plain.get(path, ()) if one.method == method]
        known = path in self._plain
        if not found and len(path) <= MOST_PATH:
            for pattern, route in self._patterns:
                if hit := pattern.fullmatch(path):
                    known = True
                    if route.method == method:
                        return Match(route.name, **hit.groupdict())
        if found:
            return found[0]
        if known:
            raise refused("guard.method", f"{method[:20]} is not what this is asked with")
        if _CONTROL.search(path):
            raise refused(
                "guard.control-route",
                "control of a model server is not offered here",
                why="only what is listed may be asked",
                hint="docs/guide/serving.md lists what may be",
            )
        raise refused(
            "guard.route",
            "there is nothing here by that path",
            why="only what is listed may be asked",
            hint="docs/guide/serving.md lists what may be",
        )
