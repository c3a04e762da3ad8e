"""The patients: Wisconsin diagnostic breast-cancer data, and a model trained on half.

569 patients with 30 features each, as scikit-learn ships them. The workload's owner
trains on every other patient; the hospital of the demonstration has the rest.

Source: W. N. Street, W. H. Wolberg, O. L. Mangasarian, "Nuclear feature extraction
for breast tumor diagnosis", 1993; data set "Breast Cancer Wisconsin (Diagnostic)".
"""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

REGULARISATION = 0.1
"""Strong enough that the weights stay small; chosen once, not tuned on the test."""


@dataclass(frozen=True)
class Cohort:
    """Patients of one institution: standardised rows and how they turned out."""

    rows: list[list[float]]
    """Shape (patients, 30); each feature in standard deviations from the mean."""
    malignant: list[bool]


@dataclass(frozen=True)
class Model:
    """The owner's logistic regression: a patient is at risk if the score is above 0."""

    weights: list[float]
    bias: float

    def scores(self, rows: list[list[float]]) -> list[float]:
        """Score in the clear, for comparison only."""
        return [
            float(x) for x in np.asarray(rows) @ np.asarray(self.weights) + self.bias
        ]


@dataclass(frozen=True)
class Study:
    """What the owner publishes and what the hospital keeps to itself."""

    model: Model
    hospital: Cohort


def load_study() -> Study:
    """Train the owner's model on one half and give the hospital the other."""
    data = load_breast_cancer()
    features = np.asarray(data.data, dtype=np.float64)
    malignant = np.asarray(data.target) == 0
    own, hospital = slice(0, None, 2), slice(1, None, 2)
    mean, deviation = features[own].mean(axis=0), features[own].std(axis=0)
    standardised = (features - mean) / deviation
    regression = LogisticRegression(C=REGULARISATION, max_iter=1000)
    regression.fit(standardised[own], malignant[own])
    return Study(
        model=Model(
            weights=[float(weight) for weight in regression.coef_[0]],
            bias=float(regression.intercept_[0]),
        ),
        hospital=Cohort(
            rows=standardised[hospital].tolist(),
            malignant=[bool(item) for item in malignant[hospital]],
        ),
    )
