"""Measure how accurate the losses of PyTorch and optax are, against mpmath, and print a Markdown table.

Inputs are stratified: distances from the decision boundary spread evenly over the orders of magnitude that the type
holds, a third of them each on the right side of it, on the wrong side, and with soft targets. Results whose exact
value is subnormal are not judged, since a relative error means little there.
"""

import argparse
import dataclasses
import math
import platform
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import torch
import torch.nn.functional as functional

REGIONS = ("right", "wrong", "soft")
CLASSES = 3
ULP_LIMIT = 4


@dataclasses.dataclass
class Inputs:
    """Predictions and targets of one region; the target class of a row is its first, unless it is soft."""

    predictions: np.ndarray
    targets: np.ndarray


@dataclasses.dataclass
class Peer:
    name: str
    inputs: Callable
    exact: Callable
    value_and_gradient: Callable
    takes_soft: bool = True


@dataclasses.dataclass
class Worst:
    """The largest error; of equal ones (a result of 0 is off by all of it) that of the largest exact result."""

    rank: tuple = (0.0, 0.0)
    at: int | None = None

    def update(self, error, exact, index):
        if (error, abs(exact)) > self.rank:
            self.rank, self.at = (error, abs(exact)), index


# Inputs.


def log_uniform(generator, low, high, count):
    return np.exp(generator.uniform(math.log(low), math.log(high), count))


def soft_targets(generator, count):
    return generator.uniform(0.01, 0.99, count)


def largest_logit(dtype):
    """Beyond it the loss of a confident right answer is subnormal."""
    return 87.0 if dtype == np.float32 else 708.0


def binary_logits(generator, dtype, region, count):
    distance = log_uniform(generator, 1e-4, largest_logit(dtype), count)
    targets = generator.integers(0, 2, count).astype(dtype)
    if region == "soft":
        signs = generator.choice([-1.0, 1.0], count)
        return Inputs((signs * distance).astype(dtype), soft_targets(generator, count).astype(dtype))
    towards = distance if region == "right" else -distance
    return Inputs(np.where(targets == 1, towards, -towards).astype(dtype), targets)


def binary_probabilities(generator, dtype, region, count):
    """The distance from the nearer end is spread over all magnitudes: down to one ULP at 1, to the smallest at 0."""
    limits = np.finfo(dtype)
    near_one = generator.integers(0, 2, count) == 1
    from_zero = log_uniform(generator, float(limits.tiny), 0.5, count)
    from_one = log_uniform(generator, float(limits.epsneg), 0.5, count)
    one = dtype(1)
    predictions = np.where(near_one, one - from_one.astype(dtype), from_zero.astype(dtype))
    predictions = np.clip(predictions, limits.tiny, one - limits.epsneg)
    if region == "soft":
        return Inputs(predictions, soft_targets(generator, count).astype(dtype))
    nearer = (predictions > 0.5).astype(dtype)
    return Inputs(predictions, nearer if region == "right" else one - nearer)


def class_logits(generator, dtype, region, count):
    """Rivals within 1 of each other, the first class a distance above or below them."""
    predictions = generator.uniform(-0.5, 0.5, (count, CLASSES))
    distance = log_uniform(generator, 1e-4, largest_logit(dtype) - 2, count)
    if region == "soft":
        distance *= generator.choice([-1.0, 1.0], count)
    predictions[:, 0] += -distance if region == "wrong" else distance
    if region == "soft":
        targets = generator.uniform(0.01, 1.0, (count, CLASSES))
        targets /= targets.sum(axis=1, keepdims=True)
    else:
        targets = np.zeros((count, CLASSES))
        targets[:, 0] = 1
    return Inputs(predictions.astype(dtype), targets.astype(dtype))


# Exact results, in a form without cancellation at the confident ends: the loss and a list of derivatives.


def exact_binary_logits(x, t):
    x, t = mpmath.mpf(x), mpmath.mpf(t)
    loss = t * mpmath.log1p(mpmath.exp(-x)) + (1 - t) * mpmath.log1p(mpmath.exp(x))
    gradient = (1 - t) / (1 + mpmath.exp(-x)) - t / (1 + mpmath.exp(x))
    return loss, [gradient]


def exact_binary_probabilities(p, t):
    p, t = mpmath.mpf(p), mpmath.mpf(t)
    return -t * mpmath.log(p) - (1 - t) * mpmath.log1p(-p), [(p - t) / (p * (1 - p))]


def exact_class_logits(row, target):
    logits, target = [mpmath.mpf(x) for x in row], [mpmath.mpf(t) for t in target]
    exponentials = [mpmath.exp(x) for x in logits]
    total = mpmath.fsum(target)
    losses, gradients = [], []
    for own, (x, t) in enumerate(zip(exponentials, target)):
        others = mpmath.fsum(e for j, e in enumerate(exponentials) if j != own)
        losses.append(t * mpmath.log1p(others / x))
        # total * x / (x + others) - t, arranged so that nothing cancels for a one-hot target.
        gradients.append(((total - t) * x - t * others) / (x + others))
    return mpmath.fsum(losses), gradients


# The peers.


def torch_run(loss):
    def value_and_gradient(inputs):
        predictions = torch.tensor(inputs.predictions, requires_grad=True)
        value = loss(predictions, torch.tensor(inputs.targets))
        value.sum().backward()
        return value.detach().numpy(), predictions.grad.numpy()

    return value_and_gradient


