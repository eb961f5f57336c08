"""Splits: what leaks is found, what does not is left alone, and the gate reads the statement."""

import random

import numpy as np
import pytest
from app_house import needs_room
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.kit import neardup
from sealwright.scan import splits
from sealwright.scan.splits import SideData

WORDS = [f"word{i}" for i in range(3000)]


def sentence(chance: random.Random, count: int = 30) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(count))


def near(one: list[str], other: list[str], least: float = 0.8) -> list[tuple[int, int]]:
    ours, able = neardup.text_signatures(one)
    theirs, _ = neardup.text_signatures(other)
    assert able.all()
    pairs = neardup.near_texts(ours, theirs, least)
    return list(zip(pairs.target.tolist(), pairs.source.tolist(), strict=True))


def test_texts_with_a_word_changed_are_near_and_others_are_not():
    chance = random.Random(3)
    source = [sentence(chance, 60) for _ in range(400)]
    target = [sentence(chance, 60) for _ in range(400)]
    for at in range(0, 400, 20):
        words = source[at].split()
        words[7] = "changed"
        target[at] = " ".join(words).upper() + "!"
    assert near(target, source) == [(at, at) for at in range(0, 400, 20)]


def test_short_texts_say_too_little_to_be_near():
    _, able = neardup.text_signatures(["yes", "", None, "one two three four five"])
    assert able.tolist() == [False, False, False, True]


def test_a_megabyte_of_text_has_a_signature():
    _, able = neardup.text_signatures(["spam eggs ham " * 70_000])
    assert able.tolist() == [True]


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, (count, 32, 32, 3)."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 255, (count, 6, 6, 3)).astype(np.float32)
    grid = np.linspace(0, 4.999, 32)
    low = grid.astype(int)
    part = (grid - low)[None, :, None, None]
    rows = coarse[:, low] * (1 - part) + coarse[:, low + 1] * part
    part = (grid - low)[None, None, :, None]
    return (rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part).astype(np.uint8)


def test_a_picture_encoded_again_or_made_brighter_is_near_and_others_are_not():
    source = pictures(300)
    again = source[:20].astype(np.int16) + np.random.default_rng(1).integers(-4, 5, (20, 32, 32, 3))
    target = np.concatenate([again.clip(0, 255).astype(np.uint8), pictures(300, seed=7)])
    pairs = neardup.near_pictures(neardup.pictures(target), neardup.pictures(source))
    assert pairs.target.tolist() == list(range(20)) == pairs.source.tolist()


def side(role: str, exact: list[int], **more) -> SideData:
    return SideData(role=role, records=len(exact), exact=np.array(exact, np.uint64), **more)


def test_equal_records_are_counted_on_the_held_out_side_and_named():
    report = splits.compare([side("test", [5, 1, 9, 1]), side("train", [1, 2, 3, 9])], 0)
    (leak,) = report.leaks
    assert (leak.kind, leak.source, leak.target, leak.count) == ("exact", "train", "test", 3)
    assert (leak.first, leak.first_source) == ((1, 2, 3), (0, 3, 0))


def test_every_pair_of_sides_is_compared():
    report = splits.compare([side("train", [1]), side("validation", [1]), side("test", [1])], 0)
    assert {(x.source, x.target) for x in report.leaks} == {
        ("train", "validation"),
        ("train", "test"),
        ("validation", "test"),
    }


def dated(role: str, times: list[int | None]) -> SideData:
    return side(
        role,
        [hash((role, at)) % 2**60 for at in range(len(times))],
        times=np.array([t or 0 for t in times], np.int64),
        timed=np.array([t is not None for t in times]),
    )


def test_training_records_at_or_after_the_first_held_out_one_are_too_late():
    report = splits.compare([dated("train", [1, 5, 9, 4]), dated("test", [5, 8])], 0)
    (leak,) = report.leaks
    assert (leak.kind, leak.target, leak.count, leak.first) == ("time", "train", 2, (1, 2))


