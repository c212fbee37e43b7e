"""Write torch.json: losses and activations from logits as PyTorch computes them in float64.

Every number is checked against mpmath in 50 digits before it is written. A case in which PyTorch itself is
not accurate is left out and reported, because the crate is compared more tightly than that.
"""

import json
import os
import platform
import sys
from pathlib import Path

# Without vector code the bits depend less on the processor.
os.environ["ATEN_CPU_CAPABILITY"] = "default"

import mpmath
import numpy as np
import torch
import torch.nn.functional as functional

SEED = 1
RELATIVE, ABSOLUTE = 2e-13, 1e-15
NOTE = (
    "float64; classes along the last axis; gradient is that of sum(loss) with respect to predictions; with "
    "params.reduction the results are value, and value_gradient with respect to predictions; for softmax, "
    "log_softmax, log_sum_exp, sigmoid and log_sigmoid they are value and vjp, the product of cotangent with the "
    "Jacobian; params.weight holds one weight per class and multiplies the loss of each item of that class; data "
    'holds infinities and NaN as the strings "-inf", "inf" and "nan"'
)

mpmath.mp.dps = 50
torch.set_num_threads(1)
generator = np.random.default_rng(SEED)


# Exact results: functions of one row (or one element) of float64, in 50 digits.


def exact_log_sum_exp(row):
    return mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(x)) for x in row))


def exact_log_softmax(row):
    log_sum = exact_log_sum_exp(row)
    return [mpmath.mpf(x) - log_sum for x in row]


def exact_softmax(row):
    return [mpmath.exp(x) for x in exact_log_softmax(row)]


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))


def exact_log_sigmoid(x):
    return -mpmath.log1p(mpmath.exp(-mpmath.mpf(x)))


def exact_softmax_vjp(row, cotangent):
    probabilities = exact_softmax(row)
    dot = mpmath.fsum(p * c for p, c in zip(probabilities, cotangent))
    return [p * (c - dot) for p, c in zip(probabilities, cotangent)]


def exact_log_softmax_vjp(row, cotangent):
    total = mpmath.fsum(cotangent)
    return [c - p * total for p, c in zip(exact_softmax(row), cotangent)]


def exact_log_sum_exp_vjp(row, cotangent):
    return [p * cotangent for p in exact_softmax(row)]


def exact_sigmoid_vjp(x, cotangent):
    return cotangent * exact_sigmoid(x) * exact_sigmoid(-x)


def exact_log_sigmoid_vjp(x, cotangent):
    return cotangent * exact_sigmoid(-x)


def exact_categorical(row, target, weight, smoothing):
    """Loss and gradient of one item; `target` is a distribution and `weight` that of the item."""
    smoothed = [(1 - mpmath.mpf(smoothing)) * mpmath.mpf(t) + mpmath.mpf(smoothing) / len(row) for t in target]
    log_probabilities = exact_log_softmax(row)
    # A target of 0 adds nothing, even where the logarithm is infinite.
    loss = -mpmath.fsum(t * l for t, l in zip(smoothed, log_probabilities) if t != 0)
    total = mpmath.fsum(smoothed)
    gradient = [weight * (total * mpmath.exp(l) - t) for t, l in zip(smoothed, log_probabilities)]
    return weight * loss, gradient


def exact_binary(x, target, pos_weight):
    target = mpmath.mpf(target)
    positive, negative = target * pos_weight, 1 - target
    loss = -positive * exact_log_sigmoid(x) - negative * exact_log_sigmoid(-x)
    gradient = negative * exact_sigmoid(x) - positive * exact_sigmoid(-x)
    return loss, gradient


# The collection of cases.


def encode_number(x):
    return x if np.isfinite(x) else str(x)


def encode(array):
    array = np.asarray(array)
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "data": [encode_number(x) for x in array.ravel().tolist()],
    }


def is_accurate(got, exact):
    if not (np.isfinite(got) and mpmath.isfinite(exact)):
        return mpmath.mpf(got) == exact
    return abs(mpmath.mpf(got) - exact) <= RELATIVE * abs(exact) + ABSOLUTE


