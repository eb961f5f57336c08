"""The compiled kernel is trusted only while it agrees with hashlib, and never needed."""

import ctypes
import hashlib
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from record_cases import KEY

from sealwright.intake import kernel, record
from sealwright.intake.kernel_columns import Column
from sealwright.intake.record import leaves, plain_leaves
from sealwright.intake.schema import schema_of

SOURCE = Path(kernel.__file__).with_name("_kernel.c")
BATCH = pa.record_batch({"n": pa.array(range(500)), "s": ["x" * (at % 80) for at in range(500)]})

built = pytest.mark.skipif(kernel.load() is None, reason="the kernel was not built here")
compiler = shutil.which("cc")


@pytest.fixture
def fresh(monkeypatch):
    """Whatever is loaded in the test is forgotten after it, and the engine set back."""
    chosen = kernel.load()
    kernel.load.cache_clear()
    yield
    monkeypatch.undo()
    kernel.load.cache_clear()
    again = kernel.load()
    assert (chosen and chosen.engine) == (again and again.engine)


@built
def test_the_kernel_hashes_messages_of_every_length_as_hashlib_does():
    source, fast = random.Random(1), kernel.load()
    for length in (*range(200), 1000, 4095, 4096, 4097):
        one, two = source.randbytes(length), source.randbytes(length)
        want = hashlib.sha256(one).digest(), hashlib.sha256(two).digest()
        assert fast.sha256_two(one, two) == want


def test_records_hash_the_same_where_no_kernel_was_built(fresh, monkeypatch):
    schema = schema_of(BATCH.schema)
    want = leaves(BATCH, schema, KEY)
    kernel.load.cache_clear()
    monkeypatch.setattr(kernel, "library_path", lambda: None)
    assert kernel.load() is None
    assert leaves(BATCH, schema, KEY) == want


@built
def test_a_kernel_that_disagrees_with_hashlib_is_not_used(fresh, monkeypatch):
    monkeypatch.setattr(kernel.Kernel, "sha256_two", lambda self, one, two: (bytes(32), bytes(32)))
    assert kernel.load() is None


def test_a_library_that_is_something_else_is_not_used(fresh, monkeypatch, tmp_path):
    torn = tmp_path / "torn.so"
    torn.write_bytes(b"\x7fELF" + os.urandom(100))
    monkeypatch.setattr(kernel, "library_path", lambda: torn)
    assert kernel.load() is None


@built
def test_many_threads_hash_at_once_to_the_same_leaves():
    schema = schema_of(BATCH.schema)
    want = plain_leaves(BATCH, schema, KEY)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: leaves(BATCH, schema, KEY), range(40)))
    assert set(done) == {want}


@built
def test_a_batch_is_hashed_in_steps_to_the_same_leaves(monkeypatch):
    schema = schema_of(BATCH.schema)
    want = leaves(BATCH, schema, KEY)
    monkeypatch.setattr(record, "_STEP_BYTES", 300)
    assert sum(1 for _ in record.steps(BATCH)) > 10
    assert leaves(BATCH, schema, KEY) == want == plain_leaves(BATCH, schema, KEY)


@pytest.mark.skipif(compiler is None, reason="no C compiler here")
def test_a_column_is_laid_out_as_the_c_code_has_it(tmp_path):
    names = [name for name, _ in Column._fields_]
    offsets = "".join(f'printf("%zu ", offsetof(struct column, {name}));' for name in names)
    program = tmp_path / "layout.c"
    program.write_text(
        f'#include "{SOURCE}"\n#include <stdio.h>\n'
        f'int main(void) {{ {offsets} printf("%zu", sizeof(struct column)); }}'
    )
    subprocess.run([compiler, "-o", tmp_path / "layout", program], check=True)
    shown = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True)
    want = [getattr(Column, name).offset for name in names] + [ctypes.sizeof(Column)]
    assert [int(each) for each in shown.stdout.split()] == want


@pytest.mark.skipif(not SOURCE.is_file(), reason="an installed package has no sources")
def test_a_machine_without_a_compiler_builds_the_package_without_the_kernel(tmp_path):
    root = Path(__file__).parents[2]
    shutil.copytree(root / "src" / "sealwright" / "intake", tmp_path / "src/sealwright/intake")
    shutil.copy(root / "setup.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "out"],
        cwd=tmp_path,
        env={**os.environ, "CC": "/nowhere/cc"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "out").rglob("_kernel*"))