def test_a_record_without_a_time_is_a_leak_and_never_skipped():
    report = splits.compare([dated("train", [1, None]), dated("test", [5])], 0)
    assert [(x.kind, x.count) for x in report.leaks] == [("untimed", 1)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 30), max_size=30), st.lists(st.integers(0, 30), max_size=30))
def test_the_count_is_that_of_a_naive_search(train, test):
    report = splits.compare([side("train", train), side("test", test)], 0)
    assert report.total == sum(each in train for each in test)


# -- the command ------------------------------------------------------------------------------

HEAD = "id,user,day,note,label"


def line(at: int, chance: random.Random, day: str, user: str = "") -> str:
    return f"{at},{user or f'u{at}'},{day},{sentence(chance)},{at % 2}"


def write(project, name: str, lines: list[str]) -> None:
    project.write(f"data/{name}.csv", "\n".join([HEAD, *lines]) + "\n")


def shop(project, *, leak: list[str] = (), settings_: str = "") -> None:
    chance = random.Random(5)
    train = [line(at, chance, f"2026-01-{1 + at % 28:02d}") for at in range(60)]
    test = [line(at, chance, f"2026-02-{1 + at % 28:02d}") for at in range(100, 130)]
    for kind in leak:
        cells = train[7].split(",")
        if kind == "exact":
            test.append(",".join(["900", "u900", "2026-02-05", *cells[3:]]))
        if kind == "near":
            test.append(",".join(["901", "u901", "2026-02-05", cells[3] + " more", "0"]))
        if kind == "entity":
            test.append(line(902, chance, "2026-02-05", user="u7"))
        if kind == "time":
            train.append(line(903, chance, "2026-02-11"))
    write(project, "train", train)
    write(project, "test", test)
    project.ok("init")
    if settings_:
        toml = project.root / "seal.toml"
        toml.write_text(toml.read_text() + settings_)
    for name in ("train", "test"):
        project.ok(
            "data", "add", f"data/{name}.csv", "--name", name, "--key", "id", "--reason", "x"
        )


TERMS = ("--key", "user", "--time", "day")


def test_sides_that_are_apart_pass(bare):
    shop(bare)
    (done,) = bare.ok("data", "splits", "train", "test", *TERMS)["splits"]
    assert done["apart"] and done["total"] == 0


@pytest.mark.parametrize("kind", ["exact", "near", "entity", "time"])
def test_each_way_to_leak_is_found_and_nothing_else(bare, kind):
    shop(bare, leak=[kind])
    # a record's own number is in every row: equal content under another number still leaks
    code, body, _ = bare.seal("data", "splits", "train", "test", "--key", "user", "--time", "day")
    if kind == "exact":  # the id column differs, so only the texts are equal
        kind = "near"
    assert code == 1
    assert [(leak["kind"], leak["count"]) for leak in body["splits"][0]["leaks"]] == [(kind, 1)]


def test_columns_and_references_that_are_not_there_are_refused(bare):
    shop(bare)
    for words, said in (
        (("train", "test", "--key", "nobody"), "no column 'nobody'"),
        (("train", "train"), "same version"),
        (("train",), "two or three"),
        ((), "no split"),
        (("train", "test", "--near", "2"), "no similarity"),
        (("train", "test", "--time", "note"), ""),
    ):
        code, body, _ = bare.seal("data", "splits", *words)
        assert code in (1, 2), words
        if said:
            assert said in body["error"]["what"]


SPLIT = '\n[splits.main]\ntrain = "train"\ntest = "test"\nkey = "user"\n'


@needs_room
def test_a_run_on_a_declared_split_is_compared_and_solo_is_warned(bare):
    shop(bare, leak=["entity"], settings_=SPLIT)
    code, body, err = bare.seal("run", "--model", "model.json", "--", "python", "train.py")
    assert code == 0, err
    warned = " ".join(body["runs"][0]["warnings"])
    assert "split.leaks" in warned and "split.entity: 1 test records of entities in train" in warned
    assert "validation.unverified" in warned


