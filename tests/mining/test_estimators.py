"""Every learner that can be found keeps scikit-learn's conventions, or says which it does not."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from motherlode.mining import catalogue
from motherlode.mining.estimator import Estimator, in_chunks

LEARNERS = [kind for kind in catalogue.algorithms() if issubclass(kind, Estimator)]


@pytest.mark.parametrize("kind", LEARNERS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(kind):
    found = check_estimator(kind(), expected_failed_checks=dict(kind.gaps), on_fail=None)
    statuses = {each["check_name"]: (each["status"], each["exception"]) for each in found}
    assert len(statuses) > 40
    assert {n: s for n, s in statuses.items() if s[0] == "failed"} == {}
    failing = {name for name, (status, _) in statuses.items() if status == "xfail"}
    assert failing == set(kind.gaps), "a gap was closed, or there is no such check"
    assert all(kind.gaps.values()), "each gap has a reason"


@pytest.mark.parametrize("kind", LEARNERS, ids=lambda kind: kind.__name__)
def test_learners_are_cloned_shown_and_pickled(kind):
    learner = kind()
    again = clone(learner)
    assert repr(again) == repr(learner) == f"{kind.__name__}()"
    assert again.get_params() == learner.get_params() == learner.parameters()
    X = np.abs(np.random.default_rng(0).normal(size=(40, 3)))
    learner.fit(X, (X[:, 0] > 0.7).astype(int))
    travelled = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(travelled.predict(X), learner.predict(X))


def test_rows_are_predicted_in_chunks_in_order():
    rows = np.arange(300_000.0).reshape(-1, 1)
    together = np.concatenate(in_chunks(lambda block: block[:, 0] * 2, rows))
    np.testing.assert_array_equal(together, rows[:, 0] * 2)