def jax_run(loss):
    def summed(predictions, targets):
        value = loss(predictions, targets)
        return value.sum(), value

    compiled = jax.jit(jax.value_and_grad(summed, has_aux=True))

    def value_and_gradient(inputs):
        (_, value), gradient = compiled(jnp.asarray(inputs.predictions), jnp.asarray(inputs.targets))
        return np.asarray(value), np.asarray(gradient)

    return value_and_gradient


def torch_cross_entropy(predictions, targets):
    one_hot = bool((targets[:, 0] == 1).all())
    target = torch.zeros(len(targets), dtype=torch.int64) if one_hot else targets
    return functional.cross_entropy(predictions, target, reduction="none")


def optax_integer_labels(predictions, targets):
    labels = jnp.zeros(targets.shape[0], dtype=jnp.int32)
    return optax.softmax_cross_entropy_with_integer_labels(predictions, labels)


PEERS = [
    Peer(
        "torch binary_cross_entropy",
        binary_probabilities,
        exact_binary_probabilities,
        torch_run(lambda p, t: functional.binary_cross_entropy(p, t, reduction="none")),
    ),
    Peer(
        "torch binary_cross_entropy_with_logits",
        binary_logits,
        exact_binary_logits,
        torch_run(lambda p, t: functional.binary_cross_entropy_with_logits(p, t, reduction="none")),
    ),
    Peer(
        "optax sigmoid_binary_cross_entropy",
        binary_logits,
        exact_binary_logits,
        jax_run(optax.sigmoid_binary_cross_entropy),
    ),
    Peer("torch cross_entropy", class_logits, exact_class_logits, torch_run(torch_cross_entropy)),
    Peer("optax softmax_cross_entropy", class_logits, exact_class_logits, jax_run(optax.softmax_cross_entropy)),
    Peer(
        "optax softmax_cross_entropy_with_integer_labels",
        class_logits,
        exact_class_logits,
        jax_run(optax_integer_labels),
        takes_soft=False,
    ),
]


# Judging.


def errors(got, exact, dtype):
    """Relative error and error in ULPs of the exact result."""
    if not math.isfinite(got):
        return math.inf, math.inf
    error = abs(mpmath.mpf(got) - exact)
    _, exponent = mpmath.frexp(exact)
    ulp = mpmath.ldexp(1, int(exponent) - 1 - np.finfo(dtype).nmant)
    return float(error / abs(exact)), float(error / ulp)


def describe(inputs, index):
    def text(value):
        return "[" + ", ".join(map(str, value)) + "]" if np.ndim(value) else str(value)

    return f"{text(inputs.predictions[index])} for {text(inputs.targets[index])}"


def judge(got, exact, inputs, dtype):
    """The last cells of a row of the table; `exact` holds a list for each input."""
    smallest = mpmath.mpf(float(np.finfo(dtype).tiny))
    relative, ulps = Worst(), Worst()
    judged = above = 0
    for index, (got_numbers, exact_numbers) in enumerate(zip(got.reshape(len(exact), -1).tolist(), exact)):
        for number, wanted in zip(got_numbers, exact_numbers, strict=True):
            if abs(wanted) < smallest:
                continue
            relative_error, ulp_error = errors(number, wanted, dtype)
            relative.update(relative_error, wanted, index)
            ulps.update(ulp_error, wanted, index)
            judged += 1
            above += ulp_error > ULP_LIMIT
    cells = []
    for worst in (relative, ulps):
        cells += [f"{worst.rank[0]:.2g}", "–" if worst.at is None else describe(inputs, worst.at)]
    return cells + [f"{100 * above / judged:.1f} %"]


def measure(count, seed):
    """The rows of the table, in the order of `PEERS`; peers with the same inputs share the exact results."""
    rows = {peer.name: [] for peer in PEERS}
    families = list(dict.fromkeys((peer.inputs, peer.exact) for peer in PEERS))
    for make_inputs, exact_result in families:
        for dtype in (np.float32, np.float64):
            for region in REGIONS:
                generator = np.random.default_rng([seed, REGIONS.index(region)])
                inputs = make_inputs(generator, dtype, region, count)
                pairs = zip(inputs.predictions.tolist(), inputs.targets.tolist())
                exact = [exact_result(p, t) for p, t in pairs]
                for peer in PEERS:
                    if peer.inputs is not make_inputs or (region == "soft" and not peer.takes_soft):
                        continue
                    value, gradient = peer.value_and_gradient(inputs)
                    first = [peer.name, "f32" if dtype == np.float32 else "f64", region]
                    losses = [[loss] for loss, _ in exact]
                    gradients = [numbers for _, numbers in exact]
                    rows[peer.name].append(first + ["value"] + judge(value, losses, inputs, dtype))
                    rows[peer.name].append(first + ["gradient"] + judge(gradient, gradients, inputs, dtype))
    return [row for peer_rows in rows.values() for row in peer_rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--inputs", type=int, default=150_000, help="inputs per function and type (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs (default %(default)s)")
    parser.add_argument("--digits", type=int, default=50, help="decimal digits of mpmath (default %(default)s)")
    arguments = parser.parse_args()
    mpmath.mp.dps = arguments.digits
    jax.config.update("jax_enable_x64", True)

    per_region = math.ceil(arguments.inputs / len(REGIONS))
    rows = measure(per_region, arguments.seed)
    print(
        f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), optax {optax.__version__} on "
        f"jax {jax.__version__} (compiled), Python {platform.python_version()}; {per_region} inputs per row, "
        f"seed {arguments.seed}. An input reads: prediction for target.\n"
    )
    header = ["function", "type", "region", "of", "worst relative", "at", "worst ULP", "at", f"above {ULP_LIMIT} ULP"]
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
