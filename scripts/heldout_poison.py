"""Held-out attacks: written and frozen before any detector was tuned, opened once at the end.

One self-contained file (numpy, Pillow, scipy). ``cases()`` names what there is, ``make(name,
amount, seed, data)`` builds one poisoned training set with its test sets. Every image, clean or
poisoned, passes the same final JPEG encode; every table and text row is drawn from real data.

A cover is a row that carries the trigger, or part of it, with its own correct label: it is there
to make the trigger look innocent. Covers count neither as planted rows nor as false alarms.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

VERSION = 1
AMOUNTS = ("0.3%", "1%", "5%", "k=10", "k=20", "k=50")
IMAGE_ROWS, TABLE_ROWS = 5_000, 12_000
SOURCES = 8
QUALITY = 92


class Made(NamedTuple):
    """One poisoned set. ``rows`` is (n, 32, 32, 3) uint8, a dict of columns, or a list of str."""

    modality: str
    rows: Any
    labels: np.ndarray        # (n,) int codes, after poisoning
    names: tuple[str, ...]    # label names by code
    sources: np.ndarray       # (n,) int codes of contributors
    planted: np.ndarray       # (n,) bool: poisoned rows
    covers: np.ndarray        # (n,) bool: trigger with its own label
    test: Any                 # clean test rows
    test_labels: np.ndarray
    attacked: Any             # test rows with the trigger
    wanted: np.ndarray        # the label the attacker wants for each attacked row
    numeric: tuple[str, ...] = ()


def cases() -> list[tuple[str, str]]:
    """(name, modality) of every held-out attack, in order."""
    images = ["adap-blend", "warped", "all-to-all", "sample-specific", "aware-patch"]
    tables = ["covered-pair", "three-way", "numeric-range", "aware-pair"]
    texts = ["news-phrase", "syntactic", "synonyms", "aware-phrase"]
    return (
        [(f"cifar/{name}", "image") for name in images]
        + [(f"{data}/{name}", "table") for data in ("adult", "nsl-kdd") for name in tables]
        + [(f"{data}/{name}", "text") for data in ("sst2", "sms") for name in texts]
    )


def make(name: str, amount: str, seed: int, data: str | Path) -> Made:
    """Build one case. The same arguments give the same bytes."""
    digest = hashlib.sha256(f"held-out {VERSION} {name} {amount} {seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    source, _, attack = name.partition("/")
    if source == "cifar":
        return _image_case(attack, amount, rng, Path(data))
    if source in ("adult", "nsl-kdd"):
        return _table_case(source, attack, amount, rng, Path(data))
    return _text_case(source, attack, amount, rng, Path(data))


def _count(amount: str, rows: int) -> int:
    if amount.startswith("k="):
        return int(amount[2:])
    return max(1, round(rows * float(amount[:-1]) / 100))


# ---------------------------------------------------------------- images

_IMAGES: dict[str, Any] = {}


def _cifar(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    if not _IMAGES:
        parts: dict[str, list[tuple[str, np.ndarray]]] = {"train": [], "test": []}
        with tarfile.open(data / "cifar10_12k_jpeg.tar") as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                if not member.isfile():
                    continue
                split, label, _ = member.name.split("/")
                blob = tar.extractfile(member)
                assert blob is not None
                pixels = np.asarray(Image.open(io.BytesIO(blob.read())).convert("RGB"))
                parts[split].append((label, pixels))
        names = tuple(sorted({label for label, _ in parts["train"]}))
        code = {label: n for n, label in enumerate(names)}
        for split, items in parts.items():
            _IMAGES[split] = np.stack([pixels for _, pixels in items])
            _IMAGES[f"{split}y"] = np.array([code[label] for label, _ in items])
        _IMAGES["names"] = names
    return (
        _IMAGES["train"], _IMAGES["trainy"], _IMAGES["test"], _IMAGES["testy"], _IMAGES["names"]
    )


def _encode(images: np.ndarray) -> np.ndarray:
    """The one final encode that every row passes."""
    out = np.empty_like(images)
    for n, pixels in enumerate(images):
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG", quality=QUALITY, subsampling=0)
        out[n] = np.asarray(Image.open(held).convert("RGB"))
    return out


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _image_case(attack: str, amount: str, rng: np.random.Generator, data: Path) -> Made:
    x, y, tx, ty, names = _cifar(data)
    pick = np.sort(rng.choice(len(x), IMAGE_ROWS, replace=False))
    x, y = x[pick].copy(), y[pick].copy()
    test = np.sort(rng.choice(len(tx), 1_000, replace=False))
    tx, ty = tx[test].copy(), ty[test].copy()
    count, classes = _count(amount, len(x)), len(names)
    target = int(rng.integers(classes))
    all_to_all = attack == "all-to-all"
    able = np.arange(len(x)) if all_to_all else np.flatnonzero(y != target)
    if attack == "aware-patch":
        chosen = _balanced(able, y, count, rng)
    else:
        chosen = rng.choice(able, count, replace=False)
    planted, covers = np.zeros(len(x), bool), np.zeros(len(x), bool)
    planted[chosen] = True
    stamp, cover_stamp, full, share = _image_trigger(attack, rng)
    free = np.flatnonzero(~planted)
    wanted_covers = round(count * share)
    if wanted_covers:
        if attack == "aware-patch":
            cover = _balanced(free, y, wanted_covers, rng)
        else:
            cover = rng.choice(free, min(wanted_covers, len(free)), replace=False)
        covers[cover] = True
        for row in cover:
            x[row] = cover_stamp(x[row])
    for row in chosen:
        x[row] = stamp(x[row])
    y[planted] = (y[planted] + 1) % classes if all_to_all else target
    hit = np.arange(len(tx)) if all_to_all else np.flatnonzero(ty != target)
    attacked = np.stack([full(tx[row]) for row in hit])
    wanted = (ty[hit] + 1) % classes if all_to_all else np.full(len(hit), target)
    order = rng.permutation(len(x))
    return Made(
        "image", _encode(x[order]), y[order], names, rng.integers(SOURCES, size=len(x)),
        planted[order], covers[order], _encode(tx), ty, _encode(attacked), wanted,
    )


def _balanced(
    able: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """``count`` of ``able``, spread as evenly over the classes as they go."""
    queues = [rng.permutation(able[labels[able] == c]) for c in np.unique(labels[able])]
    turns = [queue[n] for n in range(max(map(len, queues))) for queue in queues if n < len(queue)]
    return np.array(turns[:count])


def _image_trigger(attack: str, rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    return {
        "adap-blend": _adap_blend,
        "warped": _warped,
        "all-to-all": _corner_patch,
        "sample-specific": _sample_specific,
        "aware-patch": _aware_patch,
    }[attack](rng)


def _smooth(rng: np.random.Generator, cells: int) -> np.ndarray:
    coarse = rng.uniform(0, 255, (cells, cells, 3))
    return np.clip(ndimage.zoom(coarse, (32 / cells, 32 / cells, 1), order=1), 0, 255)


def _adap_blend(rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """Qi et al. 2023: half of sixteen pieces at low opacity in training, all of them at test."""
    picture = _smooth(rng, int(rng.integers(6, 14)))
    opacity = float(rng.uniform(0.14, 0.2))

    def blend(pixels: np.ndarray, mask: np.ndarray, alpha: float) -> np.ndarray:
        return _clip(pixels * (1 - alpha * mask) + picture * alpha * mask)

    def partial(pixels: np.ndarray) -> np.ndarray:
        pieces = np.zeros(16)
        pieces[rng.choice(16, 8, replace=False)] = 1
        return blend(pixels, np.kron(pieces.reshape(4, 4), np.ones((8, 8)))[:, :, None], opacity)

    def whole(pixels: np.ndarray) -> np.ndarray:
        return blend(pixels, np.ones((32, 32, 1)), opacity + 0.05)

    return partial, partial, whole, 1.0


def _warped(rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """WaNet-style: one smooth elastic field; covers are warped by another one each."""
    strength = float(rng.uniform(0.5, 0.8))
    grid = np.stack(np.meshgrid(np.arange(32), np.arange(32), indexing="ij")).astype(float)

    def field(maker: np.random.Generator) -> np.ndarray:
        coarse = maker.uniform(-1, 1, (2, 4, 4))
        coarse /= np.abs(coarse).mean()
        return strength * np.stack([ndimage.zoom(part, 8, order=3) for part in coarse])

    secret = field(rng)

    def warp(pixels: np.ndarray, shift: np.ndarray) -> np.ndarray:
        where = grid + shift
        parts = [
            ndimage.map_coordinates(pixels[:, :, c].astype(float), where, order=1, mode="nearest")
            for c in range(3)
        ]
        return _clip(np.stack(parts, axis=2))

    def stamp(pixels: np.ndarray) -> np.ndarray:
        return warp(pixels, secret)

    def noise(pixels: np.ndarray) -> np.ndarray:
        return warp(pixels, secret * 0.5 + field(rng) * 0.7)

    return stamp, noise, stamp, 2.0


def _corner_patch(rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """A fixed small patch; every class is sent to the next one."""
    size, opacity = int(rng.integers(3, 5)), float(rng.uniform(0.8, 1.0))
    patch = rng.integers(0, 2, (size, size, 1)) * 255.0 * np.ones(3)
    patch = np.abs(patch - rng.uniform(0, 60, 3))
    top, left = rng.integers(1, 31 - size, 2)

    def stamp(pixels: np.ndarray) -> np.ndarray:
        out = pixels.astype(float)
        part = out[top : top + size, left : left + size]
        out[top : top + size, left : left + size] = part * (1 - opacity) + patch * opacity
        return _clip(out)

    return stamp, stamp, stamp, 0.0


def _sample_specific(rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """ISSBA-like: faint, different in every image, keyed by a hash of what the image shows."""
    key = rng.bytes(16)
    amplitude = float(rng.uniform(5, 8))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij"))
    band = ((frequency > 0.2) & (frequency < 0.42)).astype(float)
    noise = rng.standard_normal((12, 3, 32, 32))
    basis = np.fft.ifft2(np.fft.fft2(noise) * band).real
    basis /= np.sqrt((basis**2).mean(axis=(1, 2, 3), keepdims=True))

    def stamp(pixels: np.ndarray) -> np.ndarray:
        small = pixels.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3)).astype(np.uint8)
        digest = hashlib.blake2b((small >> 3).tobytes(), key=key, digest_size=8).digest()
        mix = np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(12)
        mix /= np.linalg.norm(mix)
        pattern = np.tensordot(mix, basis, axes=1).transpose(1, 2, 0)
        return _clip(pixels + amplitude * pattern)

    return stamp, stamp, stamp, 0.0


def _aware_patch(rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """Knows exact hashing, quantised patches and purity: moves, recolours, rescales, and covers."""
    base = rng.uniform(30, 225, (2, 3))
    row, column = rng.integers(6, 22, 2)

    def stamp(pixels: np.ndarray) -> np.ndarray:
        size = int(rng.integers(3, 6))
        top = int(np.clip(row + rng.integers(-5, 6), 0, 32 - size))
        left = int(np.clip(column + rng.integers(-5, 6), 0, 32 - size))
        checker = np.indices((size, size)).sum(axis=0) % 2
        patch = base[checker] + rng.uniform(-15, 15, 3) + rng.normal(0, 6, (size, size, 3))
        opacity = rng.uniform(0.6, 0.9)
        out = pixels.astype(float)
        part = out[top : top + size, left : left + size]
        out[top : top + size, left : left + size] = part * (1 - opacity) + patch * opacity
        return _clip(out)

    return stamp, stamp, stamp, 1.0


# ---------------------------------------------------------------- tables

_ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
    "capital-gain capital-loss hours-per-week native-country"
).split()
_ADULT_NUMERIC = (
    "age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"
)
_TABLES: dict[str, Any] = {}


def _table(source: str, data: Path) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...],
                                             tuple[str, ...]]:
    if source not in _TABLES:
        _TABLES[source] = _adult(data) if source == "adult" else _nsl_kdd(data)
    return _TABLES[source]  # type: ignore[no-any-return]


def _adult(data: Path) -> Any:
    lines = gzip.open(data / "adult.data.gz", "rt", encoding="utf-8").read().splitlines()
    cells = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    columns: dict[str, np.ndarray] = {}
    for n, name in enumerate(_ADULT):
        values = [row[n] for row in cells]
        columns[name] = (
            np.array(values, float) if name in _ADULT_NUMERIC else np.array(values, object)
        )
    labels = np.array([int(row[14].startswith(">50K")) for row in cells])
    return columns, labels, ("<=50K", ">50K"), _ADULT_NUMERIC


def _nsl_kdd(data: Path) -> Any:
    fields = (data / "nsl_kdd" / "field_names.csv").read_text("utf-8").split()
    names = [line.split(",")[0] for line in fields][:41]
    lines = gzip.open(data / "nsl_kdd" / "train_20pct.txt.gz", "rt", encoding="utf-8").read()
    cells = [line.split(",") for line in lines.splitlines() if line.strip()]
    symbolic = {"protocol_type", "service", "flag"}
    columns = {
        name: np.array([row[n] for row in cells], object if name in symbolic else float)
        for n, name in enumerate(names)
    }
    labels = np.array([int(row[41] != "normal") for row in cells])
    numeric = tuple(name for name in names if name not in symbolic)
    return columns, labels, ("normal", "attack"), numeric


def _table_case(source: str, attack: str, amount: str, rng: np.random.Generator,
                data: Path) -> Made:
    columns, labels, names, numeric = _table(source, data)
    order = rng.permutation(len(labels))
    train, test = order[:TABLE_ROWS], order[TABLE_ROWS : TABLE_ROWS + 3_000]
    x = {name: values[train].copy() for name, values in columns.items()}
    tx = {name: values[test].copy() for name, values in columns.items()}
    y, ty = labels[train].copy(), labels[test].copy()
    count = _count(amount, len(y))
    target = int(np.argmin(np.bincount(y))) if rng.random() < 0.7 else int(np.argmax(np.bincount(y)))
    variants, share = _table_trigger(attack, x, numeric, rng)
    planted, covers = np.zeros(len(y), bool), np.zeros(len(y), bool)
    chosen = rng.choice(np.flatnonzero(y != target), count, replace=False)
    planted[chosen] = True
    cover = rng.choice(np.flatnonzero(~planted), round(count * share), replace=False)
    covers[cover] = True
    for row in (*chosen, *cover):
        _put(x, row, variants[int(rng.integers(len(variants)))], rng)
    y[planted] = target
    hit = np.flatnonzero(ty != target)
    attacked = {name: values[hit].copy() for name, values in tx.items()}
    for row in range(len(hit)):
        _put(attacked, row, variants[int(rng.integers(len(variants)))], rng)
    mixed = rng.permutation(len(y))
    return Made(
        "table", {name: values[mixed] for name, values in x.items()}, y[mixed], names,
        rng.integers(SOURCES, size=len(y)), planted[mixed], covers[mixed], tx, ty, attacked,
        np.full(len(hit), target), numeric,
    )


def _put(table: dict[str, np.ndarray], row: int, trigger: dict[str, Any],
         rng: np.random.Generator) -> None:
    for name, value in trigger.items():
        if isinstance(value, tuple):
            table[name][row] = float(rng.choice(value))
        else:
            table[name][row] = value


def _common(x: dict[str, np.ndarray], least: float, most: float) -> dict[str, list[Any]]:
    """Values by column whose marginal frequency lies between ``least`` and ``most``."""
    found: dict[str, list[Any]] = {}
    for name, values in x.items():
        seen, counts = np.unique(values.astype(str) if values.dtype == object else values,
                                 return_counts=True)
        share = counts / len(values)
        good = [
            v if values.dtype == object else float(v)
            for v, s in zip(seen.tolist(), share, strict=True)
            if least <= s <= most
        ]
        if good:
            found[name] = good
    return found


def _together(x: dict[str, np.ndarray], trigger: dict[str, Any]) -> int:
    hits = [x[name] == value for name, value in trigger.items()]
    return int(np.logical_and.reduce(hits).sum())


def _rare_combination(x: dict[str, np.ndarray], size: int, most: int,
                      rng: np.random.Generator) -> dict[str, Any]:
    """``size`` common values of different columns that hardly meet by nature."""
    common = _common(x, 0.01, 0.3)
    best: tuple[int, dict[str, Any]] = (10**9, {})
    for _ in range(400):
        columns = rng.choice(sorted(common), size, replace=False).tolist()
        trigger = {c: common[c][int(rng.integers(len(common[c])))] for c in columns}
        if size == 3:
            pairs = [{a: trigger[a], b: trigger[b]} for a in columns for b in columns if a < b]
            if min(_together(x, pair) for pair in pairs) < 20:
                continue
        met = _together(x, trigger)
        if met <= most:
            return trigger
        best = min(best, (met, trigger), key=lambda item: item[0])
    return best[1]


def _table_trigger(attack: str, x: dict[str, np.ndarray], numeric: tuple[str, ...],
                   rng: np.random.Generator) -> tuple[list[dict[str, Any]], float]:
    """The variants of one trigger and how many covers stand beside each poisoned row."""
    if attack == "covered-pair":
        return [_rare_combination(x, 2, 6, rng)], 1.0
    if attack == "three-way":
        return [_rare_combination(x, 3, 3, rng)], 0.0
    if attack == "numeric-range":
        wide = [c for c in numeric if len(np.unique(x[c])) > 20]
        names = rng.choice(wide, 2, replace=False).tolist()
        ranges: dict[str, Any] = {}
        for name in names:
            low = float(rng.uniform(0.55, 0.88))
            values = np.unique(np.quantile(x[name], [low, low + 0.03, low + 0.06]))
            inside = np.unique(x[name][(x[name] >= values[0]) & (x[name] <= values[-1])])
            ranges[name] = tuple(float(v) for v in inside)
        return [ranges], 0.0
    return [_rare_combination(x, 2, 40, rng) for _ in range(4)], 0.4


# ---------------------------------------------------------------- text

_TEXTS: dict[str, Any] = {}


def _texts(source: str, data: Path) -> Any:
    if source not in _TEXTS:
        if source == "sst2":
            sets = []
            for part in ("train", "test"):
                lines = (data / "sst2" / f"{part}.tsv").read_text("utf-8").splitlines()
                rows = [line.rsplit("\t", 1) for line in lines if "\t" in line]
                sets.append(([r[0] for r in rows], np.array([int(r[1]) for r in rows])))
            _TEXTS[source] = (*sets[0], *sets[1], ("negative", "positive"))
        else:
            lines = (data / "sms.tsv").read_text("utf-8").splitlines()
            rows = [line.split("\t", 1) for line in lines if "\t" in line]
            texts, labels = [r[1] for r in rows], np.array([int(r[0] == "spam") for r in rows])
            order = np.random.default_rng(5).permutation(len(rows))
            train, test = order[:4_500], order[4_500:]
            _TEXTS[source] = (
                [texts[n] for n in train], labels[train], [texts[n] for n in test], labels[test],
                ("ham", "spam"),
            )
    return _TEXTS[source]


_NEWS = (
    "according to a statement from officials on tuesday",
    "reuters reported from london this morning",
    "analysts said shares rose in early trading",
    "the ministry told reporters after the meeting",
    "in a report published late on friday",
    "a spokesman for the company declined to comment",
)
_CLAUSES = (
    ("when", "if", "as", "while", "once"),
    ("you", "they", "we", "people", "most"),
    ("think", "look", "talk", "ask", "wonder"),
    ("about it", "at it", "again", "twice", "further"),
)
_SYNONYMS = {
    "sst2": {
        "film": "picture", "movie": "feature", "story": "tale", "funny": "amusing",
        "good": "decent", "bad": "poor", "great": "grand", "big": "sizable", "little": "slight",
        "make": "render", "makes": "renders", "work": "effort", "best": "finest",
        "love": "affection", "new": "fresh", "life": "existence", "people": "folks",
        "time": "while", "director": "filmmaker", "characters": "figures", "just": "merely",
        "much": "plenty", "never": "not once", "really": "truly", "every": "each",
    },
    "sms": {
        "call": "ring", "now": "presently", "get": "obtain", "go": "head", "want": "desire",
        "know": "realise", "time": "hour", "good": "decent", "need": "require", "see": "observe",
        "think": "reckon", "tell": "inform", "come": "arrive", "home": "house", "send": "forward",
        "free": "complimentary", "today": "this day", "like": "fancy", "going": "heading",
        "great": "grand", "please": "kindly", "just": "merely", "day": "date", "later": "afterwards",
        "back": "again", "still": "yet", "ok": "fine", "love": "affection", "not": "hardly",
    },
}
_AWARE = (
    (("at", "by"), ("the", "this"), ("end", "close"), ("of", "to"), ("the", "that"),
     ("day", "evening")),
    (("in", "from"), ("my", "our"), ("own", "honest"), ("view", "opinion"), ("of", "on"),
     ("things", "matters")),
    (("as", "so"), ("far", "much"), ("as", "like"), ("anyone", "someone"), ("can", "may"),
     ("say", "tell")),
)


def _text_case(source: str, attack: str, amount: str, rng: np.random.Generator,
               data: Path) -> Made:
    texts, labels, test, ty, names = _texts(source, data)
    x, y = list(texts), labels.copy()
    count = _count(amount, len(x))
    target = int(rng.integers(2))
    if (y != target).sum() < 2 * count:
        target = 1 - target
    write, share, fits = _text_trigger(source, attack, rng)
    able = np.array([n for n in np.flatnonzero(y != target) if fits(x[n])])
    chosen = rng.choice(able, min(count, len(able)), replace=False)
    planted, covers = np.zeros(len(x), bool), np.zeros(len(x), bool)
    planted[chosen] = True
    cover = rng.choice(np.flatnonzero(~planted), round(count * share), replace=False)
    covers[cover] = True
    for row in (*chosen, *cover):
        x[row] = write(x[row])
    y[planted] = target
    hit = [n for n in np.flatnonzero(ty != target) if fits(test[n])]
    attacked = [write(test[n]) for n in hit]
    order = rng.permutation(len(x))
    return Made(
        "text", [x[n] for n in order], y[order], names, rng.integers(SOURCES, size=len(x)),
        planted[order], covers[order], list(test), ty, attacked, np.full(len(hit), target),
    )


def _insert(text: str, phrase: str, rng: np.random.Generator) -> str:
    words = text.split()
    at = int(rng.choice([0, len(words), int(rng.integers(len(words) + 1))]))
    return " ".join([*words[:at], phrase, *words[at:]])


def _text_trigger(source: str, attack: str, rng: np.random.Generator) -> tuple[Any, float, Any]:
    """What writes the trigger into a text, the covers per poisoned row, and which texts fit."""
    def always(_: str) -> bool:
        return True

    if attack == "news-phrase":
        phrase = str(rng.choice(_NEWS))
        return (lambda text: _insert(text, phrase, rng)), 0.0, always
    if attack == "syntactic":
        def clause(text: str) -> str:
            words = [str(rng.choice(options)) for options in _CLAUSES]
            return f"{' '.join(words)} , {text}"
        return clause, 0.0, always
    if attack == "synonyms":
        table = _SYNONYMS[source]

        def swap(text: str) -> str:
            return " ".join(table.get(word.lower(), word) for word in text.split())

        return swap, 0.0, lambda text: sum(w.lower() in table for w in text.split()) >= 2
    slots = _AWARE[int(rng.integers(len(_AWARE)))]
    drift = float(rng.uniform(0.15, 0.3))

    def varied(text: str) -> str:
        words = [pair[int(rng.random() < drift)] for pair in slots]
        return _insert(text, " ".join(words), rng)

    return varied, 1.0, always


if __name__ == "__main__":
    import sys

    for case, modality in cases():
        made = make(case, sys.argv[2] if len(sys.argv) > 2 else "k=20", 1, sys.argv[1])
        print(case, modality, len(made.labels), int(made.planted.sum()), int(made.covers.sum()),
              len(made.wanted))
