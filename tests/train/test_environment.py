from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from sealwright.core.errors import BadInput, VerifyError
from sealwright.train import environment

from .projects import write


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def own(venv: Path, tmp_path: Path) -> Path:
    """A copy of the venv that a test may write into."""
    folder = tmp_path / "own"
    subprocess.run(["cp", "-a", str(venv), str(folder)], check=True)
    return folder


def site(folder: Path) -> Path:
    return next(folder.glob("lib/python3.*/site-packages"))


def install(
    folder: Path, name: str, version: str, files: Mapping[str, str], *, url: str = ""
) -> None:
    """Put a package there as pip would: files, METADATA, RECORD, direct_url.json."""
    info = f"{name}-{version}.dist-info"
    written = {**files, f"{info}/METADATA": f"Name: {name}\nVersion: {version}\n"}
    if url:
        written[f"{info}/direct_url.json"] = json.dumps(
            {"url": url, "dir_info": {"editable": True}}
        )
    rows = []
    for path, content in written.items():
        sha = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={sha.decode()},{len(content)}")
    rows.append(f"../../../bin/{name},sha256={os.urandom(8).hex()},10")
    rows.append(f"{info}/RECORD,,")
    write(site(folder), {**written, f"{info}/RECORD": "\n".join(rows) + "\n"})


def describe(folder: Path, project: Path, **variables: str) -> environment.Environment:
    project.mkdir(exist_ok=True)
    around = {"PATH": f"{folder}/bin:{os.environ['PATH']}"} | variables
    return environment.describe(["python", "train.py"], project, around)


def versions(found: environment.Environment) -> dict[str, str]:
    return {package.name: package.version for package in found.identity.packages}


def test_the_same_environment_twice_has_the_same_digest(own: Path, tmp_path: Path) -> None:
    install(own, "one", "1.0", {"one.py": "x = 1\n"})
    first, second = describe(own, tmp_path / "p"), describe(own, tmp_path / "p")
    assert (first.digest, first.packages_digest) == (second.digest, second.packages_digest)
    assert first.to_bytes() == second.to_bytes()


