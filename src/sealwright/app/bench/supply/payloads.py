"""Pickles that would run something if they were loaded: what the gate must never let through.

Nothing here is ever loaded. Each is ``(category, name, bytes)``; the categories are the bypasses
of published scanners. What they would run is harmless (``true``), and never gets to run.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator

Payload = tuple[int, str, bytes]

GADGETS = (
    *("os.system", "os.popen", "os.execv", "os.spawnl", "os.putenv", "os.remove", "posix.system"),
    *("nt.system", "subprocess.Popen", "subprocess.check_output", "subprocess.getoutput"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.open"),
    *("builtins.breakpoint", "builtins.input", "builtins.getattr", "builtins.setattr"),
    *("__builtin__.eval", "__builtin__.apply", "commands.getoutput", "types.FunctionType"),
    *("types.CodeType", "code.interact", "code.InteractiveInterpreter", "codeop.compile_command"),
    *("runpy.run_path", "runpy._run_code", "pty.spawn", "pdb.run", "pdb.Pdb", "bdb.Bdb"),
    *("timeit.timeit", "profile.run", "cProfile.run", "trace.Trace", "doctest.debug_script"),
    *("webbrowser.open", "socket.socket", "socket.create_connection", "http.client.HTTPConnection"),
    *("urllib.request.urlopen", "ftplib.FTP", "smtplib.SMTP", "telnetlib.Telnet", "ssl.SSLSocket"),
    *("shutil.rmtree", "shutil.copyfile", "tempfile.mktemp", "pathlib.Path", "io.FileIO"),
    *("importlib.import_module", "importlib.reload", "imp.load_source", "zipimport.zipimporter"),
    *("pkgutil.resolve_name", "pydoc.locate", "pydoc.pipepager", "logging.config.dictConfig"),
    *("operator.attrgetter", "operator.methodcaller", "operator.itemgetter", "operator.call"),
    *("functools.partial", "functools.reduce", "functools.partialmethod", "itertools.starmap"),
    *("multiprocessing.Process", "threading.Thread", "concurrent.futures.ThreadPoolExecutor"),
    *("asyncio.run", "asyncio.create_subprocess_shell", "signal.signal", "atexit.register"),
    *("ctypes.CDLL", "ctypes.pythonapi", "mmap.mmap", "gc.get_objects", "sys.settrace"),
    *("pickle.loads", "pickle.load", "_pickle.loads", "marshal.loads", "shelve.open", "dbm.open"),
    *("copyreg.add_extension", "copyreg.constructor", "copyreg.__newobj__", "weakref.finalize"),
    *("unittest.mock._importer", "distutils.spawn.spawn", "ensurepip._run_pip", "venv.create"),
    *("idlelib.run.Executive", "lib2to3.pgen2.grammar.Grammar.loads", "cgitb.lookup"),
    *("uuid._get_command_stdout", "_osx_support._read_output", "_aix_support._read_cmd_output"),
    *("_pyrepl.pager.pipe_pager", "xml.etree.ElementTree.parse", "sqlite3.connect", "csv.reader"),
    *("numpy.load", "numpy.fromfile", "numpy.memmap", "numpy.testing._private.utils.runstring"),
    *("numpy.f2py.crackfortran.getlincoef", "numpy.f2py.compile", "numpy._core._ufunc_reconstruct"),
    *("numpy.distutils.exec_command.exec_command", "numpy.vectorize", "numpy.apply_along_axis"),
    *(
        "torch.load",
        "torch.hub.load",
        "torch.jit.load",
        "torch.compile",
        "torch.classes.load_library",
    ),
    *("torch.storage._load_from_bytes", "torch.serialization.load", "torch.ops.load_library"),
    *("torch.utils.cpp_extension.load", "torch.utils._config_module.load_config"),
    *("torch._dynamo.guards.GuardBuilder.get", "torch._inductor.codecache.compile_file"),
    *("torch.utils.bottleneck.__main__.run_cprofile", "torch.fx.experimental.symbolic_shapes.eval"),
    *("torch.distributed.rpc.rpc_sync", "torch.nn.Module", "torch.nn.modules.linear.Linear"),
    *("joblib.load", "joblib.numpy_pickle.load", "joblib.Parallel", "joblib.Memory"),
    *("sklearn.utils.fixes.sp_version", "sklearn.datasets.fetch_openml", "sklearn.base.clone"),
    *("sklearn.utils._joblib.Parallel", "sklearn.preprocessing.FunctionTransformer"),
    *("sklearn.utils.estimator_checks.check_estimator", "pandas.read_pickle", "pandas.eval"),
    *("tensorflow.keras.layers.Lambda", "keras.models.load_model", "transformers.pipeline"),
    *("cloudpickle.loads", "dill.loads", "yaml.load", "jsonpickle.decode", "IPython.get_ipython"),
    *("setuptools.command.easy_install.main", "pip._internal.main", "pip.main", "fabric.run"),
    *("invoke.run", "sh.Command", "requests.get", "httpx.get", "aiohttp.ClientSession"),
    *("evil.payload", "model.Net", "__main__.Reverse", "sitecustomize.run"),
)
"""What a pickle might call, as module and name: the library's, and those nobody knows."""

