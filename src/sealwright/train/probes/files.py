"""Reading what was not declared, changing what is not the script's, leaving traps behind."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from sealwright.train.probes.kit import probe

Canaries = dict[str, Any]


def _create(path: str) -> str:
    """Make a file and take it away again."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    Path(path).unlink()
    return f"made {path}"


@probe("files", "read a private key in the home folder")
def ssh_key(canaries: Canaries) -> str:
    return Path(canaries["ssh_key"]).read_text()


@probe("files", "read another user's readable file")
def other_user(canaries: Canaries) -> str:
    return Path(canaries["other_user"]).read_text()


@probe("files", "read the machine's password hashes")
def shadow(canaries: Canaries) -> int:
    return len(Path("/etc/shadow").read_bytes())


@probe("files", "list the home folders of the machine")
def home_folders(canaries: Canaries) -> str:
    return ", ".join(os.listdir(canaries["home"]))  # noqa: PTH208


@probe("files", "read a file of the project that is withheld")
def withheld(canaries: Canaries) -> str:
    return Path(canaries["withheld"]).read_text()


@probe("files", "change a declared input")
def write_input(canaries: Canaries) -> str:
    with Path("data/in.txt").open("r+") as stream:
        return f"wrote {stream.write('changed!')}"


@probe("files", "replace a declared input")
def replace_input(canaries: Canaries) -> str:
    Path("new.txt").write_text("replaced")
    os.rename("new.txt", "data/in.txt")  # noqa: PTH104
    return Path("data/in.txt").read_text()


@probe("files", "change the mode of a declared input")
def chmod_input(canaries: Canaries) -> str:
    Path("data/in.txt").chmod(0o666)
    return "mode changed"


@probe("files", "write into the folder that holds the project")
def write_outside(canaries: Canaries) -> str:
    path = canaries["outside"]
    _create(path)
    Path(path).write_text("canary")
    return "wrote into the parent folder"


@probe("files", "write into the operating system")
def write_usr(canaries: Canaries) -> str:
    return _create("/usr/sealwright-canary")


@probe("files", "write into the machine's configuration")
def write_etc(canaries: Canaries) -> str:
    return _create("/etc/sealwright-canary")


@probe("files", "write into the interpreter's own folder")
def write_interpreter(canaries: Canaries) -> str:
    return _create(f"{canaries['interpreter']}/sealwright-canary")


@probe("files", "open a switch of the kernel for writing")
def write_sysctl(canaries: Canaries) -> str:
    os.close(os.open("/proc/sys/vm/swappiness", os.O_WRONLY))
    return "opened for writing; nothing was written"


@probe("files", "open the emergency switch for writing")
def write_sysrq(canaries: Canaries) -> str:
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    return "opened for writing; nothing was written"


@probe("files", "open the kernel's helper program setting for writing")
def write_helper(canaries: Canaries) -> str:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return "opened for writing; nothing was written"


@probe("files", "open the interrupt settings for writing")
def write_irq(canaries: Canaries) -> str:
    os.close(os.open("/proc/irq/default_smp_affinity", os.O_WRONLY))
    return "opened for writing; nothing was written"


@probe("files", "open a device setting in /sys for writing")
def write_sys(canaries: Canaries) -> str:
    os.close(os.open("/sys/kernel/mm/transparent_hugepage/enabled", os.O_WRONLY))
    return "opened for writing; nothing was written"


@probe("files", "open the control file of a cgroup for writing")
def write_cgroup(canaries: Canaries) -> str:
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        if "cgroup.procs" in names:
            os.close(os.open(f"{folder}/cgroup.procs", os.O_WRONLY))
            return "opened for writing; nothing was written"
    return ""


@probe("files", "read the kernel's memory map and symbols")
def kernel_memory(canaries: Canaries) -> str:
    with Path("/proc/kallsyms").open() as stream:
        addresses = {line.split()[0].strip("0") for line, _ in zip(stream, range(50), strict=False)}
    return "addresses" if addresses - {""} else ""


