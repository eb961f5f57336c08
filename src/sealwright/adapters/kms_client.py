"""A key service somewhere else: a Unix socket, or another host over mutual TLS.

Nothing is kept here but the connection: every wrap and unwrap is asked for, so a key that is
disabled or destroyed is of no use at once. Implements ``core.ports.KeyService`` and
``vault.custody.Custodian``.
"""

from __future__ import annotations

import os
import socket
import ssl
import stat
import struct
import threading
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from sealwright.adapters import kms_wire, tls
from sealwright.adapters.kms_wire import Answer, Operation, Question
from sealwright.core.errors import BadInput, Refused, SealError, Unavailable
from sealwright.core.ports import KeyState
from sealwright.vault import signers
from sealwright.vault.acting import current
from sealwright.vault.custody import HeldSigner, Made, RemoteSigner

PREFIX = "service:"
_ONCE: frozenset[Operation] = frozenset({"rotate", "make"})


class ServiceAddress(msgspec.Struct, frozen=True):
    """A Unix socket, or a host and port that speak TLS."""

    socket: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else f"tls://{self.host}:{self.port}"


def parse_service(text: str) -> ServiceAddress:
    """Read ``service:unix:/path`` or ``service:tls://host:port``. Raises: BadInput."""
    rest = text.removeprefix(PREFIX)
    if rest.startswith("unix:/"):
        return ServiceAddress(socket=rest.removeprefix("unix:"))
    parts = urlsplit(rest)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "tls" or not parts.hostname or not port:
        raise BadInput(
            f"{text!r} is not where a key service can be",
            hint="write service:unix:/path/of/socket or service:tls://HOST:PORT",
        )
    return ServiceAddress(host=parts.hostname, port=port)