DOTTED = (
    *("pathlib os.system", "collections _sys.modules", "numpy os.system", "torch os.system"),
    *("sklearn.base warnings.sys.modules", "builtins object.__subclasses__", "decimal _sys.exit"),
    *("datetime sys.modules", "collections OrderedDict.__init__.__globals__", "uuid os.system"),
    *("numpy ndarray.tofile", "torch Tensor.__reduce_ex__", "argparse _os.system"),
)


def payloads() -> Iterator[Payload]:
    """Every bare pickle, in the order of the categories."""
    for dotted in GADGETS:
        module, _, name = dotted.rpartition(".")
        yield 1, f"{dotted}-p0", text_call(module, name)
        yield 1, f"{dotted}-p2", b"\x80\x02c%s\n%s\nX\x04\0\0\0true\x85R." % _pair(module, name)
        yield 1, f"{dotted}-p4", framed(stacked(module, name) + TRUE + b"\x85R.")
    yield from _indirect()
    for words in DOTTED:
        module, name = words.split(" ")
        yield 3, f"{words}-p4", framed(stacked(module, name) + TRUE + b"\x85R.")
        yield 3, f"{words}-p2", b"\x80\x02c%s\n%s\nX\x04\0\0\0true\x85R." % _pair(module, name)
    yield from _memo()
    yield from _computed()
    yield from _other_calls()
    for op, code in ((b"\x82", b"\x01"), (b"\x83", b"\x01\0"), (b"\x84", b"\x01\0\0\0")):
        yield 7, f"ext-{op.hex()}", b"\x80\x02" + op + code + b")R."
        yield 7, f"ext-plain-{op.hex()}", b"\x80\x04" + op + code + b"."
    yield from _broken()
    for name, tail in (("pickle", SYSTEM), ("honest", pickle.dumps([1], 2)), ("byte", b"\0")):
        yield 9, f"second-{name}", pickle.dumps({"w": [1.0, 2.0]}, 4) + tail
        yield 9, f"second-p2-{name}", pickle.dumps({"w": [1.0, 2.0]}, 2) + tail
    yield from frame_lies()
    yield from _protocols()
    yield from _popped()
    yield from _expanding()


TRUE = b"\x8c\x04true"


def _pair(module: str, name: str) -> tuple[bytes, bytes]:
    return module.encode(), name.encode()


def text_call(module: str, name: str) -> bytes:
    """Protocol 0: a call with one argument."""
    return f"c{module}\n{name}\n(Vtrue\ntR.".encode()


