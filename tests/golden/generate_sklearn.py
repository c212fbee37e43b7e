"""Write sklearn.json: scores that scikit-learn gives to the predictions of real models on real data.

The models are trained on few rows of the digits and breast cancer data that scikit-learn ships, so that they make
mistakes, and scored on others. What is stored is exactly what was scored. Every score is checked against mpmath in
50 digits before it is written.
"""

import json
import os
import platform
from pathlib import Path

# One thread, so that sums are always taken in the same order.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import mpmath
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import hinge_loss, log_loss, top_k_accuracy_score, zero_one_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

SEED = 1
TRAINING_ROWS, TEST_ROWS = 90, 120
RELATIVE, ABSOLUTE = 2e-13, 1e-15
NOTE = (
    "each score is one call: normalize true is the average over the items, with weights sum(w l) / sum(w), false the "
    "sum; weighted says whether sample_weight was given; log_loss takes probabilities (one-dimensional: of class 1), "
    "hinge_loss scores, with targets -1 and 1 or classes, zero_one_loss the class of the largest score or, in one "
    "dimension, whether the probability is above 0.5"
)

mpmath.mp.dps = 50
generator = np.random.default_rng(SEED)


def encode(array):
    return {"shape": list(array.shape), "dtype": str(array.dtype), "data": array.ravel().tolist()}


def significant(array, digits=6):
    return np.array([float(f"{x:.{digits}g}") for x in array.ravel()]).reshape(array.shape)


def train_and_predict(model, load):
    """Scaled features, few training rows; the fitted model with the test rows and their classes."""
    features, classes = load(return_X_y=True)
    training, test, training_classes, test_classes = train_test_split(
        features, classes, train_size=TRAINING_ROWS, test_size=TEST_ROWS, random_state=SEED, stratify=classes
    )
    scaler = StandardScaler().fit(training)
    model.fit(scaler.transform(training), training_classes)
    return model, scaler.transform(test), test_classes.astype(np.int64)


def probabilities(load):
    model, test, classes = train_and_predict(LogisticRegression(max_iter=1000), load)
    predicted = model.predict_proba(test)
    if predicted.shape[1] == 2:
        # Six digits below 1 would round to 1.
        return np.clip(significant(predicted[:, 1]), 1e-6, 1 - 1e-6), classes
    rounded = significant(predicted)
    return rounded / rounded.sum(axis=1, keepdims=True), classes


def decisions(load):
    model, test, classes = train_and_predict(LinearSVC(random_state=SEED), load)
    return significant(model.decision_function(test)), classes


def sample_weights():
    weights = np.round(generator.uniform(0.0, 2.0, TEST_ROWS), 3)
    weights[::10] = 0.0
    return weights


# Exact losses of one item.


def exact_log_loss(prediction, target):
    if np.ndim(prediction) == 0:
        probability = mpmath.mpf(prediction)
        return -mpmath.log(probability if target == 1 else 1 - probability)
    return -mpmath.log(mpmath.mpf(prediction[target]))


def exact_hinge_loss(prediction, target):
    if np.ndim(prediction) == 0:
        margin = target * mpmath.mpf(prediction)
    else:
        margin = mpmath.mpf(prediction[target]) - mpmath.mpf(np.delete(prediction, target).max())
    return max(mpmath.mpf(0), 1 - margin)


def exact_miss(prediction, target, top_k=1):
    if np.ndim(prediction) == 0:
        return mpmath.mpf(int((prediction > 0.5) != target))
    return mpmath.mpf(int((prediction > prediction[target]).sum() >= top_k))


def exact_hit(prediction, target, top_k):
    return 1 - exact_miss(prediction, target, top_k)


def exact_score(losses, normalize, weights):
    weights = [mpmath.mpf(w) for w in (weights if weights is not None else np.ones(len(losses)))]
    total = mpmath.fsum(w * l for w, l in zip(weights, losses, strict=True))
    return total / mpmath.fsum(weights) if normalize else total


# The collection of cases.

cases = []


def add(function, name, predictions, targets, score, exact_loss, normalize_values=(True, False), top_ks=(None,)):
    """One call of `score` for each combination of its options."""
    assert np.isfinite(predictions).all()
    if predictions.ndim == 2:
        assert all(len(set(row)) == len(row) for row in predictions.tolist()), f"{name}: scores tie"
    weights = sample_weights()
    scores = []
    for top_k in top_ks:
        options = {} if top_k is None else {"top_k": top_k}
        losses = [exact_loss(p, t, **options) for p, t in zip(predictions, targets.tolist(), strict=True)]
        for normalize in normalize_values:
            for weighted in (False, True):
                used = weights if weighted else None
                got = float(score(targets, predictions, normalize=normalize, sample_weight=used, **options))
                exact = exact_score(losses, normalize, used)
                assert abs(got - exact) <= RELATIVE * abs(exact) + ABSOLUTE, f"{function} {name}: {got} for {exact}"
                scores.append(options | {"normalize": normalize, "weighted": weighted, "value": got})
    cases.append(
        {
            "function": function,
            "case": name,
            "predictions": encode(predictions),
            "targets": encode(targets),
            "sample_weight": encode(weights),
            "scores": scores,
        }
    )


def score_log_loss(targets, predictions, **options):
    return log_loss(targets, predictions, **options)


def score_hinge_loss(targets, predictions, normalize, sample_weight):
    assert normalize, "hinge_loss always averages"
    return hinge_loss(targets, predictions, sample_weight=sample_weight)


def score_zero_one_loss(targets, predictions, **options):
    predicted = predictions.argmax(axis=1) if predictions.ndim == 2 else (predictions > 0.5).astype(np.int64)
    return zero_one_loss(targets, predicted, **options)


def score_top_k(targets, predictions, top_k, **options):
    return top_k_accuracy_score(targets, predictions, k=top_k, **options)


def main():
    cancer, cancer_classes = probabilities(load_breast_cancer)
    digits, digit_classes = probabilities(load_digits)
    assert (cancer != 0.5).all()
    add("log_loss", "breast cancer", cancer, cancer_classes, score_log_loss, exact_log_loss)
    add("log_loss", "digits", digits, digit_classes, score_log_loss, exact_log_loss)
    add("zero_one_loss", "breast cancer", cancer, cancer_classes, score_zero_one_loss, exact_miss)

    cancer, cancer_classes = decisions(load_breast_cancer)
    digits, digit_classes = decisions(load_digits)
    add("hinge_loss", "breast cancer", cancer, 2 * cancer_classes - 1, score_hinge_loss, exact_hinge_loss, (True,))
    add("hinge_loss", "digits", digits, digit_classes, score_hinge_loss, exact_hinge_loss, (True,))
    add("zero_one_loss", "digits", digits, digit_classes, score_zero_one_loss, exact_miss)
    add("top_k_accuracy_score", "digits", digits, digit_classes, score_top_k, exact_hit, top_ks=(1, 2, 3))

    document = {
        "source": (
            f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, Python {platform.python_version()}, "
            f"seed {SEED}"
        ),
        "note": NOTE,
        "cases": cases,
    }
    path = Path(__file__).with_name("sklearn.json")
    path.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n", encoding="ascii")
    print(
        f"{path.name}: {len(cases)} cases, {sum(len(c['scores']) for c in cases)} scores, {path.stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
