"""The process that holds a room's memory, and then becomes the room.

It is forked, leaves the mount and process namespaces, mounts a private tmpfs nobody else can
see, and hands a descriptor of it to its parent, which fills it. Told to go, it mounts the
inputs read-only over the project copy and turns into bubblewrap. It never returns.

It is the first process of a process namespace and dies with its parent, so whatever the moment
of a ``kill -9``, the kernel takes down everything that was started below.
Between fork and exec only system calls are made: the parent may have threads.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sealwright.train import kernel, limits, world
from sealwright.train.mounts import InputMount
from sealwright.train.spec import Limits

_FOLDERS = ("work", "inputs", "etc", "scratch", "world")
_WRITABLE = ("home", "tmp", "shm")


class Berth(msgspec.Struct, frozen=True):
    """Where a room's memory is mounted, in the keeper's eyes only, and how large it may grow."""

    point: str
    size_bytes: int
    files: int
    scratch_bytes: int
    inputs_on_disk: str = ""


class Launch(msgspec.Struct, frozen=True):
    """What the keeper turns into. ``keep`` are the descriptors bubblewrap itself needs.

    ``drop`` is whom it becomes first; ``strict`` refuses where a lesser room goes on.
    """

    program: str
    argv: tuple[str, ...]
    keep: tuple[int, ...]
    stdio: tuple[int, int, int]
    limits: Limits
    strict: bool = False
    drop: world.Drop | None = None


class Failed(OSError):
    """The keeper could not do ``step``; errno and strerror say why."""

    step = ""


def start(
    berth: Berth, mounts: Sequence[InputMount], launch: Launch, joined: Callable[[int], bool]
) -> tuple[int, socket.socket]:
    """Fork the keeper. ``joined(pid)`` puts it in its cgroup and says whether it is in one.

    Returns its pid and the socket to it. Raises: Failed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with adopting_orphans(), warnings.catch_warnings():
        # from Python 3.12 on: forking with threads is safe when only system calls follow
        warnings.simplefilter("ignore", DeprecationWarning)
        first = os.fork()
        if first == 0:
            ours.close()
            _be(theirs, berth, mounts, launch)
        theirs.close()
        try:
            _say(ours, b"c" if joined(first) else b"r")
            message, _ = _hear(ours)
        except BaseException:
            ours.close()  # it ends when nobody answers
            raise
        finally:
            os.waitpid(first, 0)
    kind, _, number = message.decode().partition("\0")
    if kind != "pid":
        ours.close()
        raise _failure(message)
    _say(ours, b"p")  # its parent is this process from here on
    return int(number), ours


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Meanwhile, a process whose parent ends becomes a child of this one."""
    before = kernel.is_subreaper()
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, int(before))


def receive_root(channel: socket.socket) -> int:
    """The directory descriptor of the room's memory. Raises: Failed."""
    message, fds = _hear(channel)
    if fds:
        os.set_inheritable(fds[0], False)
        return fds[0]
    raise _failure(message)


def go(channel: socket.socket) -> None:
    """Let the keeper become the room. Raises: Failed (it could not)."""
    _say(channel, b"g")
    message, _ = _hear(channel)
    if message:  # empty: the socket closed because the exec worked
        raise _failure(message)


def _say(channel: socket.socket, word: bytes) -> None:
    with suppress(BrokenPipeError):  # it failed, and what it said last is still to be heard
        channel.send(word)


def _hear(channel: socket.socket) -> tuple[bytes, list[int]]:
    try:
        message, fds, _, _ = socket.recv_fds(channel, 4096, 1)
    except ConnectionResetError:  # told once, before the last message, if a word went unread
        message, fds, _, _ = socket.recv_fds(channel, 4096, 1)
    return message, fds


def _failure(message: bytes) -> Failed:
    step, _, code = message.decode().partition("\0")
    number = int(code or 0)
    failed = Failed(number, os.strerror(number) if number else "it ended")
    failed.step = step
    return failed


