"""What a run used against what its stage declared."""

from __future__ import annotations

import msgspec
import pytest

from sealwright.core import settings
from sealwright.core.errors import BadSettings
from sealwright.pipeline.spec import of_settings
from sealwright.train import compute
from sealwright.train.spec import Limits, Plan, Usage

PLAN = Plan(cpu_ms=1000, memory_bytes=1000, wall_ms=1000, gpu=0)
WITHIN = Usage(1000, 1000, 1000)


@pytest.mark.parametrize("more", ["cpu_ms", "wall_ms", "peak_bytes"])
def test_one_measure_over_its_plan_is_one_finding(more: str) -> None:
    over = msgspec.structs.replace(WITHIN, **{more: 1001})
    (found,) = compute.over_plan(over, PLAN, gpus=False)
    assert found.rule == "room.compute-over-plan"
    assert "1001" in found.message


def test_within_the_plan_and_without_one_nothing_is_found() -> None:
    assert compute.over_plan(WITHIN, PLAN, gpus=False) == ()
    assert compute.over_plan(Usage(1 << 40, 1 << 40, 1 << 40), Plan(), gpus=True) == ()


def test_bound_gpus_are_over_a_plan_for_none() -> None:
    assert len(compute.over_plan(WITHIN, PLAN, gpus=True)) == 1


def test_only_an_enforced_plan_narrows_the_room_and_none_widens_it() -> None:
    room = Limits(memory_bytes=500, wall_s=0)
    assert PLAN.limits(room) == room
    held = msgspec.structs.replace(PLAN, enforce=True).limits(room)
    assert (held.memory_bytes, held.wall_s, held.cpu_s) == (500, 1, 1)
    assert msgspec.structs.replace(Plan(), enforce=True).limits(room) == room


def test_the_plan_is_read_from_the_stage() -> None:
    text = '[stage.a]\ncmd = ["x"]\ncompute = {cpu = "2h", memory = "4GiB", wall = "1h", gpu = 0}\n'
    (stage,) = of_settings(settings.parse(text.encode()))
    assert stage.compute == Plan(7_200_000, 4 << 30, 3_600_000, 0)


@pytest.mark.parametrize("odd", ["cpu = 'fast'", "memory = 'much'", "wall = 3", "cores = 2"])
def test_a_plan_nobody_can_read_is_refused(odd: str) -> None:
    text = f'[stage.a]\ncmd = ["x"]\ncompute = {{{odd}}}\n'
    with pytest.raises(BadSettings):
        settings.parse(text.encode())
