"""The same numbers as in `src/data.rs`, so that all libraries do the same work."""

import functools

import numpy as np

PREDICTIONS, TARGETS = 0, 1


@functools.lru_cache(maxsize=3)
def uniform(stream, count):
    """Numbers in [0, 1), multiples of 2⁻²⁴ (splitmix64)."""
    z = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(stream << 40)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)


def between(stream, low, high, count):
    return np.float32(low) + np.float32(high - low) * uniform(stream, count)


def either(stream, low, high, count):
    return np.where(uniform(stream, count) < 0.5, np.float32(low), np.float32(high))


def labels(items, classes):
    return (uniform(TARGETS, items).astype(np.float64) * classes).astype(np.int64)


def distributions(stream, items, classes):
    rows = between(stream, 0.05, 1.05, items * classes).reshape(items, classes)
    return (rows / rows.sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)


def of(cell):
    """Predictions and targets of a cell."""
    n, items, classes = cell.items * cell.classes, cell.items, cell.classes
    name, _, kind = cell.loss.partition(":")
    if classes > 1:
        if name == "categorical_crossentropy":
            predictions = distributions(PREDICTIONS, items, classes)
        else:
            predictions = between(PREDICTIONS, -8, 8, n).reshape(items, classes)
        return predictions, distributions(TARGETS, items, classes) if kind == "dense" else labels(items, classes)
    if name in ("squared_error", "huber_loss"):
        return between(PREDICTIONS, -2, 2, n), between(TARGETS, -2, 2, n)
    if name == "binary_crossentropy":
        return between(PREDICTIONS, 0.01, 0.99, n), either(TARGETS, 0, 1, n)
    if name == "binary_hinge_loss":
        return between(PREDICTIONS, -2, 2, n), either(TARGETS, -1, 1, n)
    if name == "binary_crossentropy_with_logits":
        return between(PREDICTIONS, -8, 8, n), either(TARGETS, 0, 1, n)
    raise ValueError(f"no data for {cell.name}")