def _be(channel: socket.socket, berth: Berth, mounts: Sequence[InputMount], launch: Launch) -> None:
    step = ["start"]
    try:
        _become(channel, berth, mounts, launch, step)
    except OSError as error:
        channel.send(f"{step[0]}\0{error.errno or 0}".encode())
    finally:
        os._exit(1)


def _become(
    channel: socket.socket,
    berth: Berth,
    mounts: Sequence[InputMount],
    launch: Launch,
    step: list[str],
) -> None:
    gc.disable()  # no finaliser of the parent's objects may run here
    _forget_signals()
    os.setsid()
    step[0] = "namespace"
    _leave_namespaces()
    step[0] = "tmpfs"
    _mount_memory(berth)
    step[0] = "start"
    grouped = channel.recv(1) == b"c"  # only now: moving to a cgroup is slow, and ran meanwhile
    if first := os.fork():
        channel.send(f"pid\0{first}".encode())
        os._exit(0)
    _await(channel, b"p")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    root = os.open(berth.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    socket.send_fds(channel, [b"root"], [root])
    _await(channel, b"g")
    step[0] = "inputs"
    _mount_inputs(berth, mounts)
    step[0] = "limits"
    limits.set_rlimits(launch.limits, grouped=grouped, own_uid=launch.drop is not None)
    if launch.drop is not None:
        step[0] = "world"
        world.enter(f"{berth.point}/world", launch.drop)
        step[0] = "uid-drop"
        _become_nobody(launch.drop, channel)
    step[0] = "session-keyring"
    with suppress(*() if launch.strict else (OSError,)):
        kernel.join_new_session_keyring()
    step[0] = "exec"
    _arrange_descriptors(launch)
    os.chdir("/")
    os.execve(launch.program, launch.argv, {})  # noqa: S606  (no shell is the point)


def _become_nobody(drop: world.Drop, channel: socket.socket) -> None:
    """A change of uid clears what ends this process with its parent; set it again, then look."""
    world.become(drop.uid)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    watch = select.poll()
    watch.register(channel, select.POLLHUP)
    if watch.poll(0):
        os._exit(1)


def _await(channel: socket.socket, word: bytes) -> None:
    """Wait for the parent's word; without it (it died, or thought better of it), end."""
    if channel.recv(1) != word:
        os._exit(1)


def _forget_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _arrange_descriptors(launch: Launch) -> None:
    for number, fd in enumerate(launch.stdio):
        os.dup2(fd, number)
    kernel.close_on_exec_from(3)
    for fd in launch.keep:
        os.set_inheritable(fd, True)


def _leave_namespaces() -> None:
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    try:
        kernel.unshare(flags)
    except PermissionError:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | flags)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)


def _mount_memory(berth: Berth) -> None:
    _tmpfs(berth.point, berth.size_bytes, berth.files)
    top = Path(berth.point)
    for name in _FOLDERS:
        (top / name).mkdir(0o700)
    _tmpfs(f"{berth.point}/scratch", berth.scratch_bytes, berth.files)
    for name in _WRITABLE:
        folder = top / "scratch" / name
        folder.mkdir(0o700)
        folder.chmod(0o700 if name == "home" else 0o1777)


def _tmpfs(point: str, size_bytes: int, files: int) -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    options = f"mode=0700,size={size_bytes},nr_inodes={files}"
    try:
        kernel.mount("sealwright", point, "tmpfs", flags, options + ",noswap")
    except OSError:  # before Linux 6.4, or not root
        kernel.mount("sealwright", point, "tmpfs", flags, options)


def _mount_inputs(berth: Berth, mounts: Sequence[InputMount]) -> None:
    inputs = berth.inputs_on_disk or f"{berth.point}/inputs"
    flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY
    flags |= kernel.MS_NOSUID | kernel.MS_NODEV
    for mount in mounts:
        target = f"{berth.point}/work/{mount.relpath}"
        kernel.mount(f"{inputs}/{mount.relpath}", target, "", kernel.MS_BIND)
        kernel.mount("none", target, "", flags)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
