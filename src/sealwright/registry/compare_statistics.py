"""How unlikely it is that an independent model matches so often: two nulls, the larger p counts.

All in natural logarithms, so that a p of 1e-400 is still a number. Sources: Clopper and Pearson
(Biometrika 26, 1934); Press et al., Numerical Recipes, 6.4 (the incomplete beta function).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

LEVEL = 0.999
"""Of the upper bound on the rate at which the worst reference matches."""

_FEWEST = 3
_STEPS = 200
_TINY = 1e-300


class Spread(msgspec.Struct, frozen=True):
    """Where one more independent model would lie: ``centre`` of the relation that lies highest,
    ``spread`` between models within a relation, ``freedom`` its degrees of freedom, ``size`` the
    references of that relation, ``highest`` the largest value of any."""

    centre: float
    spread: float
    freedom: int
    size: int
    highest: float
    references: int

    def log_p(self, value: float) -> float:
        """ln p that one more model lies at ``value`` or above: Student's t of a new draw.

        Points may depend on each other as they like: the spread is between whole models.
        """
        wide = self.spread * math.sqrt(1 + 1 / self.size)
        return log_student_tail((value - self.centre) / wide, self.freedom)

    def limit(self, log_p: float) -> float:
        """The value at which :meth:`log_p` is ``log_p``, to six digits."""
        low, high = self.centre, self.centre + 1000 * self.spread
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.log_p(middle) > log_p else (low, middle)
        return high


def spread_of(strata: Sequence[Sequence[float]], floor: float) -> Spread:
    """Of values by relation; ``floor`` is the least spread that is believed.

    Raises: ValueError (fewer than three references of a relation, a value that is no number).
    """
    if not strata or any(len(one) < _FEWEST for one in strata):
        raise ValueError(f"at least {_FEWEST} references of each relation are wanted")
    if not all(math.isfinite(value) for one in strata for value in one):
        raise ValueError("a reference has no number")
    means = [math.fsum(one) / len(one) for one in strata]
    squares = [
        math.fsum((value - mean) ** 2 for value in one)
        for one, mean in zip(strata, means, strict=True)
    ]
    count = sum(len(one) for one in strata)
    freedom = count - len(strata)
    top = max(range(len(strata)), key=lambda at: means[at])
    own = math.sqrt(squares[top] / (len(strata[top]) - 1))
    return Spread(
        centre=means[top],
        spread=max(math.sqrt(math.fsum(squares) / freedom), own, floor),
        freedom=freedom,
        size=len(strata[top]),
        highest=max(value for one in strata for value in one),
        references=count,
    )


class Matches(msgspec.Struct, frozen=True):
    """How often independent models match ``points`` points: ``bound`` is the Clopper-Pearson
    upper bound of the worst of them, ``between`` their spread on the scale asin(sqrt(rate))."""

    points: int
    mean: float
    worst: float
    bound: float
    between: Spread

    def log_p(self, matched: int) -> float:
        """The larger of two: the exact binomial tail at ``bound``, as if points were independent,
        and that of one more model, whatever joins the points."""
        points = log_binomial_tail(matched, self.points, self.bound)
        return max(points, self.between.log_p(angle(matched / self.points)))


def matches_of(points: int, strata: Sequence[Sequence[int]]) -> Matches:
    """Raises: ValueError (as :func:`spread_of`, or counts out of range)."""
    every = [count for one in strata for count in one]
    if points < 1 or any(not 0 <= count <= points for count in every):
        raise ValueError("a reference matched more points than there are")
    scaled = [[angle(count / points) for count in one] for one in strata]
    return Matches(
        points=points,
        between=spread_of(scaled, 1 / (2 * math.sqrt(points))),
        mean=sum(every) / (points * len(every)),
        worst=max(every) / points,
        bound=clopper_pearson(max(every), points, LEVEL),
    )


def angle(rate: float) -> float:
    """asin(sqrt(rate)): a rate on a scale where its noise does not depend on it."""
    return math.asin(math.sqrt(min(1.0, max(0.0, rate))))


def log_binomial_tail(least: int, trials: int, rate: float) -> float:
    """ln P(Binomial(trials, rate) >= least), exact."""
    if least <= 0 or rate >= 1:
        return 0.0
    if least > trials or rate <= 0:
        return -math.inf
    hit, miss = math.log(rate), math.log1p(-rate)
    whole = math.lgamma(trials + 1)
    terms = [
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * hit + (trials - k) * miss
        for k in range(least, trials + 1)
    ]
    top = max(terms)
    return min(0.0, top + math.log(math.fsum(math.exp(term - top) for term in terms)))


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> float:
    """The one-sided upper confidence bound of a rate, exact."""
    if successes >= trials:
        return 1.0
    low, high, wanted = successes / trials, 1.0, math.log(level)
    for _ in range(60):
        middle = (low + high) / 2
        if log_binomial_tail(successes + 1, trials, middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def log_student_tail(t: float, freedom: int) -> float:
    """ln P(T >= t) for Student's t."""
    if t <= 0:
        return math.log1p(-math.exp(log_student_tail(-t, freedom))) if t < 0 else math.log(0.5)
    return math.log(0.5) + _log_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _log_beta(x: float, a: float, b: float) -> float:
    """ln of the regularised incomplete beta function, by Lentz's continued fraction."""
    if x <= 0:
        return -math.inf
    if x >= 1:
        return 0.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    if x > (a + 1) / (a + b + 2):
        other = front - math.log(b) + math.log(_fraction(1 - x, b, a))
        return math.log1p(-min(1 - 1e-16, math.exp(other)))
    return front - math.log(a) + math.log(_fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    out = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away(1 + step * d)
            c = _away(1 + step / c)
            out *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return out


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
