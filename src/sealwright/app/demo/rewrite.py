"""What somebody can do who holds every key of a workspace: write its log again."""

from __future__ import annotations

import base64
import json
import sqlite3

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.app import wiring
from sealwright.app.demo.house import House


def rewrite_history(house: House) -> None:
    """Leave one entry out, sign everything after it again, and cover the tracks."""
    workspace = wiring.open_workspace(house.project)
    bodies = [entry.body for entry in workspace.log.entries()]
    workspace.log.close()
    forged = house.top / "forged.db"
    forged.unlink(missing_ok=True)
    log = SqliteLog.create(forged, workspace.origin, workspace.keyring.signer("log"))
    unwanted = len(bodies) - 2
    log.append([*bodies[:unwanted], *bodies[unwanted + 1 :], bodies[-1], bodies[-1]])
    log.close()
    for path in house.seal_dir.glob("ledger.db*"):
        path.unlink()
    forged.rename(house.seal_dir / "ledger.db")
    for path in sorted((house.seal_dir / "tiles").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (workspace.state_dir / "anchor.json").unlink(missing_ok=True)


def edit_row(house: House, index: int, before: str, after: str) -> None:
    """Change a word in one signed statement, right in the database."""
    database = sqlite3.connect(house.seal_dir / "ledger.db")
    (body,) = database.execute("SELECT body FROM entries WHERE idx = ?", (index,)).fetchone()
    envelope = json.loads(body)
    payload = base64.b64decode(envelope["payload"]).decode()
    if before not in payload:
        raise RuntimeError(f"entry {index} does not say {before!r}; editing it proves nothing")
    envelope["payload"] = base64.b64encode(payload.replace(before, after).encode()).decode()
    edited = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
    with database:
        database.execute("UPDATE entries SET body = ? WHERE idx = ?", (edited, index))
    database.close()