def stacked(module: str, name: str) -> bytes:
    """Two texts and STACK_GLOBAL."""
    parts = (part.encode() for part in (module, name))
    return b"".join(b"\x8c" + bytes([len(part)]) + part for part in parts) + b"\x93"


def framed(body: bytes) -> bytes:
    """Protocol 4, one honest frame."""
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


SYSTEM = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."


def _indirect() -> Iterator[Payload]:
    call = b"\x8c\x09os.system\x85R" + TRUE + b"\x85R."
    for dotted in ("pkgutil.resolve_name", "pydoc.locate", "importlib.import_module"):
        module, _, name = dotted.rpartition(".")
        yield 2, f"{dotted}-chain", framed(stacked(module, name) + call)
    getting = stacked("builtins", "getattr") + stacked("builtins", "__import__")
    yield 2, "getattr", framed(getting + b"\x8c\x02os\x85R\x8c\x06system\x86R" + TRUE + b"\x85R.")
    for dotted in ("operator.attrgetter", "operator.methodcaller", "functools.partial"):
        module, _, name = dotted.rpartition(".")
        yield 2, f"{dotted}-named", framed(stacked(module, name) + b".")
        yield 2, f"{dotted}-held", framed(b"]" + stacked(module, name) + TRUE + b"\x85Ra.")
    for module, name in (("collections", "defaultdict"), ("builtins", "map")):
        inner = stacked("os", "system")
        yield 2, f"{name}-of-system", framed(stacked(module, name) + inner + b"\x85R.")
    rebuild = stacked("torch._utils", "_rebuild_from_type_v2")
    given = stacked("os", "system") + b"N(" + TRUE + b"tNtR."
    yield 2, "from-type", framed(rebuild + b"(" + given)
    random = stacked("numpy.random._pickle", "__randomstate_ctor")
    other = stacked("builtins", "bytearray")
    yield 2, "random-of-other", framed(random + b"\x8a\x05\0\0\0\0\x10" + other + b"\x86R.")
    yield 2, "encode-other-codec", b"\x80\x02c_codecs\nencode\nX\x01\0\0\0xX\x05\0\0\0rot13\x86R."
    made = b"c__main__\nX\nc__builtin__\nobject\nNtR."
    yield 2, "reconstructor", b"\x80\x02ccopy_reg\n_reconstructor\n(" + made
    other = b"cos\nsystem\nc__builtin__\nobject\nNtR."
    yield 2, "reconstructor-system", b"\x80\x02ccopy_reg\n_reconstructor\n(" + other
    yield 2, "bytearray-length", b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x10\x85R."


def _memo() -> Iterator[Payload]:
    yield (
        4,
        "put-again",
        b"\x80\x02X\x04\0\0\0jsonq\x00X\x02\0\0\0osq\x00h\x00X\x06\0\0\0system\x93.",
    )
    texts = b"\x8c\x04json\x94\x8c\x02os\x94\x8c\x06system\x94"
    yield 4, "get-names", framed(texts + b"000h\x01h\x02\x93" + TRUE + b"\x85R.")
    yield 4, "long-put", b"\x80\x02K\x01r\xff\xff\xff\x7f."
    yield 4, "gap", b"\x80\x02K\x01q\x05."
    yield 4, "put-over-memoize", framed(b"\x8c\x04json\x94\x8c\x02osq\x00h\x00\x8c\x06system\x93.")
    yield 4, "text-put", b"Vos\np7\n0g7\n."
    yield 4, "get-missing", b"\x80\x02h\x09."


