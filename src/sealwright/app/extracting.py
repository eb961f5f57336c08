"""``seal redteam extraction``: thieves set on a registered model in its worker, and the statement.

The model is asked through the output policy that it is served with, and every answer is charged
as the leakage ledger would charge it: cells, pace and steps of walks as ``[serve]`` has them. Rows
of a dataset stand for what the model is asked: a few are what thieves hold, others judge the
copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sealwright.app import accessing, servingmodel, stealing
from sealwright.app.exampleinputs import Examples, examples_of
from sealwright.app.servingwalks import REFERENCE
from sealwright.app.stealing import Victim
from sealwright.core import clock, refs
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.core.records import Artifact
from sealwright.intake.versions import Dataset, Datasets
from sealwright.policy import extracted
from sealwright.policy.extracted import Budget, Robbed, Test
from sealwright.redteam.extraction import heist, sizing
from sealwright.redteam.extraction.heist import Curve, Exam
from sealwright.redteam.extraction.interface import Array, Known
from sealwright.redteam.extraction.oracle import NO_CAP, Limits, MeteredOracle, Served
from sealwright.redteam.extraction.sizing import UNITS, Reached
from sealwright.redteam.extraction.thieves import THIEVES, accounts_of
from sealwright.registry.versions import Model, Models
from sealwright.serve import bounds
from sealwright.serve.interface import Allowance, Fidelity
from sealwright.serve.walks import Past, Walks

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.kit.loader.opening import OpenModel

PUBLIC, HELD_OUT, MOST_QUERIES = 200, 1000, 100_000
SEED = 20_260_101


class Wish(msgspec.Struct, frozen=True):
    """What is to be tried. ``queries`` and ``mbits`` 0: as it would be served; ``cells`` 0 as well,
    or no cap; ``thieves`` empty is all. ``plain``: the budget alone. ``pace`` is as it is served.
    """

    queries: int = 0
    mbits: int = 0
    cells: int = 0
    fidelity: Fidelity = "top1"
    thieves: tuple[str, ...] = ()
    target: Decimal = Decimal("0.9")
    seed: int = SEED
    public: int = PUBLIC
    shape: tuple[int, ...] = ()
    plain: bool = False
    pace: tuple[tuple[int, int], ...] = ()

    @property
    def walks(self) -> bool:
        """Whether steps of walks are charged: where anything caps cells, as in ``seal serve``."""
        return bool(self.cells or self.pace)


class Tested(msgspec.Struct, frozen=True):
    """A test and its statement's entry; ``reached`` is of each unit at the budget that was spent,
    ``fit`` the largest of each at which the bound still meets the target."""

    model: str
    data: str
    test: Test
    curves: tuple[Curve, ...]
    reached: tuple[Reached, ...]
    fit: tuple[tuple[str, int], ...]
    index: int


def test(
    workspace: Workspace, what: str, data: str, wish: Wish, reason: str, progress: Progress
) -> Tested:
    """Set every thief on the model. Raises: BadInput, Refused (``loader.*``), GateDenied."""
    _checked(wish)
    model = Models(workspace.history()).resolve(refs.parse(what, "model"))
    dataset = dataset_of(workspace, model, data)
    subject = Artifact(model.ref, model.digest)
    accessing.require(workspace, "deploy", [subject], reason=reason, size_bytes=model.size_bytes)
    rows = examples_of(workspace, dataset, wish.shape)
    with servingmodel.opener(workspace, model)() as opened:
        robbed = rob(opened, rows, _as_served(wish, workspace, model), progress)
    said = statement(robbed, dataset, workspace)
    receipt = workspace.recorder.record(extracted.statement_of(subject, said))
    return Tested(
        model.ref,
        dataset.ref,
        said,
        robbed.curves,
        tuple(sizing.reached(robbed.curves, unit, _spent(robbed.curves, unit)) for unit in UNITS),
        tuple(
            (unit, sizing.recommended(robbed.curves, unit, float(wish.target))) for unit in UNITS
        ),
        receipt.index,
    )


class Loss(msgspec.Struct, frozen=True):
    """What every thief came away with; ``nothing`` inputs agree without a question."""

    curves: tuple[Curve, ...]
    nothing: int
    public: int
    held_out: int
    wish: Wish


class Ground(msgspec.Struct, frozen=True):
    """Where copies are judged: the open model, what is public, and the held-out exam."""

    victim: Victim
    known: Known
    exam: Exam
    public: int


def ground(opened: OpenModel, rows: Examples, wanted: int, seed: int) -> Ground:
    """At most ``wanted`` of the records are public, others judge. Raises: BadInput, Refused."""
    order = np.random.default_rng(seed).permutation(len(rows.inputs))
    public = min(wanted, len(order) // 3)
    held = order[public : public + HELD_OUT]
    victim = stealing.victim_of(opened, rows, rows.inputs[order[:public]], seed)
    exam = Exam(rows.inputs[held], victim.scores(rows.inputs[held]).argmax(axis=1))
    if len(np.unique(exam.labels)) < 2:
        raise BadInput(
            "the model gives every held-out record the same label",
            why="any copy would agree with it",
            hint="--data a dataset of more kinds",
        )
    known = Known(
        rows.space,
        victim.classes,
        rows.inputs[order[:public]],
        victim.codes([rows.labels[at] for at in order[:public]] if rows.labels else []),
        seed=seed,
    )
    return Ground(victim, known, exam, public)


def rob(opened: OpenModel, rows: Examples, wish: Wish, progress: Progress) -> Loss:
    """Each thief in turn against a fresh ledger. Raises: BadInput, Refused."""
    names = wish.thieves or tuple(THIEVES)
    field = ground(opened, rows, wish.public, wish.seed)
    victim, known, exam = field.victim, field.known, field.exam
    served: Served = victim.served(wish.fidelity)
    wish = _budgeted(wish, served.mbits)
    curves = []
    for number, name in enumerate(names):
        told = _telling(served, progress, number * wish.queries, len(names) * wish.queries, name)
        oracle = guarded(told, wish, rows)
        most = min(MOST_QUERIES, wish.queries * accounts_of(name))
        curves.append(heist.rob(name, known, oracle, most, exam))
    nothing = heist.without_questions(known, exam)
    return Loss(tuple(curves), nothing, field.public, len(exam.labels), wish)


def _budgeted(wish: Wish, row_mbits: int) -> Wish:
    """As many queries as the bits pay for, and the other way round. Raises: BadInput."""
    queries = wish.queries or min(MOST_QUERIES, max(1, wish.mbits // row_mbits))
    mbits = min(wish.mbits or queries * row_mbits, queries * row_mbits)
    return msgspec.structs.replace(wish, queries=queries, mbits=mbits)


def _telling(served: Served, progress: Progress, done: int, total: int, name: str) -> Served:
    """The same, and it says how far it is."""
    count = 0

    def answer(inputs: Array) -> tuple[Array, Array]:
        nonlocal count
        count += len(inputs)
        progress.advance(min(total, done + count), total, name)
        return served.answer(inputs)

    return msgspec.structs.replace(served, answer=answer)


def guarded(served: Served, wish: Wish, rows: Examples) -> MeteredOracle:
    """The model behind a ledger of its own, which decides as the served one."""
    limits = Limits(wish.queries, wish.mbits, wish.cells or NO_CAP)
    if not wish.walks:
        return MeteredOracle(served, limits)
    allowance = Allowance(wish.mbits, wish.mbits, wish.cells, pace=wish.pace)
    walks = Walks(rows.space.render(rows.inputs[:REFERENCE]))
    pasts = dict[int, Past]()

    def steps(account: int, inputs: Array, scores: Array) -> Sequence[Sequence[int]]:
        past = pasts.get(account) or walks.blank()
        asked = rows.space.render(inputs)
        found, pasts[account] = walks.look(asked, scores.argmax(axis=1), past)
        return found

    paced = (lambda spent: bounds.room(allowance, spent)) if wish.pace else None
    return MeteredOracle(served, limits, room=paced, steps=steps)


def statement(loss: Loss, data: Dataset, workspace: Workspace) -> Test:
    """The whole test, as the log keeps it."""
    wish = loss.wish
    ends = [(curve, curve.best) for curve in loss.curves]
    told = tuple(
        Robbed(
            curve.thief,
            _share(best.agreed, curve.of),
            signed(best.agreed - loss.nothing, curve.of),
            curve.points[-1].reading.queries,
            curve.points[-1].reading.mbits,
            curve.points[-1].reading.cells,
            curve.accounts,
        )
        for curve, best in ends
        if best is not None
    )
    worst = sizing.reached(loss.curves, "queries", _spent(loss.curves, "queries"))
    return Test(
        suite=extracted.SUITE,
        data=data.digest,
        held_out=loss.held_out,
        public=loss.public,
        seed=wish.seed,
        budget=Budget(
            wish.queries,
            wish.mbits,
            wish.cells,
            max((curve.accounts for curve in loss.curves), default=1),
            wish.fidelity,
            wish.pace,
            wish.walks,
        ),
        thieves=told,
        no_questions=_share(loss.nothing, loss.held_out),
        best=worst.thief,
        agreement=decimal(worst.agreement),
        bound=decimal(worst.bound),
        target=str(wish.target),
        actor=workspace.principal.name,
        time=clock.stamp(workspace.clock()),
    )


def decimal(share: float) -> str:
    """A share with three digits, rounded up."""
    return str(Decimal(f"{share:.9f}").quantize(Decimal("0.001"), ROUND_CEILING))


def _share(count: int, of: int) -> str:
    return decimal(count / of)


def signed(count: int, of: int) -> str:
    """A difference of shares with three digits, rounded up."""
    return str((Decimal(count) / Decimal(of)).quantize(Decimal("0.001"), ROUND_CEILING))


def _spent(curves: Sequence[Curve], unit: str) -> int:
    """The most that a thief used."""
    last = [getattr(curve.points[-1].reading, unit) for curve in curves if curve.points]
    return max(last, default=0)


def _checked(wish: Wish) -> None:
    if not 0 <= wish.queries <= MOST_QUERIES:
        raise BadInput(f"a budget of {wish.queries:,} queries", why=f"at most {MOST_QUERIES:,}")
    if min(wish.mbits, wish.cells) < 0:
        raise BadInput("a budget below nothing", why="bits and cells are 0 (no cap) or more")
    if not 0 < wish.target <= 1:
        raise BadInput(f"a target of {wish.target}", why="a share of agreement, above 0, at most 1")
    for name in wish.thieves:
        accounts_of(name)


def _as_served(wish: Wish, workspace: Workspace, model: Model) -> Wish:
    """Where nothing was said: the budget of ``[serve]``; its cells and pace, but for ``plain``."""
    serve, cells, pace = workspace.settings.serve, wish.cells, wish.pace
    if not wish.plain:
        cells = cells or serve.cells
        pace = tuple((bits * 1000, most) for bits, most in serve.pace)
    wish = msgspec.structs.replace(wish, cells=cells, pace=pace)
    if wish.queries or wish.mbits:
        return wish
    bits = servingmodel.of_model(serve, model.name).budget_bits or serve.budget_bits
    return msgspec.structs.replace(wish, mbits=bits * 1000)


def dataset_of(workspace: Workspace, model: Model, data: str) -> Dataset:
    """The dataset named, else the newest table the model was made from."""
    catalogue = Datasets(workspace.history(), workspace.store)
    if data:
        return catalogue.resolve(data)
    behind: set[Any] = {one.digest for one in model.inputs}
    found = [one for one in catalogue.all() if one.digest in behind]
    if not found:
        raise BadInput(
            f"{model.ref} names no dataset it was made from",
            hint="--data data:NAME@N",
        )
    return found[-1]
