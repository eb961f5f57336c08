"""Every rule a model file can be refused by: what it leads to, why, and what mends it."""

from __future__ import annotations

from typing import Literal

import msgspec

SAFE = "save weights: torch.save(model.state_dict(), …) or safetensors; then scan again"
AGAIN = "get the file again from where it was made, and compare its SHA-256"
ALLOW = "seal supply allow MODULE.CLASS --source FILE --reason '…', then --level project"
CONVERT = "save it in parts, or as safetensors, which is read by its header alone"
PLAIN = "unpack it, and scan what is inside file by file"


class Rule(msgspec.Struct, frozen=True):
    """``verdict`` is what the rule alone leads to; ``mend`` one line."""

    verdict: Literal["dangerous", "not understood", "note"]
    what: str
    mend: str


def _bad(what: str, mend: str = AGAIN) -> Rule:
    return Rule("dangerous", what, mend)


def _unknown(what: str, mend: str = AGAIN) -> Rule:
    return Rule("not understood", what, mend)


RULES: dict[str, Rule] = {
    # pickles
    "pickle.name": _bad("names something that the policy leaves out on purpose", SAFE),
    "pickle.class": _unknown("names a class that no table and no signature covers", ALLOW),
    "pickle.call": _bad("does with a name what it is not listed for", SAFE),
    "pickle.argument": _bad("hands an allowed function something it must not get", SAFE),
    "pickle.computed-name": _bad("works out a name instead of spelling it"),
    "pickle.extension": _bad("uses the extension registry, whose names are elsewhere"),
    "pickle.persistent": _bad("asks its loader for an object by a number"),
    "pickle.old-opcode": _bad("uses an opcode that no present pickler writes", SAFE),
    "pickle.order": _bad("fills an object after something else already points at it", SAFE),
    "pickle.frame": _bad("a frame says another length than its opcodes have"),
    "pickle.memo": _bad("numbers its memo in an order no pickler writes"),
    "pickle.stack": _bad("takes from its stack what is not there or not of that kind"),
    "pickle.trailing": _bad("goes on after its end"),
    "pickle.truncated": _unknown("ends before it is finished"),
    "pickle.opcode": _unknown("holds a byte that is no opcode of its protocol"),
    "pickle.text": _bad("holds a name that is not plain UTF-8"),
    "pickle.budget": _bad("unfolds to more than it may"),
    "pickle.views": _bad("two readers of the same bytes saw different programs"),
    "pickle.reader": _unknown("the unpickler in the limited child could not read it"),
    "pickle.inline-array": _bad("an array inside is not as large as it says"),
    # any file
    "file.empty": _unknown("is empty"),
    "file.unknown": _unknown("is of no format that is known here"),
    "file.too-large": _unknown("is larger than is read at once", CONVERT),
    "file.polyglot": _bad("is two formats at once"),
    "file.changed": _bad("changed while it was read"),
    "file.special": _unknown("is a link or no plain file", "copy the file to where the link is"),
    "file.fault": _unknown("could not be read to its end"),
    "file.extra": _unknown("its reader here needs an optional package", "pip install h5py"),
    "code.text": _unknown("is source code, which is reviewed and not scanned", "read it"),
    "code.notebook": _unknown("is a notebook: code and its outputs", "read it"),
    "code.program": _bad("is a program or a compiled library"),
    "code.auto-map": _bad("has its loader import code that lies beside it"),
    # containers
    "zip.structure": _bad("its directory and its entries do not say the same"),
    "zip.name": _bad("an entry's name leads out of the archive, or is no plain text"),
    "zip.duplicate": _bad("holds two entries of one name"),
    "zip.encrypted": _unknown("is encrypted", "decrypt it, then scan again"),
    "zip.method": _unknown("is compressed in a way that is not read here", PLAIN),
    "zip.content": _bad("an entry's bytes are not those of its checksum or size"),
    "archive.bomb": _bad("unfolds to more than it may"),
    "archive.deep": _bad("holds archives in archives in archives", PLAIN),
    "archive.member": _unknown("holds something that its format has no place for", PLAIN),
    "archive.link": _bad("holds a link or a special file"),
    "tar.structure": _bad("its headers do not hold together"),
    "compressed.broken": _unknown("cannot be decompressed to its end"),
    "compressed.trailing": _bad("goes on after its compressed stream"),
    # formats
    "torch.storage": _bad("its tensors and its storage do not fit"),
    "torch.script": _bad("is TorchScript: code, not weights", SAFE),
    "torch.package": _bad("holds code beside its weights", SAFE),
    "torch.old": _unknown("is of a torch before 1.0", SAFE),
    "npy.header": _bad("its header is not a plain description of an array"),
    "npy.size": _bad("its data is not as long as its header says"),
    "safetensors.header": _bad("its header is not what the format allows"),
    "safetensors.layout": _bad("its tensors overlap, leave gaps or run past the end"),
    "keras.custom": _bad("names a layer or function that is no built-in one", SAFE),
    "keras.lambda": _bad("holds a Lambda: code that runs when it is loaded or called", SAFE),
    "keras.config": _unknown("its configuration cannot be followed"),
    "hdf5.unknown": _unknown("is HDF5, but neither a model nor weights of Keras"),
    "hdf5.link": _bad("points at a file outside itself"),
    "saved-model.op": _bad("runs an operation that is on no list of plain mathematics", SAFE),
    "saved-model.broken": _unknown("is no well-formed protocol buffer"),
    "onnx.external": _bad("keeps tensors in a file outside its folder"),
    "onnx.operator": _unknown("uses operators of a library of its own"),
    "onnx.broken": _unknown("is no well-formed ONNX model"),
    "gguf.header": _bad("its header does not hold together"),
    "template.code": _bad("its chat template does more than format text", "remove the template"),
    "skops.type": _unknown("names a type that is on no list", ALLOW),
    "skops.schema": _unknown("its schema cannot be followed"),
    "booster.broken": _unknown("is no well-formed booster file"),
    "json.broken": _unknown("is no well-formed JSON"),
}
"""Rule → what it leads to. A rule that is not here cannot be reported."""