def _computed() -> Iterator[Payload]:
    encode = stacked("_codecs", "encode")
    name = encode + b"\x8c\x06flfgrz\x8c\x05rot13\x86R"
    yield 5, "name-from-codec", framed(b"\x8c\x02os" + name + b"\x93" + TRUE + b"\x85R.")
    text = stacked("builtins", "str") + b"\x8c\x06system\x85R"
    yield 5, "name-from-str", framed(b"\x8c\x02os" + text + b"\x93" + TRUE + b"\x85R.")
    yield 5, "name-bytes", framed(b"C\x02osC\x06system\x93" + TRUE + b"\x85R.")
    yield 5, "name-number", framed(b"K\x01K\x02\x93.")
    yield 5, "name-list", framed(b"]]\x93.")
    yield (
        5,
        "name-unicode8",
        framed(
            b"\x8d\x02" + bytes(7) + b"os\x8d\x06" + bytes(7) + b"system\x93" + TRUE + b"\x85R."
        ),
    )
    yield 5, "stack-global-p2", b"\x80\x02X\x02\0\0\0osX\x06\0\0\0system\x93X\x04\0\0\0true\x85R."


def _other_calls() -> Iterator[Payload]:
    yield 6, "inst", b"(Vtrue\nios\nsystem\n."
    yield 6, "inst-p1", b"(X\x04\0\0\0trueios\nsystem\n."
    yield 6, "obj", b"(cos\nsystem\nX\x04\0\0\0trueo."
    yield 6, "newobj", b"\x80\x02csubprocess\nPopen\nX\x04\0\0\0true\x85\x81."
    yield 6, "newobj-ex", framed(stacked("subprocess", "Popen") + TRUE + b"\x85}\x92.")
    estimator = stacked("sklearn.linear_model._base", "LinearRegression")
    state = b"}\x8c\x0c__setstate__" + stacked("os", "system") + b"sb" + TRUE + b"b."
    yield 6, "build-setstate", framed(estimator + b")\x81" + state)
    yield 6, "build-class", framed(estimator + b"}" + TRUE + b"K\x01sb.")
    slots = b"N}\x8c\x07predict" + stacked("os", "system") + b"s\x86b."
    yield 6, "build-slots", framed(estimator + b")\x81" + slots)
    yield (
        6,
        "newobj-function",
        framed(stacked("numpy._core.multiarray", "_reconstruct") + b")\x81."),
    )
    yield 6, "reduce-importable", framed(stacked("numpy", "ndarray") + b"K\x63\x85\x85R.")
    yield 6, "fill-class", framed(stacked("collections", "OrderedDict") + b"K\x01K\x02s.")
    yield 6, "append-to-object", framed(estimator + b")\x81K\x01a.")


def _broken() -> Iterator[Payload]:
    """The payload has run before the reader stumbles."""
    ends = (
        b"",
        b"\xff",
        b"h\xff.",
        b"0000.",
        b"u.",
        b"cnot\n",
        b"\x93.",
        b"X\xff\xff\xff\xff",
        b"\x80\x63.",
    )
    for index, end in enumerate((*ends, b"R.", b"t.", b"\x8a\xff", b"I12x\n.", b"F1.x\n.", b"}b.")):
        yield 8, f"broken-{index}", b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R" + end
        yield 8, f"broken-text-{index}", b"cos\nsystem\n(Vtrue\ntR" + end


def frame_lies() -> Iterator[Payload]:
    """The eight kinds of frames that say another length than their opcodes have."""
    body = stacked("os", "system") + TRUE + b"\x85R."
    for name, length in (
        ("short", 3),
        ("shorter-than-opcode", 5),
        ("long", len(body) + 64),
        ("zero", 0),
        ("huge", 1 << 62),
        ("negative", (1 << 64) - 1),
    ):
        yield 10, f"frame-{name}", b"\x80\x04\x95" + struct.pack("<Q", length) + body
    inner = b"\x95" + struct.pack("<Q", len(body)) + body
    yield 10, "frame-nested", b"\x80\x04\x95" + struct.pack("<Q", len(inner)) + inner
    yield 10, "frame-cut", b"\x80\x04\x95" + struct.pack("<Q", len(body))[:4]
    hidden = b"\x8c\x10" + b"cos\nsystem\n)R...."[:16] + b"0" + body
    for name, length in (("honest-short", 4), ("straddle", 9)):
        yield 10, f"frame-{name}", b"\x80\x04\x95" + struct.pack("<Q", length) + hidden
    plain = pickle.dumps([1, 2, 3], 4)
    yield 10, "frame-honest-body", plain[:3] + struct.pack("<Q", 6) + plain[11:]


