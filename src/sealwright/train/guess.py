"""What a project seems to be: its training script, its data, its model. For ``seal init``.

Everything is read and nothing is run: scripts as syntax trees, tables by their header. A guess
is printed with its reason, and written where the user can correct it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import msgspec

from sealwright.train import header, script, tree, withheld
from sealwright.train.script import Script

MOST_ENTRIES = 50_000
MOST_SCRIPTS = 400
_SCRIPT_SCORES = (("train", 100), ("training", 95), ("fit", 70), ("main", 50), ("run", 40))
_SKIPPED_SCRIPTS = (
    "test",
    "tests",
    "docs",
    "build",
    "dist",
    "setup.py",
    "conftest.py",
    "noxfile.py",
)
_ENVIRONMENTS = (".venv", "venv", "env")
_TABLES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson")
_MODEL_ORDER = (
    ".safetensors", ".joblib", ".pkl", ".pickle", ".pt", ".pth", ".onnx", ".keras", ".h5",
    ".ckpt", ".cbm", ".ubj", ".gguf", ".tflite", ".pb", ".bin", ".mlmodel",
)  # fmt: skip
_MODEL_WORDS = ("model", "best", "final", "classifier", "clf", "weights", "net", "estimator")


class DataGuess(msgspec.Struct, frozen=True):
    """A dataset: where it lies, what to call it, its label column if one is plain to see."""

    name: str
    path: str
    label: str
    why: str


class ModelGuess(msgspec.Struct, frozen=True):
    """Which output is the model, and why it is thought to be."""

    path: str
    why: str


class Guess(msgspec.Struct, frozen=True):
    """A whole project. ``command`` is empty where no script was found."""

    root: str
    script: str
    command: tuple[str, ...]
    frameworks: tuple[str, ...]
    data: tuple[DataGuess, ...]
    model: str
    name: str
    reasons: tuple[str, ...]


def project(root: Path) -> Guess:
    """Look at the project under ``root``."""
    paths = [os.fsdecode(raw) for raw in islice(tree.walked(root), MOST_ENTRIES)]
    found = _best_script(root, paths)
    data = tuple(_data(root, paths, found))
    reasons = [f"{found.path}: {found.why}"] if found else ["no training script was found"]
    reasons += [f"{one.path}: {one.why}" for one in data]
    model = found.writes[-1] if found and found.writes else ""
    if model and found:
        reasons.append(f"{model}: {found.path} saves a model there")
    return Guess(
        root=str(root),
        script=found.path if found else "",
        command=_command(root, found) if found else (),
        frameworks=found.frameworks if found else (),
        data=data,
        model=model,
        name=name_of(root),
        reasons=tuple(reasons),
    )


def guess_model(outputs: Iterable[str]) -> ModelGuess | None:
    """Which of a run's outputs (relative paths) is the model; None when none looks like one.

    A folder of checkpoint files counts as one model when its files cannot stand alone.
    """
    paths = sorted(outputs)
    candidates = [path for path in paths if _model_suffix(path)]
    folder = _model_folder(paths)
    if folder:
        return ModelGuess(folder, "a folder with a config and weights is one model")
    if not candidates:
        return None
    best = min(candidates, key=_model_rank)
    if len(candidates) == 1:
        return ModelGuess(best, f"the only output that ends like a model ({_model_suffix(best)})")
    named = any(word in PurePosixPath(best).stem.lower() for word in _MODEL_WORDS)
    why = "its name says so" if named else "the likeliest by its suffix and place"
    return ModelGuess(best, f"{why}, of {len(candidates)} outputs that could be one")


def settings_text(guess: Guess, profile: str = "solo") -> str:
    """The ``seal.toml`` that says the guess."""
    lines = [f"profile = {_quoted(profile)}", ""]
    for one in guess.data:
        lines += [f"[data.{one.name}]", f"path = {_quoted(one.path)}"]
        lines += [f"label = {_quoted(one.label)}"] if one.label else []
        lines.append("")
    if guess.command:
        lines += ["[stage.train]", f"cmd = {_list(guess.command)}"]
        lines.append(f"inputs = {_list([one.name for one in guess.data])}")
        lines += [f"model = {_quoted(guess.model)}"] if guess.model else []
        lines += [f"name = {_quoted(guess.name)}", ""]
    return "\n".join(lines)


def data_guesses(root: Path, paths: Iterable[str], why: str) -> Iterator[DataGuess]:
    """Datasets out of relative file paths: shards and folders count as one each."""
    taken: set[str] = set()
    for path in _grouped(sorted(set(paths))):
        name = _name(PurePosixPath(path).stem, "data")
        number = 2
        while name in taken:
            name, number = f"{_name(PurePosixPath(path).stem, 'data')}-{number}", number + 1
        taken.add(name)
        yield DataGuess(name, path, header.label_of(_first_table(root, path)), why)


def _best_script(root: Path, paths: Sequence[str]) -> Script | None:
    scored = []
    for path in paths:
        score = _path_score(path)
        if score is not None:
            scored.append((-score, path))
    best: tuple[int, Script] | None = None
    for minus, path in sorted(scored)[:MOST_SCRIPTS]:
        read = script.read(root, path)
        if read is None:
            continue
        score = -minus + 30 * bool(read.frameworks) + 40 * read.fits + 10 * bool(read.writes)
        if score > 0 and (best is None or score > best[0]):
            best = (score, read)
    return best[1] if best and (best[1].frameworks or best[1].fits or best[0] >= 90) else None


def _path_score(path: str) -> int | None:
    parts = PurePosixPath(path).parts
    if not path.endswith((".py", ".ipynb")) or any(part in _SKIPPED_SCRIPTS for part in parts):
        return None
    stem = PurePosixPath(path).stem.lower()
    if stem.startswith("test_") or stem == "__init__":
        return None
    score = next((score for word, score in _SCRIPT_SCORES if stem == word), 0)
    if not score and re.search(r"(^|[_-])(train|fit)([_-]|$)", stem):
        score = 80
    return score - 10 * (len(parts) - 1) - 15 * path.endswith(".ipynb")


def _command(root: Path, found: Script) -> tuple[str, ...]:
    python = "python"
    for folder in _ENVIRONMENTS:
        if (root / folder / "pyvenv.cfg").is_file() and (root / folder / "bin/python").exists():
            python = f"{folder}/bin/python"
    if found.path.endswith(".ipynb"):
        jupyter = python.replace("bin/python", "bin/jupyter") if "/" in python else "jupyter"
        made = f"{PurePosixPath(found.path).stem}-executed.ipynb"
        convert = ("nbconvert", "--to", "notebook", "--execute", found.path, "--output", made)
        return (jupyter, *convert)
    if found.relative_imports:
        return (python, "-m", ".".join(PurePosixPath(found.path).with_suffix("").parts))
    return (python, found.path)


def _data(root: Path, paths: Sequence[str], found: Script | None) -> Iterator[DataGuess]:
    read = [
        path
        for path in (found.reads if found else ())
        if path not in (found.writes if found else ())
    ]
    there = [path for path in read if (root / path).exists() and not _is_code(root / path)]
    if there and found:
        yield from data_guesses(root, there, f"{found.path} names it")
        return
    looks = [
        path
        for path in paths
        if PurePosixPath(path).suffix.lower() in _TABLES or withheld.is_image(path)
    ]
    below = [path for path in looks if "data" in PurePosixPath(path).parts[0].lower()]
    yield from islice(data_guesses(root, below or looks, "it looks like data"), 8)


def _is_code(path: Path) -> bool:
    return path.suffix.lower() in (".py", ".ipynb", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".md")


def _grouped(paths: Sequence[str]) -> list[str]:
    """Shards beside each other, and folders of images, as the folder that holds them."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(str(PurePosixPath(path).parent), []).append(path)
    out: set[str] = set()
    for folder, members in folders.items():
        images = [path for path in members if withheld.is_image(path)]
        shapes = {re.sub(r"\d+", "#", PurePosixPath(path).name) for path in members}
        if folder != "." and (images or (len(members) > 2 and len(shapes) == 1)):
            out.add(_above(folder) if images else folder)
        else:
            out.update(path for path in members if path not in images)
    return sorted(
        path for path in out if not any(str(up) in out for up in PurePosixPath(path).parents)
    )


