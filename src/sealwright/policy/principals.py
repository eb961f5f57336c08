"""Who acts. A principal is a name and an Ed25519 key; an account is where it was used.

Names are ``self-asserted`` unless a key or a provider established them (docs/spec/identity-v1.md),
and uids and hosts always are, so people are counted towards refusal: two identities that ever
shared a name, a key or a (uid, host) are one person.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.records import Json, Principal
from sealwright.evidence.trust import Trust, TrustKey

_MACHINE_ID = Path("/etc/machine-id")


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A principal at work: the key it signs with, and the (uid, host) it worked under.

    ``uid`` -1 or an empty ``host`` is unknown, and never counts as another person.
    """

    name: str
    key_id: Digest
    uid: int = -1
    host: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a (uid, host) to tell this account from another."""
        return self.uid >= 0 and bool(self.host) and bool(self.key_id)

    def jsonable(self) -> dict[str, Json]:
        """The fields, as statements keep them."""
        return {"name": self.name, "key_id": self.key_id, "uid": self.uid, "host": self.host}


def here(principal: Principal) -> Account:
    """``principal`` on this machine, now."""
    uid = principal.uid if principal.uid >= 0 else os.getuid()
    return Account(principal.name, principal.key_id, uid, host_id())


def host_id() -> str:
    """This host, without telling its name: derived from the machine id, else the host name."""
    try:
        seed = _MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        seed = ""
    seed = seed or socket.gethostname()
    return of_bytes(b"sealwright host\0" + seed.encode())[:16] if seed else ""


def is_key_of(trust: Trust | None, name: str, key_id: Digest, index: int | None) -> bool:
    """Whether the trust root lists ``key_id`` as ``name``'s own key at log entry ``index``.

    ``index`` None asks about entries to come.
    """
    return _listed(trust, name, key_id, index) is not None


def established_of(
    trust: Trust | None, name: str, key_id: Digest, index: int | None
) -> Literal["self-asserted", "key", "oidc"]:
    """How the holder of that key was established when it was enrolled: what evidence may say."""
    key = _listed(trust, name, key_id, index)
    if key is not None and key.note == "key":
        return "key"
    return "oidc" if key is not None and key.note == "oidc" else "self-asserted"


def _listed(trust: Trust | None, name: str, key_id: Digest, index: int | None) -> TrustKey | None:
    for key in trust.keys if trust else ():
        if key.role == "principal" and key.key_id == key_id and key.name == name:
            if key.last_index is None if index is None else key.covers(index):
                return key
    return None


class People:
    """Which accounts are one person: the closure of shared names, keys and (uid, host)."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._parent: dict[tuple[str, str], tuple[str, str]] = {}
        for account in accounts:
            self.meet(account)

    def apart(self) -> People:
        """A copy that learns by itself."""
        other = People()
        other._parent = dict(self._parent)
        return other

    def meet(self, account: Account) -> None:
        """Learn that these belong together."""
        traits = _traits(account)
        for other in traits[1:]:
            self._parent[self._root(other)] = self._root(traits[0])

    def person(self, account: Account) -> tuple[str, str]:
        """A label that is equal for two accounts of one person."""
        self.meet(account)
        return self._root(_traits(account)[0])

    def _root(self, trait: tuple[str, str]) -> tuple[str, str]:
        path = []
        while (parent := self._parent.setdefault(trait, trait)) != trait:
            path.append(trait)
            trait = parent
        for step in path:
            self._parent[step] = trait
        return trait


def _traits(account: Account) -> list[tuple[str, str]]:
    traits = [("name", account.name)]
    if account.key_id:
        traits.append(("key", account.key_id))
    if account.uid >= 0 and account.host:
        traits.append(("account", f"{account.uid}@{account.host}"))
    return traits