@needs_room
def test_team_refuses_a_leak_then_wants_an_independent_verifier(office):
    chance = random.Random(9)
    toml = office.root / "seal.toml"
    toml.write_text(toml.read_text() + SPLIT)

    def deliver(name: str, lines: list[str], by: str = "dora") -> None:
        (office.root / "data" / f"{name}.csv").write_text("\n".join([HEAD, *lines]) + "\n")
        words = ("data", "add", f"data/{name}.csv", "--name", name, "--reason", "x")
        office.ok(by, *words)

    train = [line(at, chance, "2026-01-05") for at in range(40)]
    test = [line(at, chance, "2026-02-05") for at in range(100, 120)]
    deliver("train", train)
    deliver("test", [*test, line(900, chance, "2026-02-06", user="u3")])
    office.granted("train", resource="data:train")
    office.granted("train", resource="data:test")
    words = ("run", "--purpose", "fraud", "--model", "model.json", "--", "python", "train.py")
    denied = office.refused("eli", *words)
    assert "split.leaks" in denied["rule"]
    assert "split.entity: 1 test records of entities in train, first 20 (there 3)" in denied["why"]
    assert "cannot" not in office.refused("rita", "data", "vouch", "test", "--reason", "x")["what"]

    deliver("test", test)
    assert office.refused("eli", *words)["rule"] == "validation.unverified"
    for who in ("dora", "eli"):  # who added it, and who trains
        office.ok(who, "data", "vouch", "test", "--reason", "looked at 20 records")
        assert office.refused("eli", *words)["rule"] == "validation.unverified"
    assert office.ok("rita", "data", "vouch", "test", "--reason", "looked")["own"] is False
    office.ok("eli", *words)
    office.later(days=91)
    office.granted("train", resource="data:train")
    office.granted("train", resource="data:test")
    assert office.refused("eli", *words)["rule"] == "validation.stale"


def test_a_refresh_is_a_version_with_a_proof_of_its_own(bare):
    shop(bare, settings_=SPLIT)
    chance = random.Random(77)
    write(bare, "test", [line(at, chance, "2026-03-01") for at in range(200, 230)])
    done = bare.ok("data", "refresh", "data/test.csv", "--name", "test", "--reason", "march")
    assert done["version"] == 2 and done["splits"][0]["apart"]
    assert done["splits"][0]["sides"] == {"train": "data:train@1", "test": "data:test@2"}
    write(bare, "test", [line(3, chance, "2026-03-01", user="u3")])
    code, body, _ = bare.seal("data", "refresh", "data/test.csv", "--name", "test")
    assert code == 1 and body["splits"][0]["leaks"][0]["kind"] == "entity"
    code, body, _ = bare.seal("data", "vouch", "test", "--reason", "fine by me")
    assert code == 1 and body["error"]["rule"] == "split.leaks"
    code, body, _ = bare.seal("data", "vouch", "train", "--reason", "x")
    assert code == 2 and "held-out side of no split" in body["error"]["what"]


@needs_room
def test_pictures_are_compared_by_hashes_that_the_room_makes(bare):
    from PIL import Image

    made = pictures(14)
    for name, chosen in (("train", made[:8]), ("test", [*made[8:], made[2]])):
        for at, pixels in enumerate(chosen):
            path = bare.root / name / "cat" / f"{at}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=90 - at)
    (bare.root / "test" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    bare.ok("init")
    for name in ("train", "test"):
        bare.ok("data", "add", name, "--name", name)
    code, body, err = bare.seal("data", "splits", "train", "test")
    assert code == 1, err
    (done,) = body["splits"]
    assert [(x["kind"], x["count"]) for x in done["leaks"]] == [("near", 1)]
    assert done["unread"] == 1 and done["total"] == 2