def _protocols() -> Iterator[Payload]:
    yield 11, "proto-0", b"\x80\x00cos\nsystem\n(Vtrue\ntR."
    yield 11, "proto-1", b"\x80\x01cos\nsystem\n(Vtrue\ntR."
    yield 11, "proto-6", b"\x80\x06cos\nsystem\n(Vtrue\ntR."
    yield 11, "proto-255", b"\x80\xffcos\nsystem\n(Vtrue\ntR."
    yield 11, "proto-twice", b"\x80\x02\x80\x04cos\nsystem\n(Vtrue\ntR."
    yield 11, "proto-late", b"K\x010\x80\x02cos\nsystem\n(Vtrue\ntR."
    yield 11, "no-proto", b"X\x02\0\0\0osX\x06\0\0\0system\x93X\x04\0\0\0true\x85R."
    yield 11, "name-not-utf8", b"\x80\x02cos\xff\nsystem\n(Vtrue\ntR."
    yield 11, "name-nul", b"\x80\x02cos\0\nsystem\n(Vtrue\ntR."
    yield (
        11,
        "name-surrogate",
        framed(b"\x8c\x05os\xed\xa0\x80\x8c\x06system\x93" + TRUE + b"\x85R."),
    )
    yield 11, "name-wide", "\uff4f\uff53".encode().join((b"\x80\x02c", b"\nsystem\n(Vtrue\ntR."))
    yield 11, "name-empty", b"\x80\x02c\nsystem\n(Vtrue\ntR."
    yield 11, "name-blank", b"\x80\x02cos \nsystem\n(Vtrue\ntR."
    yield 11, "name-return", b"\x80\x02cos\r\nsystem\r\n(Vtrue\ntR."
    yield 11, "persid-text", b"Pevil\n."
    yield 11, "persid", b"\x80\x02X\x04\0\0\0evilQ."
    yield 11, "buffer", b"\x80\x05\x97\x98."
    yield 11, "dup", b"\x80\x02cos\nsystem\n2X\x04\0\0\0true\x85R."


def _popped() -> Iterator[Payload]:
    call = b"cos\nsystem\nX\x04\0\0\0true\x85R"
    for name, after in (("pop", b"0K\x01."), ("pop-list", b"0]."), ("memo", b"q\x000h\x000K\x01.")):
        yield 15, f"popped-{name}", b"\x80\x02" + call + after
    yield 15, "popped-mark", b"\x80\x02(" + call + b"1K\x01."
    yield 15, "popped-in-list", b"\x80\x02](" + call + b"1K\x01a."
    yield 15, "popped-framed", framed(stacked("os", "system") + TRUE + b"\x85R0N.")


def _expanding() -> Iterator[Payload]:
    laughs = b"]\x94" + b"".join(b"](" + b"h%c" % (i,) * 10 + b"e\x94" for i in range(40))
    yield 16, "laughs-lists", framed(laughs + b".")
    top = b"".join(b"]\x94" for _ in range(40))
    filled = b"".join(b"h%c(" % (i,) + b"h%c" % (i + 1,) * 9 + b"e0" for i in range(39))
    yield 16, "laughs-from-the-top", framed(top + filled + b"h\x00" + b"\x94" + b".")
    pairs = b"N\x94" + b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(60))
    yield 16, "laughs-tuples", framed(pairs + b".")
    yield 16, "deep-lists", b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b"."
    yield 16, "deep-tuples", b"\x80\x02)" + b"\x85" * 10_000 + b"."
    yield 16, "deep-marks", b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    yield 16, "long-number", b"\x80\x02\x8b\xff\xff\xff\x7f" + b"1" * 64 + b"."