def test_equal_environments_in_two_places_have_the_same_digest(venv: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        subprocess.run(["cp", "-a", str(venv), str(tmp_path / name)], check=True)
        install(tmp_path / name, "one", "1.0", {"one.py": "x = 1\n"})
    a, b = describe(tmp_path / "a", tmp_path / "p"), describe(tmp_path / "b", tmp_path / "p")
    assert a.digest == b.digest
    assert a.binds != b.binds


@pytest.mark.parametrize("change", ["version", "content", "another", "less"])
def test_a_different_package_is_a_different_environment(
    own: Path, tmp_path: Path, change: str
) -> None:
    install(own, "one", "1.0", {"one.py": "x = 1\n"})
    before = describe(own, tmp_path / "p")
    if change == "another":
        install(own, "two", "1.0", {"two.py": ""})
    else:
        for path in site(own).glob("one*"):
            subprocess.run(["rm", "-r", str(path)], check=True)
        if change == "version":
            install(own, "one", "1.1", {"one.py": "x = 1\n"})
        elif change == "content":
            install(own, "one", "1.0", {"one.py": "x = 2\n"})
    after = describe(own, tmp_path / "p")
    assert before.packages_digest != after.packages_digest
    assert before.digest != after.digest
    assert before.interpreter_digest == after.interpreter_digest


def test_a_virtual_environment_is_described_with_what_lies_beneath_it(
    own: Path, tmp_path: Path
) -> None:
    found = describe(own, tmp_path / "p")
    assert found.interpreter is not None
    assert found.argv == (f"{own}/bin/python", "train.py")
    assert found.interpreter.prefix == str(own)
    assert found.interpreter.real == os.path.realpath(sys.executable)
    assert found.identity.version == ".".join(map(str, sys.version_info[:3]))
    assert found.variables["VIRTUAL_ENV"] == str(own)
    assert found.variables["PATH"].startswith(f"{own}/bin")
    real = Path(os.path.realpath(sys.executable))
    for needed in (own / "bin" / "python", real, Path(os.__file__)):
        system = str(needed).startswith(("/usr/", "/lib"))
        assert system or any(needed.is_relative_to(shown) for shown in found.binds)


def test_a_command_run_with_only_the_shown_paths_finds_its_packages(
    own: Path, tmp_path: Path
) -> None:
    install(own, "one", "1.0", {"one.py": "x = 41\n"})
    found = describe(own, tmp_path / "p")
    answer = subprocess.run(
        [found.argv[0], "-c", "import one; print(one.x + 1)"],
        env=dict(found.variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "42\n"


def test_nothing_of_the_environment_is_run_to_describe_it(own: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w').close()\n"
    write(site(own), {"evil.pth": f"import os; {code}", "sitecustomize.py": code})
    subprocess.run([own / "bin" / "python", "-c", ""], check=True)
    assert marker.exists()
    marker.unlink()
    found = describe(own, tmp_path / "p")
    assert not marker.exists()
    assert "evil.pth" in found.facts["starts"]


def test_an_interpreter_in_the_project_is_read_and_not_started(tmp_path: Path) -> None:
    project = tmp_path / "p"
    marker = tmp_path / "ran"
    write(
        project,
        {
            "env/bin/python": f"\x7fELF\n#!/bin/sh\ntouch {marker}\n",
            "env/conda-meta/python-3.12.4-h99910a6_1.json": "{}",
            "env/conda-meta/mkl-2024.0-hb_1.json": "{}",
            "env/lib/python3.12/site-packages/one-1.0.dist-info/METADATA": "Name: one",
        },
    )
    (project / "env/bin/python").chmod(0o755)
    found = environment.describe(["env/bin/python", "train.py"], project, {"PATH": "/usr/bin"})
    assert not marker.exists()
    assert found.identity.version == "3.12.4"
    assert versions(found) == {"conda:mkl": "2024.0-hb_1", "conda:python": "3.12.4-h99910a6_1"} | {
        "one": "1.0"
    }


def test_a_script_is_described_by_the_interpreter_its_first_line_names(
    own: Path, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    long = f"#!/bin/sh\n'''exec' \"{own}/bin/python\" \"$0\" \"$@\"\n' '''\n"
    write(
        project, {"a": f"#!{own}/bin/python -u\n", "b": "#!/usr/bin/env -S python -u\n", "c": long}
    )
    for name in "abc":
        (project / name).chmod(0o755)
        around = {"PATH": f"{own}/bin:/usr/bin"}
        found = environment.describe([f"./{name}"], project, around)
        assert found.interpreter is not None
        assert found.interpreter.path == f"{own}/bin/python", name
        assert found.argv == (f"{project}/{name}",)


def test_a_first_line_with_an_open_quote_is_no_obstacle(own: Path, tmp_path: Path) -> None:
    project = write(tmp_path / "p", {"odd": f'#!{own}/bin/python "-u\n'})
    (project / "odd").chmod(0o755)
    found = environment.describe(["./odd"], project, {"PATH": "/usr/bin"})
    assert found.interpreter is not None
    assert found.interpreter.prefix == str(own)


def test_a_shell_script_is_described_with_the_python_it_would_find(
    own: Path, tmp_path: Path
) -> None:
    project = write(tmp_path / "p", {"train.sh": "#!/bin/sh\npython train.py\n"})
    (project / "train.sh").chmod(0o755)
    found = environment.describe(["./train.sh"], project, {"PATH": f"{own}/bin:/usr/bin:/bin"})
    assert found.interpreter is not None
    assert found.interpreter.prefix == str(own)


def test_a_shim_is_seen_through(own: Path, tmp_path: Path) -> None:
    pyenv = (
        write(tmp_path, {"pyenv": f"#!/bin/sh\n[ $1 = which ] && echo {own}/bin/$2\n"}) / "pyenv"
    )
    shim = write(tmp_path, {"shims/python": f'#!/bin/sh\nexec "{pyenv}" exec "$0" "$@"\n'})
    pyenv.chmod(0o755)
    (shim / "shims/python").chmod(0o755)
    found = environment.describe(["python"], own, {"PATH": f"{tmp_path}/shims:/usr/bin:/bin"})
    assert found.argv == (f"{own}/bin/python",)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["pythn", "train.py"], "install pythn"),
        (["./train.py"], "seal run -- python ./train.py"),
        (["./missing"], ""),
        ([], "seal run -- python train.py"),
    ],
)
def test_a_command_that_cannot_start_is_refused_with_the_line_that_would(
    tmp_path: Path, argv: list[str], hint: str
) -> None:
    write(tmp_path, {"train.py": "x"})
    with pytest.raises(BadInput) as caught:
        environment.describe(argv, tmp_path, {"PATH": "/usr/bin"})
    assert hint in caught.value.hint


def test_python_that_is_only_there_as_python3_is_named(own: Path, tmp_path: Path) -> None:
    (own / "bin" / "python").unlink()
    (own / "bin" / "python3").unlink()
    (own / "bin" / "python3").symlink_to(sys.executable)
    with pytest.raises(BadInput) as caught:
        environment.describe(["python"], tmp_path, {"PATH": f"{own}/bin"})
    assert caught.value.hint.startswith("seal run -- python3")


def editable(own: Path, source: Path, how: str) -> None:
    """An editable install of ``source``/pkg as setuptools writes them."""
    if how == "pth":
        files = {"__editable__.pkg-1.0.pth": f"{source}\n"}
    else:
        mapping = {"pkg": str(source / "pkg")}
        files = {
            "__editable__.pkg-1.0.pth": "import __editable___pkg_1_0_finder; x.install()\n",
            "__editable___pkg_1_0_finder.py": f"MAPPING: dict[str, str] = {mapping!r}\n",
        }
    install(own, "pkg", "1.0", files, url=f"file://{source}")


@pytest.mark.parametrize("how", ["pth", "finder"])
def test_an_editable_install_in_the_project_does_not_tie_the_environment_to_the_code(
    own: Path, tmp_path: Path, how: str
) -> None:
    project = write(tmp_path / "p", {"src/pkg/__init__.py": "x = 1"})
    editable(own, project / "src", how)
    before = describe(own, project)
    write(project, {"src/pkg/__init__.py": "x = 2"})
    assert describe(own, project).digest == before.digest
    assert not any(Path(shown).is_relative_to(project) for shown in before.binds)


@pytest.mark.parametrize("how", ["pth", "finder"])
def test_an_editable_install_elsewhere_is_shown_and_counted_by_its_files(
    own: Path, tmp_path: Path, how: str
) -> None:
    source = write(tmp_path / "lib", {"pkg/__init__.py": "x = 1", "pkg/.env": "T=1", ".git/x": ""})
    (source / ".git/x").unlink()
    (source / ".git").rmdir()
    editable(own, source, how)
    before = describe(own, tmp_path / "p")
    (package,) = [one for one in before.identity.packages if one.name == "pkg"]
    assert (package.version, package.by) == ("1.0", "tree")
    assert f"{source}/pkg/__init__.py" in before.binds
    assert not any((source / "pkg/.env").is_relative_to(shown) for shown in before.binds)
    write(source, {"pkg/__init__.py": "x = 2"})
    assert describe(own, tmp_path / "p").packages_digest != before.packages_digest


def test_a_link_in_a_source_tree_does_not_widen_what_is_shown(own: Path, tmp_path: Path) -> None:
    private = write(tmp_path / "private", {"diary": "x"})
    source = write(tmp_path / "lib", {"pkg/__init__.py": "", "pkg/.env": ""})
    (source / "pkg/way").symlink_to(private)
    editable(own, source, "pth")
    found = describe(own, tmp_path / "p")
    assert f"{source}/pkg/__init__.py" in found.binds
    assert not any(
        private.is_relative_to(shown) or "way" in shown or str(private) in shown
        for shown in found.binds
    )


def test_pythonpath_is_carried_and_counted(own: Path, tmp_path: Path) -> None:
    extra = write(tmp_path / "extra", {"helper.py": "x = 1"})
    project = tmp_path / "p"
    before = describe(own, project, PYTHONPATH=f"{extra}:src")
    assert before.variables["PYTHONPATH"] == f"{extra}:{project}/src"
    assert str(extra) in before.binds
    write(extra, {"helper.py": "x = 2"})
    after = describe(own, project, PYTHONPATH=f"{extra}:src")
    assert before.packages_digest != after.packages_digest


def test_the_home_and_the_project_are_never_shown_whole(own: Path, tmp_path: Path) -> None:
    home = tmp_path
    found = describe(own, tmp_path / "p", PYTHONPATH=f"{home}:{Path.home()}:{tmp_path}/p")
    shown = {str(home), str(Path.home()), "/", str(tmp_path / "p")} & set(found.binds)
    assert shown == set()
    assert sum("hidden" in note for note in found.notes) == 2


def test_lock_files_are_digested_and_do_not_move_the_environment(own: Path, tmp_path: Path) -> None:
    project = tmp_path / "p"
    before = describe(own, project)
    assert before.lock_digest is None
    write(project, {"requirements.txt": "one==1.0\n"})
    one = describe(own, project)
    write(project, {"uv.lock": "x"})
    two = describe(own, project)
    assert one.lock_digest == hashlib.sha256(b"one==1.0\n").hexdigest()
    assert [lock.path for lock in two.locks] == ["requirements.txt", "uv.lock"]
    assert two.lock_digest != one.lock_digest
    assert before.digest == two.digest


def test_a_program_without_python_is_named_by_its_own_digest(tmp_path: Path) -> None:
    tool = write(tmp_path, {"bin/tool": "#!/bin/sh\ntrue\n"}) / "bin/tool"
    tool.chmod(0o755)
    found = environment.describe(["tool"], tmp_path, {"PATH": f"{tmp_path}/bin"})
    assert found.interpreter is None
    assert found.interpreter_digest == hashlib.sha256(tool.read_bytes()).hexdigest()
    assert "packages are not part of the evidence" in found.notes[0]


def test_a_program_that_changes_before_the_start_is_refused(tmp_path: Path) -> None:
    tool = write(tmp_path, {"bin/tool": "#!/bin/sh\ntrue\n"}) / "bin/tool"
    tool.chmod(0o755)
    found = environment.describe(["tool"], tmp_path, {"PATH": f"{tmp_path}/bin"})
    found.recheck()
    tool.write_text("#!/bin/sh\nfalse\n")
    with pytest.raises(VerifyError) as caught:
        found.recheck()
    assert caught.value.rule == "environment.changed"


def test_the_record_reads_back_as_the_same_identity(own: Path, tmp_path: Path) -> None:
    install(own, "one", "1.0", {"one.py": ""})
    found = describe(own, tmp_path / "p")
    assert environment.identity_from_bytes(found.to_bytes()) == found.identity


@pytest.mark.parametrize("change", [b"{}", b'{"format":"x"}', b"not json"])
def test_a_record_of_another_shape_is_refused(change: bytes) -> None:
    with pytest.raises(VerifyError):
        environment.identity_from_bytes(change)


def test_no_path_and_no_fact_is_part_of_the_identity(own: Path, tmp_path: Path) -> None:
    found = describe(own, tmp_path / "p")
    text = msgspec.json.encode(found.identity).decode()
    assert str(tmp_path) not in text
    assert found.facts["kernel"] not in text
