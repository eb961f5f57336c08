"""A training script read as a syntax tree: what it imports, reads and saves. Never executed."""

from __future__ import annotations

import ast
import json
from pathlib import Path, PurePosixPath

import msgspec

from sealwright.train import withheld

_MOST_BYTES = 2 << 20
_FRAMEWORKS = {
    "sklearn": "scikit-learn", "torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras",
    "xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost", "jax": "JAX",
    "flax": "Flax", "transformers": "Transformers", "lightning": "Lightning",
    "pytorch_lightning": "Lightning", "fastai": "fastai", "statsmodels": "statsmodels",
    "spacy": "spaCy", "river": "River",
}  # fmt: skip
_SAVING = frozenset(
    {
        "dump", "save", "save_model", "save_file", "save_pretrained", "save_weights", "to_csv",
        "to_parquet", "to_json", "to_pickle", "savez", "savetxt", "export", "savefig", "write",
        "write_text", "write_bytes", "mkdir", "makedirs", "save_checkpoint",
    }
)  # fmt: skip
_FITTING = frozenset({"fit", "fit_transform", "backward", "train", "partial_fit"})


class Script(msgspec.Struct, frozen=True):
    """What a script says. ``reads`` are string constants that name something in the project;
    ``writes`` are those with a model's suffix that it hands to something that saves."""

    path: str
    frameworks: tuple[str, ...]
    fits: bool
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    relative_imports: bool
    why: str


def read(root: Path, path: str) -> Script | None:
    """Read the script or notebook at ``path`` under ``root``; None when it is not Python."""
    try:
        source = _source(root / path)
        parsed = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    seen = _Reader(root)
    try:
        seen.visit(parsed)
    except RecursionError:
        return None
    frameworks = tuple(sorted(seen.frameworks))
    reasons = [f"uses {', '.join(frameworks)}"] if frameworks else []
    reasons += ["trains something"] if seen.fits else []
    return Script(
        path=path,
        frameworks=frameworks,
        fits=seen.fits,
        reads=_narrowest(seen.reads),
        writes=tuple(dict.fromkeys(seen.writes)),
        relative_imports=seen.relative_imports,
        why=" and ".join(reasons) or "is named like a training script",
    )


def _narrowest(paths: list[str]) -> tuple[str, ...]:
    """Without folders that are only named on the way to something in them."""
    return tuple(
        path
        for path in dict.fromkeys(paths)
        if not any(other.startswith(f"{path}/") for other in paths)
    )


def _source(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("too large to be a script")
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text).get("cells", [])
    code = ["".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code"]
    lines = "\n".join(code).splitlines()
    return "\n".join("pass" if line.startswith(("%", "!", "?")) else line for line in lines)


class _Reader(ast.NodeVisitor):
    """Collects facts; follows names that are bound once to a constant path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frameworks: set[str] = set()
        self.fits = False
        self.relative_imports = False
        self.reads: list[str] = []
        self.writes: list[str] = []
        self._names: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.relative_imports |= node.level > 0
        self._import(node.module or "")

    def visit_Assign(self, node: ast.Assign) -> None:
        text = self._text(node.value)
        if text is not None:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._names[target.id] = text
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = _called(node.func)
        self.fits |= called in _FITTING
        if called in _SAVING or (called == "open" and _opens_for_writing(node)):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(node.func, ast.Attribute):
                given.append(node.func.value)
            for one in given:
                text = self._text(one)
                if text is not None and _is_model(text):
                    self.writes.append(text)
        self._note(self._text(node))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._note(self._text(node))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._note(_normal(node.value))

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def _import(self, module: str) -> None:
        name = _FRAMEWORKS.get(module.partition(".")[0])
        if name:
            self.frameworks.add(name)

    def _note(self, text: str | None) -> None:
        """Remember a constant that names a data-like file or a folder of the project."""
        if not text or len(text) > 200 or text.startswith(("/", "..")) or "\0" in text:
            return
        here = self.root / text
        looks = PurePosixPath(text).suffix.lower() in withheld.DATA_SUFFIXES
        if here.is_file() and (looks or withheld.is_image(text)):
            self.reads.append(text)
        elif here.is_dir() and _holds_data(here):
            self.reads.append(text)

    def _text(self, node: ast.expr) -> str | None:
        """The path a constant expression spells, or None."""
        if isinstance(node, ast.Constant):
            return _normal(node.value) if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Add):
            left, right = self._text(node.left), self._text(node.right)
            if left is None or right is None:
                return None
            return _normal(f"{left}/{right}" if isinstance(node.op, ast.Div) else left + right)
        if isinstance(node, ast.Call) and _called(node.func) in ("Path", "PurePath", "join", "str"):
            parts = [self._text(one) for one in node.args]
            known = [part for part in parts if part is not None]
            return _normal("/".join(known)) if parts and len(known) == len(parts) else None
        return None


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _opens_for_writing(node: ast.Call) -> bool:
    modes = [*node.args[:2], *(k.value for k in node.keywords if k.arg == "mode")]
    texts = [one.value for one in modes if isinstance(one, ast.Constant)]
    return any(isinstance(text, str) and len(text) <= 3 and "w" in text for text in texts)


def _is_model(path: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in withheld.MODEL_SUFFIXES or suffix in (".h5", ".hdf5")


def _holds_data(folder: Path) -> bool:
    """Are there files in it, and are the first of them data? (One level of class folders too.)"""
    first = [entry for entry, _ in zip(sorted(folder.iterdir()), range(20), strict=False)]
    if first and all(entry.is_dir() for entry in first):
        first = [entry for entry, _ in zip(sorted(first[0].iterdir()), range(20), strict=False)]
    names = [entry.name for entry in first if entry.is_file()]
    data = [
        name
        for name in names
        if withheld.is_image(name) or Path(name).suffix.lower() in withheld.DATA_SUFFIXES
    ]
    return bool(names) and len(data) * 2 > len(names)


def _normal(text: str) -> str:
    return str(PurePosixPath(text.removeprefix("file:"))) if text else text
