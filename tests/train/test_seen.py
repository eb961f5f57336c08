"""What a room's Pythons report is bounded, and an environment's own sitecustomize still runs."""

import subprocess
import sys

from sealwright.train import seen
from sealwright.train.seen import HOOK, Seen


def test_only_absolute_paths_are_taken_and_each_once() -> None:
    heard = Seen()
    heard.take(b"/a/b.py\nrelative.py\n\xff\n/a/b.py\n" + b"/" + b"x" * 5000)
    assert (heard.files(), heard.reports) == (("/a/b.py",), 1)


def test_a_flood_of_paths_is_cut(monkeypatch) -> None:
    monkeypatch.setattr(seen, "_MOST_FILES", 10)
    heard = Seen()
    for start in (0, 100):
        heard.take("\n".join(f"/f{start + i}" for i in range(50)).encode())
    assert len(heard.files()) == 10


def test_the_hook_hands_on_to_the_environments_own(tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stdout.write('own ')\n")
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(any('inroom' in p for p in sys.path))"],
        env={"PYTHONPATH": f"{HOOK}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("own False\n", "")


def test_nobody_listening_disturbs_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "print(1)"],
        env={"PYTHONPATH": str(HOOK)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
