"""Secrets found and look-alikes flagged: a set from a seed, and fixtures others published."""

from __future__ import annotations

import hashlib
import json
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sealwright.app.bench import Ask, Row, cpu_s, measure, secretplant
from sealwright.app.bench.secretwords import Item
from sealwright.core.errors import BadInput
from sealwright.supply import secretscan

PACKAGES = ("numpy", "pandas", "sklearn")
"""Packages whose files hold no secret of anybody's, as far as anybody knows."""
_KEY = b"bench" * 8
_READ = frozenset({".py", ".pyi", ".json", ".txt", ".toml", ".c", ".h", ".md"})
Flags = Callable[[Item], bool]


def rows(ask: Ask) -> list[Row]:
    """Precision and recall over the generated set, and over ``--fixtures`` where given."""
    each = (10, 40) if ask.quick else (secretplant.EACH, secretplant.LOOK_ALIKES_EACH)
    made = [*secretplant.secrets(each=each[0]), *secretplant.look_alikes(each=each[1])]
    out = _score("made secrets", made)
    out += [_speed(made), *_installed(("packaging",) if ask.quick else PACKAGES)]
    if ask.fixtures:
        data, fixtures = _fixtures(Path(ask.fixtures))
        digest = hashlib.sha256(data).hexdigest()
        out += _score("published fixtures", fixtures, f"SHA-256 {digest}")
    return out


def flagged(item: Item) -> bool:
    """Whether we find anything in it."""
    return bool(secretscan.scan(item.path, item.text.encode(), _KEY).hits)


def _score(
    what: str,
    items: Sequence[Item],
    note: str = "",
) -> list[Row]:
    ours = [flagged(item) for item in items]
    other = _detect_secrets()
    theirs = [other(item) for item in items] if other else []
    true = sum(item.secret for item in items)

    def yard(measured: Callable[[Sequence[Item], Sequence[bool]], float]) -> dict[str, float]:
        return {"detect-secrets": measured(items, theirs)} if other else {}

    missed = Counter(i.kind for i, said in zip(items, ours, strict=True) if i.secret and not said)
    false = Counter(i.kind for i, said in zip(items, ours, strict=True) if said and not i.secret)
    return [
        measure(f"{what}: secrets", true, "texts", note=note),
        measure(f"{what}: look-alikes", len(items) - true, "texts"),
        measure(
            f"{what}: precision",
            _precision(items, ours),
            "%",
            target=95,
            yardsticks=yard(_precision),
            note=_said("flagged", false),
        ),
        measure(
            f"{what}: recall",
            _recall(items, ours),
            "%",
            target=92,
            yardsticks=yard(_recall),
            note=_said("missed", missed),
        ),
    ]


def _said(verb: str, by_kind: Counter[str]) -> str:
    most = ", ".join(f"{kind} {count}" for kind, count in by_kind.most_common(12))
    return f"{verb} {sum(by_kind.values())}: {most}" if most else ""


def _precision(items: Sequence[Item], said: Sequence[bool]) -> float:
    right = sum(item.secret for item, yes in zip(items, said, strict=True) if yes)
    return 100 * right / sum(said) if any(said) else 0.0


def _recall(items: Sequence[Item], said: Sequence[bool]) -> float:
    right = sum(yes for item, yes in zip(items, said, strict=True) if item.secret)
    return 100 * right / max(1, sum(item.secret for item in items))


def _speed(items: Sequence[Item]) -> Row:
    size = sum(len(item.text) for item in items) / 1e6
    taken = cpu_s(lambda: [flagged(item) for item in items], 1)
    return measure("secrets looked for in small texts", size / taken, "MB/s")


def _installed(names: Sequence[str]) -> Iterator[Row]:
    """What is found in the text files of packages that are installed here."""
    site = Path(sysconfig.get_path("purelib"))
    found = Counter[str]()
    files = 0
    for path in (path for name in names for path in sorted((site / name).rglob("*"))):
        if path.suffix in _READ and path.is_file():
            files += 1
            hits = secretscan.scan(path.name, path.read_bytes(), _KEY).hits
            found.update(f"{path.relative_to(site)} {hit.pattern}" for hit in hits)
    if files:
        note = f"{', '.join(names)}, {files:,} files: {', '.join(sorted(found))}"
        yield measure(
            "findings in the text files of installed packages", found.total(), "findings", note=note
        )


def _fixtures(path: Path) -> tuple[bytes, list[Item]]:
    """JSON Lines of ``text``, ``kind``, ``positive``, ``source``. Raises: BadInput."""
    try:
        data = path.read_bytes()
        lines = [json.loads(line) for line in data.splitlines() if line.strip()]
        return data, list(_items(lines))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} holds no fixtures of secrets", why=str(error)[:120]) from error


def _items(lines: Iterable[dict[str, Any]]) -> Iterable[Item]:
    for line in lines:
        source = str(line.get("source", "")).split(":")[0].split("/")[0]
        kind = f"{source} {line['kind']}".strip()
        yield Item(kind, "fixture.txt", str(line["text"]), bool(line["positive"]))


def _detect_secrets() -> Flags | None:
    """detect-secrets with its default settings, on a file of the item's name.

    Its ``scan_line`` will not do: that is for single strings, and reports below the thresholds.
    """
    try:
        collection = import_module("detect_secrets.core.secrets_collection").SecretsCollection
        settings = import_module("detect_secrets.settings")
    except ImportError:
        return None

    def flags(item: Item) -> bool:
        with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
            path = Path(folder) / Path(item.path).name
            path.write_text(item.text, encoding="utf-8", errors="surrogatepass")
            found = collection()
            with settings.default_settings():
                found.scan_file(str(path))
            return bool(found.data)

    return flags