class KmsClient:
    """Asks a key service. Safe for threads, and after a fork."""

    def __init__(
        self,
        address: ServiceAddress,
        workspace: str,
        files: tls.TlsFiles | None = None,
        answer_s: float = kms_wire.ANSWER_S,
        principal: str = "",
    ) -> None:
        self._address = address
        self._workspace = workspace
        self._files = files
        self._answer_s = answer_s
        self._principal = principal
        self._sock: socket.socket | None = None
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def custody(self) -> Literal["passphrase", "key-file", "external"]:
        """``external`` where the service runs under a uid or on a host that we are not."""
        answer = self._ask("hello")
        apart = not self._address.socket or self._peer_uid() not in (os.geteuid(), None)
        if apart and os.geteuid() != 0:
            return "external"
        return cast("Literal['passphrase', 'key-file']", answer.custody)

    def create(self, key: str) -> None:
        """See ``core.ports.Kms``."""
        self._ask("create", key)

    def wrap(self, key: str, secret: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``."""
        return self._ask("wrap", key, secret, context).data

    def unwrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.Kms``."""
        return self._ask("unwrap", key, wrapped, context).data

    def derive(self, key: str, label: bytes) -> bytes:
        """See ``core.ports.Kms``."""
        return self._ask("derive", key, context=label).data

    def destroy(self, key: str) -> None:
        """See ``core.ports.Kms``."""
        self._ask("destroy", key)

    def states(self) -> tuple[KeyState, ...]:
        """See ``core.ports.KeyService``."""
        return self._ask("states").states

    def keys(self) -> tuple[str, ...]:
        """The names of the keys that were not destroyed, sorted."""
        return tuple(each.name for each in self.states() if each.state != "destroyed")

    def rotate(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``."""
        return self._ask("rotate", key).states[0]

    def rewrap(self, key: str, wrapped: bytes, context: bytes) -> bytes:
        """See ``core.ports.KeyService``; the secret stays where the service is."""
        return self._ask("rewrap", key, wrapped, context).data

    def retire(self, key: str) -> KeyState:
        """See ``core.ports.KeyService``."""
        return self._ask("retire", key).states[0]

    def switch(self, key: str, *, on: bool) -> KeyState:
        """See ``core.ports.KeyService``."""
        return self._ask("enable" if on else "disable", key).states[0]

    def make(self, role: str, algorithm: str) -> Made:
        """See ``vault.custody.Custodian``: the private key is made, and stays, over there."""
        answer = self._ask("make", role=role, algorithm=algorithm)
        return Made(answer.public, answer.data)

    def signer(self, role: str, algorithm: str, wrapped: bytes, public: bytes) -> HeldSigner:
        """See ``vault.custody.Custodian``: a signer that asks for each signature."""

        def sign_there(message: bytes) -> bytes:
            return self._ask(
                "sign", data=wrapped, role=role, algorithm=algorithm, message=message
            ).data

        return RemoteSigner(cast("signers.Algorithm", algorithm), public, sign_there)

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def __del__(self) -> None:
        self.close()

    def _ask(
        self,
        operation: Operation,
        key: str = "",
        data: bytes = b"",
        context: bytes = b"",
        **more: str | bytes,
    ) -> Answer:
        now = current()
        question = Question(
            version=kms_wire.VERSION,
            workspace=self._workspace,
            operation=operation,
            key=key,
            data=data,
            context=context,
            principal=now.principal or self._principal,
            purpose=now.purpose[: kms_wire.WORD],
            artifact=now.artifact[: kms_wire.WORD],
            **more,  # type: ignore[arg-type]
        )
        with self._lock:
            answer = self._exchange(question)
        if answer.fault is not None:
            raise kms_wire.raised(answer.fault)
        return answer

    def _exchange(self, question: Question) -> Answer:
        reused = self._sock is not None and self._pid == os.getpid()
        try:
            return self._once(question)
        except (OSError, EOFError) as error:
            self.close()
            # an idle connection may have been closed meanwhile: then nothing was done yet
            gone = isinstance(error, EOFError | BrokenPipeError | ConnectionResetError)
            if not (reused and gone and question.operation not in _ONCE):
                raise self._unreachable(error) from error
        try:
            return self._once(question)
        except (OSError, EOFError) as error:
            self.close()
            raise self._unreachable(error) from error

    def _once(self, question: Question) -> Answer:
        if self._pid != os.getpid():
            self._sock, self._pid = None, os.getpid()
        if self._sock is None:
            self._sock = self._connected()
        try:
            kms_wire.send(self._sock, question)
            answer = kms_wire.receive(self._sock, Answer)
        except SealError:
            self.close()
            raise
        if answer is None:
            raise EOFError("it closed the connection")
        return answer

    def _connected(self) -> socket.socket:
        if not self._address.socket:
            return self._connected_by_tls()
        path = Path(self._address.socket)
        _check_place(path)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(self._answer_s)
        try:
            sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
        return sock

    def _connected_by_tls(self) -> socket.socket:
        if self._files is None:
            raise BadInput(
                "a key service on another host is asked over mutual TLS",
                hint="name the folder with ca.pem, cert.pem and key.pem: [tls] folder in seal.toml",
            )
        raw = socket.create_connection((self._address.host, self._address.port), self._answer_s)
        try:
            context = tls.client_context(self._files)
            return context.wrap_socket(raw, server_hostname=self._address.host)
        except BaseException:
            raw.close()
            raise

    def _peer_uid(self) -> int | None:
        if self._sock is None or not hasattr(socket, "SO_PEERCRED"):
            return None
        raw = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])

    def _unreachable(self, error: OSError | EOFError) -> Unavailable:
        if isinstance(error, ssl.SSLError):
            return Unavailable(
                f"the key service at {self._address} and we do not accept each other",
                why=tls.reason(error),
                hint="seal keys certify shows how certificates are made and renewed",
            )
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"the key service at {self._address} did not answer in {self._answer_s:g} s",
                why="it is overloaded or stuck; nothing was changed",
                hint="look at it, then run the command again",
            )
        return Unavailable(
            f"the key service at {self._address} cannot be reached",
            why=f"{str(error) or type(error).__name__}; nothing was changed",
            hint="start it: seal keys serve",
        )


def _check_place(path: Path) -> None:
    """Raises: Refused (others could put a socket of theirs there), OSError."""
    facts, above = path.lstat(), path.parent.stat()
    trusted = {0, os.geteuid(), facts.st_uid}
    if not stat.S_ISSOCK(facts.st_mode):
        raise BadInput(f"{path} is no socket", hint="start the key service: seal keys serve")
    if above.st_uid not in trusted or above.st_mode & 0o022:
        raise Refused(
            f"{path} lies where others can put a socket of their own",
            why=f"{path.parent} has mode {stat.S_IMODE(above.st_mode):04o}; who answered there"
            " would be given the keys of new data",
            hint=f"chmod go-w {path.parent}, or give the service another --socket",
            rule="keys.socket-unsafe",
        )
