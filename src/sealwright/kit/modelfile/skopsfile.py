"""skops files: a schema of types, each of which must be on the policy's list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Unsound

_LOADERS = frozenset(
    "ObjectNode DictNode DefaultDictNode ListNode SetNode TupleNode JsonNode NdArrayNode"
    " MaskedArrayNode TypeNode SliceNode RandomStateNode RandomGeneratorNode DatetimeNode"
    " DtypeNode TreeNode LossNode SGDNode KDTreeNode BytesNode BytearrayNode CachedNode"
    " _DictWithDeprecatedKeysNode SparseMatrixNode FunctionNode".split()
)
_VALUES = frozenset(
    "NoneType bool int float complex str bytes bytearray dict list tuple set".split()
)
_DEPTH = 200


def judge(text: bytes, policy: Policy, where: str) -> Iterator[Found]:
    """Every type that is on no list. Raises: Unsound (skops.schema)."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unsound("skops.schema", str(error)[:120]) from error
    if type(schema) is not dict or "__loader__" not in schema:
        raise Unsound("skops.schema", "it names no loader")
    yield from _walk(schema, policy, where, 0)


def _walk(value: Any, policy: Policy, where: str, depth: int) -> Iterator[Found]:
    if depth > _DEPTH:
        raise Unsound("skops.schema", f"it nests more than {_DEPTH} deep")
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, policy, where, depth + 1)
    elif isinstance(value, dict):
        if "__loader__" in value or "__class__" in value:
            yield from _type(value, policy, where)
        for one in value.values():
            yield from _walk(one, policy, where, depth + 1)


def _type(value: dict[str, Any], policy: Policy, where: str) -> Iterator[Found]:
    loader, module, name = (
        str(value.get(key)) for key in ("__loader__", "__module__", "__class__")
    )
    if loader not in _LOADERS:
        yield Found("skops.type", f"is loaded by {loader[:40]!r}", where)
    elif module == "builtins" and name in _VALUES:
        return
    elif not policy.uses_of(module, name):
        yield Found("skops.type", f"names {module[:60]}.{name[:60]}", where)
