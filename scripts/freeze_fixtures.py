"""Turns other tools' published tests into two fixture files. Reads git snapshots, runs nothing.

    python freeze_fixtures.py MIRROR_DIR

Each line: {"text", "kind", "positive", "expected", "strong", "source"}. ``expected`` is how many
hits that tool's own test demands; ``strong`` is false where the tool itself scores the hit below
0.4 (a bare run of digits that only context could explain). ``kind`` is that tool's own name.
"""

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Repo:
    def __init__(self, mirror: Path, name: str) -> None:
        self.name, self.git = name, mirror / name.replace("/", "+") / "repo"
        self.commit = self._run("rev-parse", "HEAD").strip()[:12]

    def _run(self, *args: str) -> str:
        done = subprocess.run(["git", "-C", str(self.git), *args], capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace")

    def files(self, under: str, pattern: str) -> list[str]:
        names = self._run("ls-tree", "-r", "--name-only", "HEAD", under).splitlines()
        return sorted(n for n in names if re.search(pattern, n))

    def read(self, path: str) -> str:
        return self._run("show", f"HEAD:{path}")

    def source(self, path: str) -> str:
        return f"{self.name}@{self.commit}:{path}"


# ---- python tests: @pytest.mark.parametrize rows, read as literals

def literal(node: ast.AST, names: dict[str, Any]) -> Any:
    """A value made of literals, names bound at module level, ``+``, ``%``, f-strings, format."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return [literal(x, names) for x in node.elts]
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -literal(node.operand, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left, names) + literal(node.right, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return literal(node.left, names) * literal(node.right, names)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(literal(v.value if isinstance(v, ast.FormattedValue) else v, names))
            for v in node.values
        )
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        s = node.slice
        return literal(node.value, names)[
            literal(s.lower, names) if s.lower else None : literal(s.upper, names) if s.upper
            else None
        ]
    if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr == "format"):
        return literal(node.func.value, names).format(
            *[literal(a, names) for a in node.args],
            **{k.arg: literal(k.value, names) for k in node.keywords if k.arg})
    raise ValueError(ast.dump(node)[:80])


def parametrized(text: str) -> list[tuple[list[str], list[Any], dict[str, Any]]]:
    tree = ast.parse(text)
    names: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                names[node.targets[0].id] = literal(node.value, names)
            except (ValueError, KeyError, TypeError):
                pass
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("entities", "entity"):
            for part in ast.walk(node):
                if isinstance(part, ast.Return) and part.value is not None:
                    try:
                        names["__entities__"] = literal(part.value, names)
                    except (ValueError, KeyError):
                        pass
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                and node.func.attr == "parametrize" and len(node.args) >= 2):
            continue
        try:
            head = literal(node.args[0], names)
        except (ValueError, KeyError):
            continue
        head = [h.strip() for h in (head.split(",") if isinstance(head, str) else head)]
        if not isinstance(node.args[1], (ast.List, ast.Tuple)):
            continue
        rows = []
        for element in node.args[1].elts:
            try:
                row = literal(element, names)
            except (ValueError, KeyError, TypeError):
                continue
            rows.append(row if isinstance(row, list) and len(head) > 1 else [row])
        found.append((head, rows, names))
    return found


def low_score(row: dict[str, Any]) -> bool:
    """True where the tool's own test allows the best hit no more than a score below 0.4."""
    ranges = row.get("expected_score_ranges") or row.get("expected_score_range")
    if not ranges:
        return False
    flat: list[float] = []

    def walk(value: Any) -> None:
        if value == "max":
            flat.append(1.0)
        elif isinstance(value, (int, float)):
            flat.append(float(value))
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(ranges)
    return bool(flat) and max(flat) <= 0.4


def presidio(repo: Repo) -> list[dict[str, Any]]:
    out = []
    for path in repo.files("presidio-analyzer/tests", r"/test_\w+_recognizer\.py$"):
        if re.search(r"spacy|stanza|transformers|gliner|huggingface|medical|language|azure|ahds|"
                     r"langextract|lm_|pattern_|entity_recognizer", path):
            continue
        stem = re.search(r"test_(\w+)_recognizer", path)
        assert stem
        for head, rows, names in parametrized(repo.read(path)):
            if "text" not in head and "iban" not in head:
                continue
            count = next((h for h in head if h in ("expected_len", "expected_length")), None)
            if count is None:
                continue
            for values in rows:
                row = dict(zip(head, values, strict=False))
                text, expected = row.get("text", row.get("iban")), row.get(count)
                if not isinstance(text, str) or not isinstance(expected, int):
                    continue
                entity = row.get("entities") or names.get("__entities__") or [stem.group(1)]
                kind = entity[0] if isinstance(entity, list) and entity else str(entity)
                out.append({
                    "text": text, "kind": str(kind), "positive": expected > 0,
                    "expected": expected, "strong": not low_score(row),
                    "source": repo.source(path),
                })
    return out


def detect_secrets(repo: Repo) -> list[dict[str, Any]]:
    out = []
    for path in repo.files("tests/plugins", r"_test\.py$"):
        kind = Path(path).stem.removesuffix("_test")
        if kind in ("base", "keyword", "high_entropy_strings", "ip_public"):
            continue
        for head, rows, _ in parametrized(repo.read(path)):
            if head[0] not in ("line", "payload", "token", "secret", "file_content"):
                continue
            for values in rows:
                flag = values[1] if len(values) > 1 else True
                if isinstance(values[0], str) and isinstance(flag, (bool, int)):
                    out.append({
                        "text": values[0], "kind": kind, "positive": bool(flag),
                        "expected": int(flag), "strong": True, "source": repo.source(path),
                    })
    return out


# ---- go tests: string literals of the true and false positives

GO_STRING = r'(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`)'
CLASSES = {
    "Numeric": "0123456789", "Hex": "0123456789abcdef",
    "AlphaNumeric": "0123456789abcdefghijklmnopqrstuvwxyz",
    "AlphaNumericExtendedShort": "0123456789abcdefghijklmnopqrstuvwxyz_-",
    "AlphaNumericExtended": "0123456789abcdefghijklmnopqrstuvwxyz=_-",
    "AlphaNumericExtendedLong": "0123456789abcdefghijklmnopqrstuvwxyz/=_+-",
}


def go_value(token: str) -> str:
    if token.startswith("`"):
        return token[1:-1]
    try:
        return str(json.loads(token.replace("\\'", "'").replace("\\x60", "`")))
    except ValueError:
        return token[1:-1]


def sample_class(body: str) -> str:
    chars, n = "", 0
    while n < len(body):
        if body[n] == "\\" and n + 1 < len(body):
            chars += {"d": "0123456789", "w": CLASSES["AlphaNumeric"] + "_"}.get(
                body[n + 1], body[n + 1])
            n += 2
        elif n + 2 < len(body) and body[n + 1] == "-":
            chars += "".join(map(chr, range(ord(body[n]), ord(body[n + 2]) + 1)))
            n += 3
        else:
            chars += body[n]
            n += 1
    return chars


def sample_regex(pattern: str, rng: random.Random) -> str:
    """A string of a simple pattern: literals, classes, {n}, {n,m}, (a|b); '' if it is not simple."""
    pattern = re.sub(r"\(\?i:?\)?", "", pattern)
    pattern = re.sub(r"\((?:\?:)?([^()]*)\)", lambda m: rng.choice(m.group(1).split("|")), pattern)
    out = ""
    for m in re.finditer(r"(\[(?:[^\]\\]|\\.)+\]|\\.|[^\\\[\](){}|])(?:\{(\d+)(,?)(\d*)\})?",
                         pattern):
        body = m.group(1)
        chars = sample_class(body[1:-1]) if body[0] == "[" else sample_class(body)
        low = int(m.group(2) or 1)
        high = int(m.group(4) or (low + 8 if m.group(3) else low))
        out += "".join(rng.choice(chars) for _ in range(rng.randint(low, high)))
    return out


def generated(block: str, rng: random.Random) -> str:
    """``secrets.NewSecret(...)`` and fmt.Sprintf replaced by drawn literals."""
    def draw(m: re.Match[str]) -> str:
        inner = m.group(1).strip()
        call = re.match(r'utils\.(\w+)\("?([\d,]*)"?\)', inner)
        if call and call.group(1) == "Hex8_4_4_4_12":
            text = "-".join("".join(rng.choice("0123456789abcdef") for _ in range(n))
                            for n in (8, 4, 4, 4, 12))
        elif call and call.group(1) in CLASSES:
            size = int((call.group(2) or "32").split(",")[0] or 32)
            text = "".join(rng.choice(CLASSES[call.group(1)]) for _ in range(size))
        elif re.fullmatch(GO_STRING, inner):
            text = sample_regex(go_value(inner), rng)
        else:
            return "UNREADABLE"
        return json.dumps(text)

    block = re.sub(
        r"secrets\.NewSecret(?:WithEntropy)?\(((?:[^()`\"]|" + GO_STRING
        + r"|\((?:[^()`\"]|" + GO_STRING + r")*\))*?)(?:,\s*[\d.]+)?\)", draw, block)

    def sprintf(m: re.Match[str]) -> str:
        args = [go_value(x) for x in re.findall(GO_STRING, m.group(2))]
        form = go_value(m.group(1))
        if form.count("%s") != len(args):
            return "UNREADABLE"
        for arg in args:
            form = form.replace("%s", arg, 1)
        return json.dumps(form)

    block = re.sub(r"fmt\.Sprintf\((" + GO_STRING + r"),((?:\s*" + GO_STRING + r"\s*,?)+)\)",
                   sprintf, block)
    joined = re.compile("(" + GO_STRING + r")\s*\+\s*(" + GO_STRING + ")")
    while joined.search(block):
        block = joined.sub(lambda m: json.dumps(go_value(m.group(1)) + go_value(m.group(2))), block,
                           count=1)
    return block


FORMS = ('{i}Token="{s}"', "{i}_token: {s}", '{{\n    "{i}_token": "{s}"\n}}', "{i}Token = '{s}'",
         "var {i}Token string = \"{s}\"")


def gitleaks(repo: Repo) -> list[dict[str, Any]]:
    out = []
    for path in repo.files("cmd/generate/config/rules", r"/rules/\w+\.go$"):
        if path.endswith(("_test.go", "rule.go")):
            continue
        text = re.sub(r"(?m)^\s*//.*$", "", repo.read(path))
        rng = random.Random(f"{path}")
        for function in re.split(r"(?m)^func ", text)[1:]:
            rule = re.search(r'RuleID:\s*"([^"]+)"', function)
            if not rule:
                continue
            body = generated(function, rng)
            for positive, block in blocks(body):
                for value in strings(block):
                    if len(value) < 4000:
                        out.append({
                            "text": value, "kind": rule.group(1), "positive": positive,
                            "expected": int(positive), "strong": True,
                            "source": repo.source(path),
                        })
    return out


def blocks(body: str) -> list[tuple[bool, str]]:
    found = []
    for m in re.finditer(r"\b(tps|fps)\s*:?=\s*", body):
        depth, n = 0, m.end()
        while n < len(body):
            quoted = re.match(GO_STRING, body[n:])
            if quoted:
                n += quoted.end()
                continue
            if body[n] in "{([":
                depth += 1
            elif body[n] in "})]":
                depth -= 1
            elif body[n] == "\n" and depth == 0:
                break
            n += 1
        found.append((m.group(1) == "tps", body[m.end():n]))
    return found


def strings(block: str) -> list[str]:
    """The sample lines of a block: plain literals, and those of GenerateSampleSecret(s)."""
    values: list[str] = []

    def sample(m: re.Match[str]) -> str:
        name, secret = go_value(m.group(2)), go_value(m.group(3))
        if m.group(1):
            values.extend(form.format(i=name, s=secret) for form in FORMS)
        else:
            values.append(f'{name}_api_token = "{secret}"')
        return " "

    rest = re.sub(r"utils\.GenerateSampleSecret(s?)\(\s*(" + GO_STRING + r")\s*,\s*(" + GO_STRING
                  + r")\s*\)", sample, block)
    lines = [line for line in rest.splitlines() if "UNREADABLE" not in line and "utils." not in line]
    values.extend(go_value(x) for x in re.findall(GO_STRING, "\n".join(lines)))
    return [v for v in dict.fromkeys(values) if len(v) > 3]


def trufflehog(repo: Repo) -> list[dict[str, Any]]:
    out = []
    for path in repo.files("pkg/detectors", r"_test\.go$"):
        if "integration" in path:
            continue
        text = repo.read(path)
        kind = path.split("/")[2]
        names = {
            m.group(1): go_value(m.group(2))
            for m in re.finditer(r"(?m)^\s*(?:var\s+)?(\w+)\s*:?=\s*(" + GO_STRING + r")\s*$", text)
        }
        for m in re.finditer(
            r"input:\s*(fmt\.Sprintf\((?:[^()`\"]|" + GO_STRING + r")*\)|" + GO_STRING
            + r"|\w+),\s*want:\s*\[\]string\{((?:[^{}`\"]|" + GO_STRING + r")*)\}", text):
            value = go_input(m.group(1), names)
            if value is None or len(value) > 8000:
                continue
            wanted = len([x for x in re.split(r",\s*", m.group(2).strip()) if x.strip()])
            out.append({
                "text": value, "kind": kind, "positive": wanted > 0, "expected": wanted,
                "strong": True, "source": repo.source(path),
            })
    return out


def go_input(expression: str, names: dict[str, str]) -> str | None:
    if re.fullmatch(GO_STRING, expression):
        return go_value(expression)
    if not expression.startswith("fmt.Sprintf"):
        return names.get(expression)
    first = re.match(r"fmt\.Sprintf\(\s*(" + GO_STRING + r")\s*,?(.*)\)$", expression, re.DOTALL)
    if not first:
        return None
    form = go_value(first.group(1))
    for arg in [a.strip() for a in first.group(2).split(",") if a.strip()]:
        value = go_value(arg) if re.fullmatch(GO_STRING, arg) else names.get(arg)
        if value is None:
            return None
        form = form.replace("%s", value, 1)
    return None if "%s" in form else form


def write(name: str, rows: list[dict[str, Any]]) -> None:
    unique = list({(r["text"], r["kind"], r["positive"]): r for r in rows}.values())
    with (HERE / name).open("w", encoding="utf-8") as file:
        for row in unique:
            file.write(json.dumps(row, ensure_ascii=True, sort_keys=True) + "\n")
    by: dict[str, list[int]] = {}
    for row in unique:
        pair = by.setdefault(row["source"].split("@")[0], [0, 0])
        pair[0 if row["positive"] else 1] += 1
    print(name, len(unique), by)


def main() -> None:
    mirror = Path(sys.argv[1])
    write("pii_fixtures.jsonl", presidio(Repo(mirror, "microsoft/presidio")))
    write("secret_fixtures.jsonl",
          gitleaks(Repo(mirror, "gitleaks/gitleaks"))
          + detect_secrets(Repo(mirror, "Yelp/detect-secrets"))
          + trufflehog(Repo(mirror, "trufflesecurity/trufflehog")))


if __name__ == "__main__":
    main()
