"""Getting bytes out by any kind of socket."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from sealwright.train.probes.kit import probe

Canaries = dict[str, Any]
_NAME = b"\x06canary\x07example\x00"


def _stream(family: int, address: Any) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)
        client.sendall(b"canary")
        return client.recv(16).decode()


def _datagram(family: int, address: Any, data: bytes) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(data, address)
        return client.recv(64).decode(errors="replace")


def _made(family: int, kind: int, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol) as made:
        return f"descriptor {made.fileno()}"


@probe("network", "connect to a TCP port of the host over loopback")
def tcp_loopback(canaries: Canaries) -> str:
    return _stream(socket.AF_INET, ("127.0.0.1", canaries["tcp_port"]))


@probe("network", "connect to a TCP port of the host over IPv6 loopback")
def tcp6_loopback(canaries: Canaries) -> str:
    return _stream(socket.AF_INET6, ("::1", canaries["tcp6_port"]))


@probe("network", "connect to a TCP port of the host at its own address")
def tcp_host_address(canaries: Canaries) -> str:
    return _stream(socket.AF_INET, (canaries["host_address"], canaries["host_port"]))


@probe("network", "send a UDP datagram to the host")
def udp(canaries: Canaries) -> str:
    return _datagram(socket.AF_INET, ("127.0.0.1", canaries["udp_port"]), b"canary")


@probe("network", "ask a name server, with the secret as the name")
def dns(canaries: Canaries) -> str:
    query = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + _NAME + struct.pack(">2H", 16, 1)
    return _datagram(socket.AF_INET, ("127.0.0.1", canaries["udp_port"]), query)


@probe("network", "find a route off the machine")
def routed(canaries: Canaries) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("192.0.2.1", 53))  # an address for documentation; no packet is sent
        return f"from {sender.getsockname()[0]}"


@probe("network", "a raw IP socket")
def raw_ip(canaries: Canaries) -> str:
    return _made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@probe("network", "a packet socket")
def packet(canaries: Canaries) -> str:
    return _made(17, socket.SOCK_RAW, 0x0300)


@probe("network", "a socket to the hypervisor (vsock)")
def vsock(canaries: Canaries) -> str:
    return _made(40, socket.SOCK_STREAM)


@probe("network", "the kernel's crypto interface (AF_ALG)")
def alg(canaries: Canaries) -> str:
    return _made(38, socket.SOCK_SEQPACKET)


@probe("network", "an express data path socket (AF_XDP)")
def xdp(canaries: Canaries) -> str:
    return _made(44, socket.SOCK_RAW)


@probe("network", "the kernel's event channel (netlink uevent)")
def netlink_uevent(canaries: Canaries) -> str:
    return _made(16, socket.SOCK_RAW, 15)


@probe("network", "the audit channel (netlink audit)")
def netlink_audit(canaries: Canaries) -> str:
    return _made(16, socket.SOCK_RAW, 9)


@probe("network", "the packet filter's channel (netlink netfilter)")
def netlink_netfilter(canaries: Canaries) -> str:
    return _made(16, socket.SOCK_RAW, 12)


@probe("network", "the socket listing of the host (netlink sock_diag)")
def netlink_diag(canaries: Canaries) -> str:
    return _made(16, socket.SOCK_RAW, 4)


@probe("network", "the interfaces of the host by routing netlink")
def interfaces(canaries: Canaries) -> str:
    return ", ".join(name for _, name in socket.if_nameindex() if name != "lo")


@probe("network", "an abstract Unix socket of the host")
def abstract_socket(canaries: Canaries) -> str:
    return _stream(socket.AF_UNIX, "\0" + canaries["abstract"])


@probe("network", "a Unix socket of the host by its path")
def path_socket(canaries: Canaries) -> str:
    return _stream(socket.AF_UNIX, canaries["socket"])


@probe("network", "a Unix socket of the host, through /proc/1/root")
def path_socket_through_proc(canaries: Canaries) -> str:
    return _stream(socket.AF_UNIX, "/proc/1/root" + canaries["socket"])


@probe("network", "the host's system bus, container engines and agents by their usual paths")
def usual_sockets(canaries: Canaries) -> str:
    usual = (
        "/run/dbus/system_bus_socket",
        "/run/docker.sock",
        "/run/containerd",
        canaries["socket"],
    )
    return ", ".join(path for path in usual if os.path.exists(path))  # noqa: PTH110
