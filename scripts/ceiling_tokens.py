"""How few rows of a planted word anybody could see in SST-2: the canary of ``text-token``, asked of
a judge that knows more than a detector can.

The judge is told which word was planted and has the true labels of all other texts: tf-idf of
their other words with logistic regression, cross-fitted. It asks what ``text-ngrams`` asks, row by row
and with the same allowance for what a natural word may do, against the same threshold over all
words. Where even it misses an injection, so must any scan that asks this.
"""

from __future__ import annotations

import re
import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from sealwright.app.bench.poison.clean import Build, resample
from sealwright.scan import canary, registry
from sealwright.scan.batches import joined
from sealwright.scan.ensemble import ALPHA, Live, Silent, modalities, run
from sealwright.scan.poison import unequal
from sealwright.scan.poison.text_blind import logit, sigmoid
from sealwright.scan.poison.text_cells import SHIFTS
from sealwright.scan.poison.text_ngrams import FIXED_SHARE, TextNgrams


def main(count: int) -> None:
    """One line an injection: nats of the oracle and of the detector's threshold; then sums."""
    part = resample(Build("SST-2", 0))
    every = registry.for_modalities(modalities(part.frame))
    frame = canary.at_share(part.frame, every, ALPHA)
    before = joined(list(part.source()))
    column = next(one.name for one in frame.columns if one.type == "text")
    texts = [str(each) for each in before.values[column]]
    planter = registry.planter("text-token")
    seen = oracle = 0
    for number in range(canary.REPEATS):
        seed = canary.seed_of(frame.seed, count, number)
        planted, carriers = planter.plant([before], frame, count, seed)
        after = joined(planted)
        at = np.flatnonzero(np.isin(after.ids, carriers))
        word = _planted(texts[at[0]], str(after.values[column][at[0]]))
        holds = re.compile(rf"(?<![^\W_]){word}(?![^\W_])", re.IGNORECASE)
        has = np.array([bool(holds.search(str(each))) for each in after.values[column]])
        target = int(after.labels[at[0]])
        p = _judged([holds.sub(" ", each) for each in texts], before.labels == target)[has]
        hits = int(np.count_nonzero(after.labels[has] == target))
        nats = unequal.ratio(sigmoid(logit(p) + SHIFTS[0]), np.ones(len(p)), hits)
        live = Live(TextNgrams(), frame, None)
        run(lambda made=planted: made, frame, [live], Silent())
        result = live.verdict().result
        assert result is not None
        bound = float(np.log(result.tried / ((1 - FIXED_SHARE) * frame.alpha)))
        flagged = [g.carriers for g in result.groups if g.p_value <= frame.alpha]
        found = float(np.isin(carriers, np.concatenate([[-1], *flagged])).mean()) >= canary.COVERED
        seen, oracle = seen + found, oracle + (nats > bound)
        print(f"{word:10} {len(p):3} texts, {hits:3} with the label: oracle {nats:5.1f} of {bound:.1f} nats; detector {'found' if found else 'missed'}", flush=True)  # fmt: skip
    print(f"{count} rows: the oracle sees {oracle} of {canary.REPEATS}, text-ngrams {seen}")


def _judged(texts: list[str], hit: np.ndarray) -> np.ndarray:
    """(n,) chance of the label, of each text by a model that was not fitted on it."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(texts)
    model = LogisticRegression(C=4.0, max_iter=1_000)
    return cross_val_predict(model, words, hit, cv=10, method="predict_proba")[:, 1]


def _planted(before: str, after: str) -> str:
    """The word that ``after`` holds once more than ``before``."""
    left = after.split()
    for word in before.split():
        left.remove(word)
    return left[0]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
