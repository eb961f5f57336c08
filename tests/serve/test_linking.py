"""Accounts that are one person's are one group; a shared address or sample makes nobody one."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealwright.serve import coverage
from sealwright.serve.interface import Caller
from sealwright.serve.linking import (
    COMPLEMENT_CELLS,
    ENOUGH,
    ENOUGH_SHARE,
    LEAST_SHARE,
    MOST,
    SCORES,
    SHARED_QUERIES,
    Link,
    by_coverage,
    by_identity,
    by_person,
    by_share,
    groups,
)

NAMES = st.sampled_from([f"p{at}" for at in range(8)])
LINKS = st.lists(
    st.tuples(NAMES, NAMES, st.sampled_from(["network", "queries", "certificate"]))
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: Link(min(one[:2]), max(one[:2]), one[2], SCORES[one[2]], "why")),
    max_size=12,
)
quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def caller(name, **known):
    return Caller(name, "key", **known)


def of(found, name):
    return next(group for group in found if name in group.members)


@given(LINKS, st.randoms())
@quiet
def test_groups_do_not_depend_on_the_order_of_links(links, chance):
    names = [f"p{at}" for at in range(8)]
    mixed = list(links)
    chance.shuffle(mixed)
    assert groups(names, links) == groups(reversed(names), mixed)


@given(LINKS)
@quiet
def test_everybody_is_in_exactly_one_group_named_after_its_first_member(links):
    found = groups([f"p{at}" for at in range(8)], links)
    members = [name for group in found for name in group.members]
    assert sorted(members) == [f"p{at}" for at in range(8)]
    assert all(group.name == group.members[0] for group in found)


@given(LINKS, LINKS)
@quiet
def test_more_links_never_part_anybody_and_taking_them_back_does(links, more):
    names = [f"p{at}" for at in range(8)]
    few, many = groups(names, links), groups(names, [*links, *more])
    assert all(set(group.members) <= set(of(many, group.name).members) for group in few)
    assert groups(names, links) == few


@given(LINKS)
@quiet
def test_every_group_of_several_says_why(links):
    for group in groups([], links):
        assert (len(group.members) > 1) <= bool(group.links)


def test_one_certificate_or_organisation_is_one_group_however_many_keys():
    some = [caller(f"k{at:03}", organisation="acme") for at in range(200)]
    found = groups([one.principal for one in some], by_identity(some))
    assert len(found) == 1
    assert {link.why for link in found[0].links} == {"the same organisation"}


def test_the_same_subject_under_another_issuer_is_somebody_else():
    some = [caller("a", issuer="one", subject="7"), caller("b", issuer="two", subject="7")]
    assert len(groups("ab", by_identity(some))) == 2
    some = [caller("a", issuer="one", subject="7"), caller("b", issuer="one", subject="7")]
    assert len(groups("ab", by_identity(some))) == 1


def test_a_network_alone_links_nobody():
    some = [caller(name, network="10.0.0.0/24") for name in "abc"]
    assert len(groups("abc", by_identity(some))) == 3


def test_a_network_that_many_share_says_nothing_even_beside_shared_queries():
    sharers = [f"p{at:02}" for at in range(MOST["network"] + 1)]
    links = by_identity([caller(name, network="carrier") for name in sharers])
    assert links == ()
    shared = by_share("p00", "p01", 0.3, SHARED_QUERIES)
    assert len(groups(sharers, [*links, *shared])) == len(sharers)


def test_a_small_network_and_shared_queries_together_are_enough():
    links = by_identity([caller("a", network="n"), caller("b", network="n")])
    group = of(groups("abc", [*links, *by_share("b", "a", 0.3, SHARED_QUERIES)]), "a")
    assert group.members == ("a", "b")
    assert {link.kind for link in group.links} == {"network", "queries"}
    assert sum(link.score for link in group.links) >= ENOUGH


def test_a_large_share_of_what_both_ask_is_enough_and_less_is_a_hint_or_nothing():
    (link,) = by_share("a", "b", ENOUGH_SHARE, SHARED_QUERIES)
    assert link.score == ENOUGH
    (link,) = by_share("a", "b", 0.9 * ENOUGH_SHARE, SHARED_QUERIES)
    assert link.score < ENOUGH
    assert by_share("a", "b", LEAST_SHARE - 0.01, 1_000) == ()


def test_a_few_shared_queries_are_chance():
    assert by_share("a", "b", 1.0, SHARED_QUERIES - 1) == ()


def test_two_who_tile_the_space_are_linked_and_two_who_do_not_are_not():
    rng = np.random.default_rng(0)
    order = rng.permutation(coverage.CELLS)
    tiles = {
        name: coverage.marked(coverage.EMPTY, order[part : part + 250])
        for name, part in (("a", 0), ("b", 250))
    }
    honest = {
        f"h{at}": coverage.marked(coverage.EMPTY, rng.permutation(coverage.CELLS)[:250])
        for at in range(6)
    }
    links = by_coverage({**tiles, **honest}, honest_overlap=1.0)
    assert [(link.one, link.other) for link in links] == [("a", "b")]
    assert links[0].score < ENOUGH  # a hint, which never links by itself
    small = coverage.marked(coverage.EMPTY, range(COMPLEMENT_CELLS - 1))
    assert by_coverage({"a": small, "b": tiles["b"]}, 1.0) == ()


def test_a_person_links_and_parts():
    link = by_person("b", "a", "ada", "one invoice")
    assert groups("ab", [link])[0].members == ("a", "b")
    assert "ada: one invoice" in groups("ab", [link])[0].links[0].why
    assert len(groups("ab", [link], apart=[("b", "a")])) == 2


def test_parting_two_leaves_those_who_are_linked_around_them():
    links = [Link("a", "b", "certificate", 100, "x"), Link("b", "c", "certificate", 100, "x")]
    found = groups("abc", links, apart=[("a", "b")])
    assert [group.members for group in found] == [("a",), ("b", "c")]
