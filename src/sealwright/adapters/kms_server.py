"""The embedded key service: its own process and home; the root key is nowhere else.

It listens on a Unix socket, where the kernel says which uid asks, or on a port over mutual
TLS, where a certificate does. Private signing keys never leave it: it makes them and signs.
Each use is written down before it is answered (``adapters.kms_record``).
"""

from __future__ import annotations

import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealwright.adapters import kms_wire, tls
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.kms_record import Use, UseRecord
from sealwright.adapters.kms_wire import Answer, Question
from sealwright.core import localsocket
from sealwright.core.errors import Refused, SealError, Unavailable
from sealwright.core.ports import KeyState
from sealwright.vault.custody import WRAPPING_KEY, InProcess

IDLE_S = 30.0
"""A connection without a whole question for this long is closed."""
MOST_CONNECTIONS = 64
_QUIET = frozenset({"hello", "states", "create", "wrap"})


class KeyServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers until ``shutdown``. ``stamp`` returns the time, ``say`` takes one line each."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        kms: FileKms,
        workspace: str,
        record: UseRecord,
        *,
        listen: Path | tuple[str, int],
        uids: frozenset[int] = frozenset(),
        files: tls.TlsFiles | None = None,
        stamp: Callable[[], str],
        say: Callable[[str], None] = lambda _line: None,
        idle_s: float = IDLE_S,
    ) -> None:
        """Raises: Unavailable (the address is taken), Refused (a port without TLS)."""
        self.kms, self.workspace, self.record = kms, workspace, record
        self.uids, self.files = uids, files
        self.stamp, self.say, self.idle_s = stamp, say, idle_s
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._path = listen if isinstance(listen, Path) else None
        self.address_family = socket.AF_UNIX if self._path else socket.AF_INET
        if self._path is None:
            tls.check_listener(str(listen), local=False, files=files)
        else:
            clear_stale(self._path)
        try:
            super().__init__(str(listen) if self._path else listen, _Session)  # type: ignore[arg-type]
        except OSError as error:
            raise Unavailable(f"cannot listen on {listen}", why=str(error)) from error
        if self._path is not None:
            # who may ask is decided by the uid that the kernel tells, not by the file's mode
            self._path.chmod(0o666)

    @property
    def url(self) -> str:
        """What a workspace puts into ``[keys] kms``."""
        if self._path is not None:
            return f"service:unix:{self._path}"
        host, port = self.server_address[:2]
        return f"service:tls://{host!s}:{port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow peer holds up nobody."""
        if not self._room.acquire(blocking=False):
            self.say("refused a connection: too many at once")
            return
        try:
            if self._path is not None or self.files is None:
                _Session(request, client_address, self)
                return
            with tls.accept(request, self.files) as sock:
                _Session(sock, client_address, self)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off; the next one is not affected."""
        error = sys.exc_info()[1]
        said = tls.reason(error) if isinstance(error, ssl.SSLError) else str(error)
        self.say(f"broken off: {said}")

    def server_close(self) -> None:
        """Stop listening; a socket file is removed."""
        super().server_close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Session(socketserver.BaseRequestHandler):
    server: KeyServer
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(self.server.idle_s)
        peer, allowed = self._peer()
        while True:
            try:
                question = kms_wire.receive(self.request, Question)
            except SealError as error:
                kms_wire.send(self.request, Answer(fault=kms_wire.fault_of(error)))
                return
            except (OSError, EOFError):
                return
            if question is None:
                return
            kms_wire.send(self.request, self._answer(question, peer, allowed))

    def _peer(self) -> tuple[str, bool]:
        if isinstance(self.request, ssl.SSLSocket):
            return f"certificate {tls.peer_name(self.request)}", True
        raw = self.request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", raw)
        return f"uid {uid}", uid in self.server.uids

    def _answer(self, question: Question, peer: str, allowed: bool) -> Answer:
        try:
            if not allowed:
                raise Refused(
                    f"this key service does not answer {peer}",
                    hint="whoever runs it can start it with --allow UID",
                    rule="keys.not-allowed",
                )
            _check(question, self.server.workspace)
            answer = _done(self.server.kms, question)
        except SealError as error:
            answer = Answer(fault=kms_wire.fault_of(error))
        except OSError as error:
            what = f"the key service cannot do that: {error.strerror or error}"
            answer = Answer(fault=kms_wire.fault_of(Unavailable(what)))
        if question.operation in _QUIET and answer.fault is None:
            return answer
        try:
            self.server.record.append(self._use(question, peer, answer))
        except SealError as error:
            return Answer(fault=kms_wire.fault_of(error))
        return answer

    def _use(self, question: Question, peer: str, answer: Answer) -> Use:
        fault = answer.fault
        return Use(
            number=0,
            time=self.server.stamp(),
            operation=question.operation,
            key=question.key or question.role,
            context=question.context.decode("ascii", "replace")[:300],
            peer=peer,
            principal=question.principal,
            purpose=question.purpose,
            artifact=question.artifact,
            outcome="done" if fault is None else fault.rule or fault.kind,
            previous="",
        )


def _check(question: Question, workspace: str) -> None:
    if question.version != kms_wire.VERSION:
        raise Unavailable(
            f"this key service speaks version {kms_wire.VERSION}, you speak {question.version}",
            hint="use one version of sealwright on both sides",
        )
    if question.workspace != workspace:
        raise Refused(
            f"this key service holds the keys of {workspace}, not of {question.workspace}",
            hint="correct [keys] kms in seal.toml",
            rule="keys.other-workspace",
        )
    if question.key == WRAPPING_KEY and question.operation in ("unwrap", "wrap", "derive"):
        raise Refused(
            "private signing keys stay in the key service",
            why="it makes them and signs with them; nobody is given one",
            rule="keys.stays-here",
        )


def _done(kms: FileKms, question: Question) -> Answer:
    key, data, context = question.key, question.data, question.context
    if question.operation == "create":
        kms.create(key)
        return Answer()
    if question.operation == "destroy":
        kms.destroy(key)
        return Answer()
    operations: dict[str, Callable[[], Answer]] = {
        "hello": lambda: Answer(custody=kms.custody),
        "wrap": lambda: Answer(data=kms.wrap(key, data, context)),
        "unwrap": lambda: Answer(data=kms.unwrap(key, data, context)),
        "derive": lambda: Answer(data=kms.derive(key, context)),
        "rewrap": lambda: Answer(data=kms.rewrap(key, data, context)),
        "states": lambda: Answer(states=kms.states()),
        "rotate": lambda: _state(kms.rotate(key)),
        "retire": lambda: _state(kms.retire(key)),
        "enable": lambda: _state(kms.switch(key, on=True)),
        "disable": lambda: _state(kms.switch(key, on=False)),
        "make": lambda: _made(kms, question),
        "sign": lambda: _signed(kms, question),
    }
    return operations[question.operation]()


def _state(state: KeyState) -> Answer:
    return Answer(states=(state,))


def _made(kms: FileKms, question: Question) -> Answer:
    made = InProcess(kms).make(question.role, question.algorithm)
    return Answer(data=made.wrapped, public=made.public)


def _signed(kms: FileKms, question: Question) -> Answer:
    held = InProcess(kms).signer(question.role, question.algorithm, question.data, b"")
    return Answer(data=held.sign(question.message))


def clear_stale(path: Path) -> None:
    """Remove a socket nobody answers on. Raises: Unavailable when somebody does."""
    try:
        localsocket.clear_stale(path)
    except OSError as error:
        raise Unavailable(f"a key service is already listening on {path}") from error


def become(user: str) -> None:
    """Give up root for ``user``, for good. Raises: BadInput through KeyError, OSError."""
    import pwd

    who = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