class Cases:
    def __init__(self):
        self.kept = []

    def add(self, function, name, params, inputs, results):
        """`results` maps a name to PyTorch's array and the exact numbers, flat and in the same order."""
        for field, (got, exact) in results.items():
            pairs = list(zip(got.ravel().tolist(), exact, strict=True))
            bad = [(g, e) for g, e in pairs if not is_accurate(g, e)]
            if bad:
                got_bad, exact_bad = bad[0]
                print(
                    f"left out: {function}, {name}: {len(bad)} of {len(pairs)} in {field}, the first "
                    f"{got_bad!r} for {mpmath.nstr(exact_bad, 20)}",
                    file=sys.stderr,
                )
                return
        assert all((c["function"], c["case"]) != (function, name) for c in self.kept), name
        self.kept.append(
            {"function": function, "case": name, "params": params}
            | {field: encode(array) for field, array in inputs.items()}
            | {field: encode(got) for field, (got, _) in results.items()}
        )


cases = Cases()


def leaf(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def flatten(rows):
    return [x for row in rows for x in row]


def shape_name(shape):
    return "x".join(map(str, shape))


# Categorical cross-entropy.


def torch_cross_entropy(predictions, targets, params, reduction):
    """Loss and gradient with classes along the last axis; PyTorch wants them along axis 1."""
    logits = leaf(predictions)
    target = torch.tensor(targets)
    options = dict(params)
    options.pop("reduction", None)
    if "weight" in options:
        options["weight"] = torch.tensor(options["weight"], dtype=torch.float64)
    loss = functional.cross_entropy(
        logits.movedim(-1, 1),
        target.movedim(-1, 1) if target.is_floating_point() else target,
        reduction=reduction,
        **options,
    )
    loss.sum().backward()
    return loss.detach().numpy(), logits.grad.numpy()


def exact_cross_entropy(predictions, targets, params):
    """Loss per item, gradient per item, and the number by which the mean divides."""
    classes = predictions.shape[-1]
    weights = params.get("weight", [1.0] * classes)
    ignored = params.get("ignore_index", -100)
    labels = targets.ravel() if targets.dtype == np.int64 else None
    distributions = np.eye(classes)[np.where(labels == ignored, 0, labels)] if labels is not None else targets
    losses, gradients, divisor = [], [], mpmath.mpf(0)
    for i, (row, target) in enumerate(
        zip(predictions.reshape(-1, classes).tolist(), distributions.reshape(-1, classes).tolist())
    ):
        if labels is not None and labels[i] == ignored:
            losses.append(mpmath.mpf(0))
            gradients.append([mpmath.mpf(0)] * classes)
            continue
        weight = mpmath.mpf(weights[labels[i]]) if labels is not None else mpmath.mpf(1)
        loss, gradient = exact_categorical(row, target, weight, params.get("label_smoothing", 0.0))
        losses.append(loss)
        gradients.append(gradient)
        divisor += weight
    return losses, gradients, divisor


def add_categorical(name, predictions, targets, params, reductions=("none",), gradient=True):
    losses, gradients, divisor = exact_cross_entropy(predictions, targets, params)
    name = f"{shape_name(predictions.shape)} {name}"
    inputs = {"predictions": predictions, "targets": targets}
    for reduction in reductions:
        got, got_gradient = torch_cross_entropy(predictions, targets, params, reduction)
        if reduction == "none":
            results = {"loss": (got, losses)}
            if gradient:
                results["gradient"] = (got_gradient, flatten(gradients))
            cases.add("categorical_crossentropy_with_logits", name, params, inputs, results)
            continue
        scale = 1 / divisor if reduction == "mean" else 1
        results = {"value": (got, [scale * mpmath.fsum(losses)])}
        if gradient:
            results["value_gradient"] = (got_gradient, [scale * g for g in flatten(gradients)])
        cases.add(
            "categorical_crossentropy_with_logits",
            f"{name} {reduction}",
            params | {"reduction": reduction},
            inputs,
            results,
        )


def ordinary(shape, decimals=3):
    return np.round(generator.normal(0.0, 2.0, shape), decimals)


def spread(shape, bound):
    return np.round(generator.uniform(-bound, bound, shape), 2)


def labels_for(shape):
    return generator.integers(0, shape[-1], shape[:-1], dtype=np.int64)


def distributions(shape):
    positive = generator.uniform(0.0, 1.0, shape) ** 3
    return positive / positive.sum(axis=-1, keepdims=True)


def dyadic_distributions(shape):
    """Rows that sum to exactly 1, many of their entries 0."""
    return generator.multinomial(64, np.full(shape[-1], 1 / shape[-1]), shape[:-1]) / 64


def masked(logits, labels, count):
    """`count` classes of each row masked by -inf, never that of the label."""
    logits = logits.copy()
    rows = logits.reshape(-1, logits.shape[-1])
    for row, label in zip(rows, labels.ravel()):
        others = np.setdiff1d(np.arange(logits.shape[-1]), [label])
        row[generator.choice(others, count, replace=False)] = -np.inf
    return logits


def add_categorical_cases():
    for shape in [(7, 5), (10, 20), (3, 1), (2, 3, 4)]:
        reductions = ("none",) if shape == (10, 20) else ("none", "mean", "sum")
        add_categorical("ordinary labels", ordinary(shape), labels_for(shape), {}, reductions)
        soft = dyadic_distributions(shape) if shape == (10, 20) else distributions(shape)
        add_categorical("ordinary soft", ordinary(shape), soft, {}, reductions[:2])
    add_categorical("ordinary labels", ordinary((2, 100)), labels_for((2, 100)), {})
    # Without its gradient, which would be half of the file.
    add_categorical("ordinary labels loss", ordinary((64, 100), 1), labels_for((64, 100)), {}, gradient=False)

    for shape in [(7, 5), (2, 3, 4)]:
        logits = ordinary(shape)
        unnormalised = np.round(generator.uniform(0.0, 2.0, shape), 3)
        unnormalised.reshape(-1, shape[-1])[1] = 0.0
        add_categorical("ordinary soft unnormalised", logits, unnormalised, {})

    for bound in (50, 500):
        logits = spread((7, 5), bound)
        add_categorical(f"spread {bound} labels", logits, labels_for((7, 5)), {})
        add_categorical(f"spread {bound} likely labels", logits, logits.argmax(axis=-1), {})
        add_categorical(f"spread {bound} soft", logits, dyadic_distributions((7, 5)), {})
        logits = spread((2, 3, 4), bound)
        add_categorical(f"spread {bound} labels", logits, labels_for((2, 3, 4)), {})
        add_categorical(f"spread {bound} labels", spread((7, 5), bound), labels_for((7, 5)), {}, ("mean",))

    for shape in [(7, 5), (2, 3, 4), (10, 20)]:
        labels = labels_for(shape)
        logits = masked(ordinary(shape), labels, shape[-1] // 2)
        add_categorical("masked labels", logits, labels, {})
    labels = labels_for((7, 5))
    add_categorical("masked labels", masked(ordinary((7, 5)), labels, 2), labels, {}, ("mean",))
    add_categorical("all but the label masked", masked(ordinary((7, 5)), labels, 4), labels, {})
    logits = ordinary((7, 5))
    logits[np.arange(7), labels] = -np.inf
    add_categorical("label masked", logits, labels, {})
    add_categorical("label masked smoothing 0.1", logits, labels, {"label_smoothing": 0.1})

    for value in (0.0, -3.25, 700.0):
        equal = np.full((7, 5), value)
        add_categorical(f"equal {value} labels", equal, labels_for((7, 5)), {})
    add_categorical("equal 0.0 soft", np.zeros((7, 5)), dyadic_distributions((7, 5)), {})

    for smoothing in (0.0, 0.1, 0.5, 1.0):
        params = {"label_smoothing": smoothing}
        logits, labels, soft = ordinary((7, 5)), labels_for((7, 5)), dyadic_distributions((7, 5))
        reductions = ("none", "mean") if smoothing == 0.1 else ("none",)
        add_categorical(f"labels smoothing {smoothing}", logits, labels, params, reductions)
        add_categorical(f"soft smoothing {smoothing}", logits, soft, params, reductions)
        add_categorical(f"labels smoothing {smoothing}", ordinary((3, 1)), labels_for((3, 1)), params)
        add_categorical(f"spread 50 labels smoothing {smoothing}", spread((7, 5), 50), labels_for((7, 5)), params)
    logits, params = ordinary((2, 3, 4)), {"label_smoothing": 0.1}
    add_categorical("labels smoothing 0.1", logits, labels_for((2, 3, 4)), params)
    add_categorical("soft smoothing 0.1", logits, distributions((2, 3, 4)), params)

    for ignored in (-100, 2):
        for shape in [(7, 5), (2, 3, 4)]:
            logits, labels = ordinary(shape), labels_for(shape)
            labels.ravel()[::3] = ignored
            params = {"ignore_index": ignored}
            add_categorical(f"ignore {ignored}", logits, labels, params, ("none", "mean"))
            if shape == (7, 5):
                smoothed = params | {"label_smoothing": 0.1}
                add_categorical(f"ignore {ignored} smoothing 0.1", logits, labels, smoothed, ("none", "mean"))
    none_ignored = np.array([0, 1, 3, 4, 3, 1, 0], dtype=np.int64)
    add_categorical("ignore 2, nothing ignored", ordinary((7, 5)), none_ignored, {"ignore_index": 2}, ("mean",))

    for shape in [(7, 5), (2, 3, 4)]:
        logits, labels = ordinary(shape), labels_for(shape)
        weight = np.round(generator.uniform(0.1, 3.0, shape[-1]), 3)
        add_categorical("weight", logits, labels, {"weight": weight.tolist()}, ("none", "mean", "sum"))
        for ignored in (-100, 2):
            partly_ignored = labels.copy()
            partly_ignored.ravel()[1::3] = ignored
            params = {"weight": weight.tolist(), "ignore_index": ignored}
            add_categorical(f"weight ignore {ignored}", logits, partly_ignored, params, ("none", "mean"))
        if shape != (7, 5):
            continue
        weight[labels.ravel()[0]] = 0.0
        add_categorical("weight with 0", logits, labels, {"weight": weight.tolist()}, ("none", "mean"))


# Binary cross-entropy.


def add_binary(name, predictions, targets, params, reductions=("none",)):
    pos_weight = mpmath.mpf(params.get("pos_weight", 1.0))
    exact = [exact_binary(x, t, pos_weight) for x, t in zip(predictions.ravel().tolist(), targets.ravel().tolist())]
    losses, gradients = [loss for loss, _ in exact], [gradient for _, gradient in exact]
    name = f"{shape_name(predictions.shape)} {name}"
    inputs = {"predictions": predictions, "targets": targets}
    for reduction in reductions:
        logits = leaf(predictions)
        got = functional.binary_cross_entropy_with_logits(
            logits,
            torch.tensor(targets, dtype=torch.float64),
            reduction=reduction,
            pos_weight=torch.tensor(params["pos_weight"], dtype=torch.float64) if "pos_weight" in params else None,
        )
        got.sum().backward()
        got, got_gradient = got.detach().numpy(), logits.grad.numpy()
        if reduction == "none":
            results = {"loss": (got, losses), "gradient": (got_gradient, gradients)}
            cases.add("binary_crossentropy_with_logits", name, params, inputs, results)
            continue
        scale = mpmath.mpf(1) / len(losses) if reduction == "mean" else 1
        results = {
            "value": (got, [scale * mpmath.fsum(losses)]),
            "value_gradient": (got_gradient, [scale * g for g in gradients]),
        }
        cases.add(
            "binary_crossentropy_with_logits",
            f"{name} {reduction}",
            params | {"reduction": reduction},
            inputs,
            results,
        )


def add_binary_cases():
    for shape in [(7,), (10, 20), (2, 3, 4)]:
        logits = ordinary(shape)
        hard = generator.integers(0, 2, shape, dtype=np.int64)
        soft = np.round(generator.uniform(0.0, 1.0, shape), 3)
        reductions = ("none", "mean", "sum") if shape == (7,) else ("none",)
        add_binary("ordinary hard", logits, hard, {}, reductions)
        add_binary("ordinary soft", logits, soft, {}, reductions)
        if shape == (10, 20):
            continue
        for pos_weight in (0.3, 1.0, 4.0) if shape == (7,) else (4.0,):
            params = {"pos_weight": pos_weight}
            add_binary(f"ordinary hard pos_weight {pos_weight}", logits, hard, params)
            add_binary(
                f"ordinary soft pos_weight {pos_weight}",
                logits,
                soft,
                params,
                ("none", "mean") if shape == (7,) else ("none",),
            )
        for bound in (40, 800):
            large = spread(shape, bound)
            large.ravel()[:2] = [bound, -bound]
            # PyTorch subtracts nearly equal numbers at target 0 and a logit between these two.
            kept = np.where((large > -36.0) & (large < -4.0), 1, hard)
            add_binary(f"spread {bound} hard", large, kept, {})
            add_binary(f"spread {bound} soft", large, soft, {})
            if shape != (7,):
                continue
            add_binary(f"spread {bound} hard pos_weight 4.0", large, kept, {"pos_weight": 4.0})
            add_binary(f"spread {bound} soft pos_weight 0.3", large, soft, {"pos_weight": 0.3})


# Activations.

ROW_FUNCTIONS = {
    "softmax": (lambda x: torch.softmax(x, -1), exact_softmax, exact_softmax_vjp),
    "log_softmax": (lambda x: torch.log_softmax(x, -1), exact_log_softmax, exact_log_softmax_vjp),
    "log_sum_exp": (lambda x: torch.logsumexp(x, -1), exact_log_sum_exp, exact_log_sum_exp_vjp),
}
ELEMENT_FUNCTIONS = {
    "sigmoid": (torch.sigmoid, exact_sigmoid, exact_sigmoid_vjp),
    "log_sigmoid": (functional.logsigmoid, exact_log_sigmoid, exact_log_sigmoid_vjp),
}


def add_activation(function, name, predictions):
    is_row = function in ROW_FUNCTIONS
    compute, exact_value, exact_vjp = (ROW_FUNCTIONS if is_row else ELEMENT_FUNCTIONS)[function]
    arguments = predictions.reshape(-1, predictions.shape[-1]) if is_row else predictions.ravel()
    arguments = arguments.tolist()

    inputs = leaf(predictions)
    got = compute(inputs)
    cotangent = np.round(generator.normal(0.0, 1.0, got.shape), 3)
    got.backward(torch.tensor(cotangent))

    cotangents = cotangent.reshape(len(arguments), -1).tolist()
    if function not in ("softmax", "log_softmax"):
        cotangents = flatten(cotangents)
    values = [exact_value(x) for x in arguments]
    products = [exact_vjp(x, c) for x, c in zip(arguments, cotangents, strict=True)]
    cases.add(
        function,
        f"{shape_name(predictions.shape)} {name}",
        {},
        {"predictions": predictions, "cotangent": cotangent},
        {
            "value": (got.detach().numpy(), flatten(values) if function in ("softmax", "log_softmax") else values),
            "vjp": (inputs.grad.numpy(), flatten(products) if is_row else products),
        },
    )


def add_activation_cases():
    for function in ROW_FUNCTIONS:
        for shape in [(7, 5), (2, 3, 4), (3, 1)]:
            add_activation(function, "ordinary", ordinary(shape))
        add_activation(function, "ordinary", ordinary((1, 40)))
        for bound in (50, 500):
            add_activation(function, f"spread {bound}", spread((7, 5), bound))
        add_activation(function, "equal", np.full((7, 5), -3.25))
        add_activation(function, "masked", masked(ordinary((7, 5)), labels_for((7, 5)), 2))
    for function in ELEMENT_FUNCTIONS:
        for shape in [(7,), (5, 8), (2, 3, 4)]:
            add_activation(function, "ordinary", ordinary(shape))
        for bound in (40, 800):
            large = spread((2, 3, 4), bound)
            large.ravel()[:3] = [bound, -bound, 0.0]
            add_activation(function, f"spread {bound}", large)


def main():
    add_categorical_cases()
    add_binary_cases()
    add_activation_cases()
    document = {
        "source": (
            f"PyTorch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()}, seed {SEED}"
        ),
        "note": NOTE,
        "cases": cases.kept,
    }
    path = Path(__file__).with_name("torch.json")
    path.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n", encoding="ascii")
    print(f"{path.name}: {len(cases.kept)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
