"""A distribution's licence, as far as its metadata commits itself.

PEP 639's expression first, then trove classifiers that name one licence, then the free text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

_CLASSIFIED: Mapping[str, str] = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
}
"""The trove classifiers that stand for one SPDX id; "BSD" is most often the three-clause one."""

_TEXTS: Mapping[str, str] = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mpl-2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
    "unlicense": "Unlicense",
    "zpl 2.1": "ZPL-2.1",
}
_SHORT = 64


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An SPDX expression (``spdx``), else what somebody wrote (``name``), else neither."""

    spdx: str = ""
    name: str = ""
    by: str = ""

    @property
    def known(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.spdx or self.name)


def of(expression: str, classifiers: Sequence[str], text: str) -> Licence:
    """From ``License-Expression``, ``Classifier`` and ``License`` of the metadata."""
    if expression.strip():
        return Licence(spdx=expression.strip(), by="License-Expression")
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    named = [name for name in named if name not in ("OSI Approved", "License")]
    spdx = [_CLASSIFIED[name] for name in named if name in _CLASSIFIED]
    if spdx and len(spdx) == len(named):
        return Licence(spdx=" OR ".join(dict.fromkeys(spdx)), by="Classifier")
    first = text.strip().split("\n")[0].strip()
    if first.lower().rstrip(".") in _TEXTS:
        return Licence(spdx=_TEXTS[first.lower().rstrip(".")], by="License")
    if named:
        return Licence(name=" OR ".join(named), by="Classifier")
    if first and len(first) <= _SHORT:
        return Licence(name=first, by="License")
    return Licence(name="see its licence file", by="License") if first else Licence()
