"""The recorder: statement → DSSE → log → receipt."""

from __future__ import annotations

from sealwright.core.errors import BadInput
from sealwright.core.ports import Log, Signer
from sealwright.core.records import Receipt, Statement
from sealwright.evidence import dsse, statement
from sealwright.evidence.tlog import MAX_ENTRY_BYTES


class SigningRecorder:
    """Signs with the workspace key and appends to the log (the port ``Recorder``)."""

    def __init__(self, log: Log, signer: Signer) -> None:
        self._log = log
        self._signer = signer

    def record(self, recorded: Statement) -> Receipt:
        """Durable on return. Raises: BadInput (not JSON, too long), Unavailable (log busy)."""
        return self._log.append([seal(recorded, self._signer)])[0]


def seal(sealed: Statement, signer: Signer) -> bytes:
    """A log entry: the statement's envelope. Raises: BadInput (over 65,535 bytes)."""
    entry = dsse.sign(statement.encode(sealed), [signer])
    if len(entry) > MAX_ENTRY_BYTES:
        raise BadInput(
            f"a statement of {len(entry):,} bytes does not fit into the log",
            why=f"an entry holds at most {MAX_ENTRY_BYTES:,}; predicate {sealed.predicate_type}",
            hint="put the detail into a blob and its digest into the statement",
        )
    return entry
