"""Asking the kernel for more than a training script needs.

Calls that could change the machine get arguments that cannot work: what counts is whether they
got past the permission check (``kit.reached``).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

from sealwright.train.probes.kit import IS_ARM, LIBC, call, probe, reached

Canaries = dict[str, Any]
_NOWHERE = b"/sealwright-no-such-path"


@probe("kernel", "set up an io_uring")
def io_uring(canaries: Canaries) -> str:
    return f"descriptor {call(425, 425, 1, ctypes.create_string_buffer(120))}"


@probe("kernel", "handle page faults in user space (userfaultfd)")
def userfaultfd(canaries: Canaries) -> str:
    return f"descriptor {call(323, 282, 1 | 0o2000000)}"


@probe("kernel", "make a BPF map")
def bpf(canaries: Canaries) -> str:
    attributes = ctypes.create_string_buffer(struct.pack("=4I", 2, 4, 4, 1), 128)
    return f"descriptor {call(321, 280, 0, attributes, 128)}"


@probe("kernel", "count performance events of the machine")
def perf(canaries: Canaries) -> str:
    attributes = ctypes.create_string_buffer(struct.pack("=2IQ", 1, 112, 0), 112)
    return f"descriptor {call(298, 241, attributes, 0, -1, -1, 0)}"


@probe("kernel", "read the caller's session keyring")
def session_keyring(canaries: Canaries) -> str:
    key = call(250, 219, 10, -3, b"user", canaries["key"].encode(), 0)  # KEYCTL_SEARCH
    buffer = ctypes.create_string_buffer(64)
    return f"{call(250, 219, 11, key, buffer, 64)} bytes"  # KEYCTL_READ


@probe("kernel", "put a key into a keyring, where it outlives the run")
def add_key(canaries: Canaries) -> str:
    return f"key {call(248, 217, b'user', b'sealwright-probe', b'x', 1, -3)}"


@probe("kernel", "list every key of this user in /proc/keys")
def proc_keys(canaries: Canaries) -> str:
    return "found" if canaries["key"] in Path("/proc/keys").read_text() else ""


@probe("kernel", "mount a file system")
def mount(canaries: Canaries) -> str:
    return reached(165, 40, b"none", tempfile.mkdtemp().encode(), b"nosuchfs", 0, None)


@probe("kernel", "mount by the newer calls (fsopen)")
def fsopen(canaries: Canaries) -> str:
    return f"descriptor {call(430, 430, b'tmpfs', 1)}"


@probe("kernel", "copy a mount (open_tree)")
def open_tree(canaries: Canaries) -> str:
    return f"descriptor {call(428, 428, -100, b'/', 1 | 0o2000000)}"


@probe("kernel", "take a mount away")
def unmount(canaries: Canaries) -> str:
    return reached(166, 39, tempfile.mkdtemp().encode(), 0)


@probe("kernel", "a user namespace of one's own")
def user_namespace(canaries: Canaries) -> str:
    return f"returned {call(272, 97, 0x10000000)}"


@probe("kernel", "a user namespace by clone")
def clone_user_namespace(canaries: Canaries) -> str:
    pid = call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


@probe("kernel", "a user namespace by clone3")
def clone3_user_namespace(canaries: Canaries) -> str:
    arguments = ctypes.create_string_buffer(struct.pack("=8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0))
    pid = call(435, 435, arguments, 64)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


@probe("kernel", "a mount namespace of one's own")
def mount_namespace(canaries: Canaries) -> str:
    return f"returned {call(272, 97, 0x00020000)}"


@probe("kernel", "enter another namespace")
def setns(canaries: Canaries) -> str:
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    return f"returned {call(308, 268, fd, 0)}"


@probe("kernel", "change the root folder")
def chroot(canaries: Canaries) -> str:
    os.chroot("/")
    return "changed"


@probe("kernel", "swap the root mount")
def pivot_root(canaries: Canaries) -> str:
    folder = tempfile.mkdtemp().encode()
    return reached(155, 41, folder, folder)


@probe("kernel", "make a device file")
def device(canaries: Canaries) -> str:
    path = f"{tempfile.mkdtemp()}/null"
    os.mknod(path, 0o020600, os.makedev(1, 3))
    return "made"


@probe("kernel", "make a whiteout device file", since="strict")
def whiteout(canaries: Canaries) -> str:
    path = f"{tempfile.mkdtemp()}/whiteout"
    os.mknod(path, 0o020600, os.makedev(0, 0))
    return "made"


@probe("kernel", "load a kernel module")
def module(canaries: Canaries) -> str:
    return reached(313, 273, -1, b"", 0)


@probe("kernel", "load another kernel")
def kexec(canaries: Canaries) -> str:
    return reached(320, 294, -1, -1, 0, b"", 0)


@probe("kernel", "restart the machine")
def reboot(canaries: Canaries) -> str:
    return reached(169, 142, 0, 0, 0, 0)  # wrong magic numbers


@probe("kernel", "turn on swapping to a file")
def swap(canaries: Canaries) -> str:
    return reached(167, 224, _NOWHERE, 0)


@probe("kernel", "rename the machine")
def hostname(canaries: Canaries) -> str:
    name = os.uname().nodename.encode()
    return f"set to what it was: {call(170, 161, name, len(name))}"


@probe("kernel", "read the kernel's log")
def kernel_log(canaries: Canaries) -> str:
    return f"{call(103, 116, 10, None, 0)} bytes"  # SYSLOG_ACTION_SIZE_BUFFER


@probe("kernel", "open a file by its handle")
def file_handle(canaries: Canaries) -> str:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
    mount_id = ctypes.create_string_buffer(8)
    return f"returned {call(303, 264, -100, b'/', handle, mount_id, 0)}"


@probe("kernel", "watch every file of the machine (fanotify)")
def fanotify(canaries: Canaries) -> str:
    return f"descriptor {call(300, 262, 0x200, 0)}"


@probe("kernel", "reach the machine's ports")
def io_ports(canaries: Canaries) -> str:
    if IS_ARM:
        return ""
    return f"returned {call(173, -1, 0x80, 1, 1)}"


@probe("kernel", "change the execution domain", since="strict")
def personality(canaries: Canaries) -> str:
    return f"was {call(135, 92, 0x0040000)}"


@probe("kernel", "run a program that has no file (memfd)", since="strict")
def memfd_exec(canaries: Canaries) -> str:
    fd = os.memfd_create("probe")
    os.write(fd, Path("/bin/true").read_bytes())
    pid = os.fork()
    if pid == 0:
        os.execve(fd, ["true"], {})  # noqa: S606
    return "ran" if os.waitpid(pid, 0)[1] == 0 else ""


@probe("kernel", "install a filter that answers for other processes (seccomp)", since="strict")
def own_filter(canaries: Canaries) -> str:
    return reached(317, 277, 0xFF, 0, None)


@probe("kernel", "splice the process's own pages into a pipe (vmsplice)", since="strict")
def splice_pages(canaries: Canaries) -> str:
    _, write = os.pipe()
    data = ctypes.create_string_buffer(b"page")
    vector = (ctypes.c_ulong * 2)(ctypes.addressof(data), 4)
    return f"{call(278, 75, write, vector, 1, 0)} bytes"


@probe("kernel", "see what other processes have in the page cache (cachestat)", since="strict")
def page_cache(canaries: Canaries) -> str:
    with Path("/bin/sh").open("rb") as stream:
        span = (ctypes.c_uint64 * 2)(0, 4096)
        found = (ctypes.c_uint64 * 5)()
        return f"returned {call(451, 451, stream.fileno(), span, found, 0)}"


@probe("kernel", "type into the caller's terminal (TIOCSTI)")
def terminal(canaries: Canaries) -> str:
    _, follower = os.openpty()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(follower, 0x540E, 0)  # TIOCSCTTY
        fcntl.ioctl(follower, 0x5412, b"x")  # TIOCSTI
        os._exit(0)
    return "typed" if os.waitpid(pid, 0)[1] == 0 else ""


@probe("kernel", "gain rights by running a set-uid program")
def setuid_program(canaries: Canaries) -> str:
    gained = LIBC.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS
    return "set-uid programs still count" if gained == 0 else ""


@probe("kernel", "hold on to a capability")
def capability(canaries: Canaries) -> str:
    status = Path("/proc/self/status").read_text()
    held = [line for line in status.splitlines() if line.startswith(("CapEff", "CapBnd"))]
    return "; ".join(line for line in held if int(line.split()[1], 16))
