"""Our own worker behind the chain, asked in the Open Inference Protocol v2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy.typing as npt

from sealwright.core.errors import Refused, Unavailable
from sealwright.serve import oip, oip_reply, outputs
from sealwright.serve.guard import Question, Released
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.messages import Request
from sealwright.serve.oip import Inference, InputSpec
from sealwright.serve.outputs import Shape
from sealwright.serve.refusals import refused
from sealwright.serve.routes import Match

Array: TypeAlias = npt.NDArray[Any]
AskModel = Callable[[Array], Awaitable[tuple[Array, Array]]]
"""A batch (n, …) → scores (n, K) and features (n, d). Raises: Refused, Unavailable."""


class Observer(Protocol):
    """Who watches answers: cells of the feature space now, signals behind the answer."""

    def cells(self, features: Array) -> Sequence[int]:
        """The cells that rows of features (n, d) touch."""
        ...

    def behind(self, caller: Caller, inputs: Array, answer: Answer, fidelity: Fidelity) -> None:
        """Called once the reply was made, with how much of the answer is in it; returns at
        once."""
        ...


class Unwatched:
    """No observer: every answer touches nothing."""

    def cells(self, features: Array) -> Sequence[int]:
        """None."""
        return ()

    def behind(self, caller: Caller, inputs: Array, answer: Answer, fidelity: Fidelity) -> None:
        """Nothing."""


class Served(msgspec.Struct, frozen=True):
    """What is asked and answered: the model's name and version, its input, its outputs."""

    name: str
    version: str
    input: InputSpec
    shape: Shape
    platform: str


class OipMount:
    """The mount (``guard.Mount``) of one model in our own worker."""

    def __init__(self, served: Served, ask: AskModel, observer: Observer) -> None:
        self.served = served
        self._ask = ask
        self._observer = observer
        shape = served.shape
        by_row = () if shape.profile == "ranking" else outputs.FIDELITIES
        self._matched: Match | None = None  # the last that named this model
        self._shapes: dict[int, bytes] = {}  # of numbers, by rows: not more than are answered
        self._row_mbits = {one: outputs.ceiling_mbits(shape, one, 1) for one in by_row}

    def decode(self, request: Request, match: Match) -> Question:
        """See ``guard.Mount``."""
        if match is not self._matched:
            self.require_model(match)
            self._matched = match
        asked = oip.decode(request, self.served.input)
        batch = asked.batch
        return Question(len(batch), batch.tobytes() + self._shape_of(batch), asked)

    def _shape_of(self, batch: Array) -> bytes:
        """What tells two batches of the same bytes from each other: datatype and shape."""
        if batch.ndim == 1:  # texts, as wide as their longest
            return f"{batch.dtype.str}{batch.shape}".encode()
        rows = len(batch)
        said = self._shapes.get(rows)
        if said is None:
            said = self._shapes[rows] = f"{batch.dtype.str}{batch.shape}".encode()
        return said

    def require_model(self, match: Match) -> None:
        """Raises: Refused (``guard.model``: no such model or version here)."""
        if match.model != self.served.name or match.version not in ("", self.served.version):
            raise refused(
                "guard.model",
                f"{match.model}{f' version {match.version}' if match.version else ''} is not here",
                why=f"served: {self.served.name} version {self.served.version}",
            )

    def check(self, question: Question, fidelity: Fidelity) -> int:
        """See ``guard.Mount``."""
        asked: Inference = question.body
        if asked.outputs:
            self._may_have(asked, fidelity)
        return self._ceiling(fidelity, question.rows)

    def _ceiling(self, fidelity: Fidelity, rows: int) -> int:
        of_row = self._row_mbits.get(fidelity)
        if of_row is None:
            return outputs.ceiling_mbits(self.served.shape, fidelity, rows)
        return of_row * rows

    def _may_have(self, asked: Inference, fidelity: Fidelity) -> None:
        shape = self.served.shape
        mine = outputs.names_of(shape, fidelity)
        every = {name for one in outputs.FIDELITIES for name in outputs.names_of(shape, one)}
        for wanted in asked.outputs:
            if wanted.name not in every:
                raise refused(
                    "guard.output",
                    f"there is no output {wanted.name[:40]!r}",
                    why=f"there is: {', '.join(mine)}",
                )
            if wanted.name not in mine:
                raise refused(
                    "guard.fidelity",
                    f"the output {wanted.name!r} is not released to you",
                    why=f"your profile is {shape.profile}/{fidelity}: {', '.join(mine)}",
                    hint="more is a grant: seal serve keys create NAME --fidelity full"
                    " --budget BITS --until +30d",
                )

    async def call(self, question: Question) -> Answer:
        """See ``guard.Mount``."""
        asked: Inference = question.body
        try:
            scores, features = await self._ask(asked.batch)
        except Refused as error:
            raise refused("guard.answer", error.what, error.why) from error
        return Answer(scores, features, self.served.shape.labels)

    def release(
        self, question: Question, answer: Answer, caller: Caller, fidelity: Fidelity
    ) -> Released:
        """See ``guard.Mount``."""
        asked: Inference = question.body
        shape = self.served.shape
        try:
            tensors = outputs.released(shape, fidelity, answer)
        except ValueError as error:
            raise Unavailable("the model answered nonsense", why=str(error)) from error
        if asked.outputs:
            tensors = outputs.chosen(tensors, [one.name for one in asked.outputs])
        reply = oip_reply.answer(self.served.name, self.served.version, asked, tensors)
        mbits = self._ceiling(fidelity, question.rows)
        cells = self._observer.cells(answer.features)
        self._observer.behind(caller, asked.batch, answer, fidelity)
        return Released(reply, mbits, cells)

    def metadata(self, fidelity: Fidelity) -> dict[str, Any]:
        """The model's metadata, as the caller sees its outputs."""
        served, given = self.served, self.served.input
        wide = [] if given.datatype == oip.TEXT else [given.width]
        return {
            "name": served.name,
            "versions": [served.version],
            "platform": served.platform,
            "inputs": [{"name": given.name, "datatype": given.datatype, "shape": [-1, *wide]}],
            "outputs": [
                {"name": name, "datatype": datatype, "shape": shape}
                for name, datatype, shape in outputs.described(served.shape, fidelity)
            ],
        }
