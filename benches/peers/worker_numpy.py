"""NumPy, the formulas as one would type them."""

import data
import numpy as np
import worker


def huber(difference):
    size = abs(difference)
    return np.where(size <= 1, 0.5 * difference**2, size - 0.5)


def binary_crossentropy(p, t):
    return -t * np.log(p) - (1 - t) * np.log1p(-p)


def with_logits(x, t):
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-abs(x)))


def log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def of_labels(values, labels):
    return np.take_along_axis(values, labels[:, None], axis=1)[:, 0]


def rivals(p, labels):
    """The class with the largest score, the label aside."""
    others = p.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, axis=1)
    return others.argmax(axis=1)


def multiclass_hinge(p, labels):
    return np.maximum(0, 1 + of_labels(p, rivals(p, labels)) - of_labels(p, labels))


LOSSES = {
    "squared_error": lambda p, t: (p - t) ** 2,
    "huber_loss": lambda p, t: huber(p - t),
    "binary_crossentropy": binary_crossentropy,
    "binary_hinge_loss": lambda p, t: np.maximum(0, 1 - t * p),
    "binary_crossentropy_with_logits": with_logits,
    "categorical_crossentropy:labels": lambda p, t: -np.log(of_labels(p, t)),
    "categorical_crossentropy:dense": lambda p, t: -(t * np.log(p)).sum(axis=1),
    "multiclass_hinge_loss:labels": multiclass_hinge,
    "categorical_crossentropy_with_logits:labels": lambda x, t: -of_labels(log_softmax(x), t),
    "categorical_crossentropy_with_logits:dense": lambda x, t: -(t * log_softmax(x)).sum(axis=1),
}


# Value and gradient of the mean, with what both need computed once.


def fused_squared(p, t):
    difference = p - t
    return (difference**2).mean(), (2 / p.size) * difference


def fused_huber(p, t):
    difference = p - t
    return huber(difference).mean(), difference.clip(-1, 1) / p.size


def fused_hinge(p, t):
    margin = 1 - t * p
    return np.maximum(0, margin).mean(), np.where(margin > 0, -t, 0) / p.size


def at_labels(shape, labels, values):
    gradient = np.zeros(shape, np.float32)
    np.put_along_axis(gradient, labels[:, None], values[:, None], axis=1)
    return gradient


def fused_labels(p, t):
    own = of_labels(p, t)
    return -np.log(own).mean(), at_labels(p.shape, t, -1 / (len(p) * own))


def fused_multiclass_hinge(p, t):
    rival = rivals(p, t)
    margin = 1 + of_labels(p, rival) - of_labels(p, t)
    violated = (margin > 0).astype(np.float32) / len(p)
    gradient = at_labels(p.shape, t, -violated)
    np.put_along_axis(gradient, rival[:, None], violated[:, None], axis=1)
    return np.maximum(0, margin).mean(), gradient


def fused_logits_and_labels(x, t):
    logarithms = log_softmax(x)
    gradient = np.exp(logarithms)
    gradient[np.arange(len(x)), t] -= 1
    gradient /= len(x)
    return -of_labels(logarithms, t).mean(), gradient


def fused_logits_and_rows(x, t):
    logarithms = log_softmax(x)
    return -(t * logarithms).sum(axis=1).mean(), (np.exp(logarithms) - t) / len(x)


FUSED = {
    "squared_error": fused_squared,
    "huber_loss": fused_huber,
    "binary_crossentropy": lambda p, t: (binary_crossentropy(p, t).mean(), (p - t) / (p * (1 - p)) / p.size),
    "binary_hinge_loss": fused_hinge,
    "binary_crossentropy_with_logits": lambda x, t: (with_logits(x, t).mean(), (1 / (1 + np.exp(-x)) - t) / x.size),
    "categorical_crossentropy:labels": fused_labels,
    "categorical_crossentropy:dense": lambda p, t: (-(t * np.log(p)).sum(axis=1).mean(), -t / p / len(p)),
    "multiclass_hinge_loss:labels": fused_multiclass_hinge,
    "categorical_crossentropy_with_logits:labels": fused_logits_and_labels,
    "categorical_crossentropy_with_logits:dense": fused_logits_and_rows,
}


def accuracy(p, labels, top_k):
    if top_k == 1:
        return (p.argmax(axis=1) == labels).mean()
    first = np.argpartition(p, -top_k, axis=1)[:, -top_k:]
    return (first == labels[:, None]).any(axis=1).mean()


def prepare(cell):
    predictions, targets = data.of(cell)
    if cell.section == "fused":
        fused = FUSED[cell.loss]

        def summary():
            value, gradient = fused(predictions, targets)
            return float(value), float(abs(gradient).sum(dtype=np.float64))

        return lambda: fused(predictions, targets), summary
    if cell.section == "plain":
        loss = LOSSES[cell.loss]
        return lambda: loss(predictions, targets), lambda: (float(loss(predictions, targets).mean()), None)
    if cell.section == "value":
        loss = LOSSES[cell.loss]
        step = lambda: loss(predictions, targets).mean()  # noqa: E731
    elif cell.section == "accuracy":
        top_k = int(cell.loss.removeprefix("top"))
        step = lambda: accuracy(predictions, targets, top_k)  # noqa: E731
    else:
        return None
    return step, lambda: (float(step()), None)


if __name__ == "__main__":
    worker.serve(prepare, f"NumPy {np.__version__}")