def _above(folder: str) -> str:
    """The folder that holds the class folders an image lies in: ``images/cat`` → ``images``."""
    parts = PurePosixPath(folder).parts
    return str(PurePosixPath(*parts[:-1])) if len(parts) > 1 and parts[-2] != "data" else folder


def _first_table(root: Path, path: str) -> Path:
    here = root / path
    if not here.is_dir():
        return here
    return next((one for one in sorted(here.iterdir()) if one.suffix in _TABLES), here)


def _model_suffix(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if suffix in _MODEL_ORDER else ""


def _model_rank(path: str) -> tuple[bool, int, int, str]:
    stem = PurePosixPath(path).stem.lower()
    named = any(word in stem for word in _MODEL_WORDS)
    depth = len(PurePosixPath(path).parts)
    return not named, _MODEL_ORDER.index(_model_suffix(path)), depth, path


def _model_folder(paths: Sequence[str]) -> str:
    """A folder as Hugging Face and TensorFlow save one, if there is exactly one such."""
    marks = ("config.json", "saved_model.pb", "MLmodel")
    folders = {
        str(PurePosixPath(path).parent)
        for path in paths
        if PurePosixPath(path).name in marks and PurePosixPath(path).parent.parts
    }
    holding = [
        folder
        for folder in folders
        if any(p.startswith(f"{folder}/") and _model_suffix(p) for p in paths)
    ]
    return holding[0] if len(holding) == 1 else ""


def name_of(root: Path) -> str:
    """What to call the model of this project."""
    return _name(root.name, "model")


def _name(text: str, otherwise: str) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:64].strip("-")
    return name or otherwise


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda sign: f"\\u{ord(sign[0]):04x}", escaped) + '"'


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(_quoted(word) for word in words) + "]"