@probe("files", "read a block device of the machine")
def block_device(canaries: Canaries) -> str:
    for line in Path("/proc/partitions").read_text().splitlines()[2:]:
        name = line.split()[3]
        try:
            os.close(os.open(f"/dev/{name}", os.O_RDONLY))
        except FileNotFoundError:
            continue
        return f"opened /dev/{name}; nothing was read"
    return ""


@probe("files", "read the machine's memory")
def memory_device(canaries: Canaries) -> str:
    os.close(os.open("/dev/mem", os.O_RDONLY))
    return "opened; nothing was read"


@probe("files", "read a file another process left in /dev/shm")
def shared_memory(canaries: Canaries) -> str:
    return Path(canaries["shm"]).read_text()


@probe("files", "read a file another process left in /tmp")
def temporary(canaries: Canaries) -> str:
    return Path(canaries["tmp"]).read_text()


@probe("files", "use a descriptor that was left open")
def inherited_descriptor(canaries: Canaries) -> str:
    return os.pread(canaries["descriptor"], 64, 0).decode()


@probe("files", "find a descriptor of another process in /proc")
def descriptor_by_proc(canaries: Canaries) -> str:
    return Path(f"/proc/{canaries['victim']}/fd/{canaries['descriptor']}").read_text()


@probe("files", "walk out through the root of the first process")
def proc_root(canaries: Canaries) -> str:
    return Path("/proc/1/root" + canaries["ssh_key"]).read_text()


@probe("files", "walk out through the working folder of the parent")
def proc_cwd(canaries: Canaries) -> str:
    return Path(f"/proc/{os.getppid()}/cwd/../home/.ssh/id").read_text()


@probe("files", "write into a pipe that the host made in a bound folder later", since="strict")
def bound_pipe(canaries: Canaries) -> str:
    sys.stdout.write("\nready for the pipe\n")
    sys.stdout.flush()
    end = time.monotonic() + 2
    while not os.path.exists(canaries["pipe"]) and time.monotonic() < end:  # noqa: PTH110
        time.sleep(0.02)
    os.close(os.open(canaries["pipe"], os.O_WRONLY | os.O_NONBLOCK))
    return "opened the host's pipe for writing"


@probe("files", "leave a link to a secret in the outputs")
def output_link(canaries: Canaries) -> str:
    os.symlink(canaries["ssh_key"], "left-link")  # noqa: PTH211
    return "made"


@probe("files", "leave a linked folder that leads out")
def output_folder_link(canaries: Canaries) -> str:
    os.symlink(canaries["home"], "left-folder")  # noqa: PTH211
    return "made"


@probe("files", "leave a hard link to a system file")
def output_hard_link(canaries: Canaries) -> str:
    os.link(canaries["other_user"], "left-hard")
    return "made"


@probe("files", "leave a pipe in the outputs")
def output_pipe(canaries: Canaries) -> str:
    os.mkfifo("left-pipe")
    return "made"


@probe("files", "leave a socket in the outputs")
def output_socket(canaries: Canaries) -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("left-socket")
    return "made"


@probe("files", "leave a program that runs as its owner (set-uid)")
def output_setuid(canaries: Canaries) -> str:
    Path("left-setuid").write_text("#!/bin/sh\n")
    Path("left-setuid").chmod(0o4755)
    return "made"


@probe("files", "leave a hook that version control would run")
def output_hook(canaries: Canaries) -> str:
    Path(".git/hooks").mkdir(parents=True, exist_ok=True)
    Path(".git/hooks/post-checkout").write_text("#!/bin/sh\n")
    return "made"


@probe("files", "leave settings that open the next room")
def output_settings(canaries: Canaries) -> str:
    Path("seal.toml").write_text('[room]\nisolation = "none"\n')
    return "made"
