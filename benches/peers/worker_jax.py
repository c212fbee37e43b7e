"""JAX with XLA on the CPU, and optax where it has the loss.

XLA takes as many threads as the process may use processors: `run.py` sets that.
"""

import data
import jax
import jax.numpy as jnp
import optax
import worker


def binary_crossentropy(predictions, targets):
    return -targets * jnp.log(predictions) - (1 - targets) * jnp.log1p(-predictions)


def crossentropy_of_labels(predictions, labels):
    return -jnp.log(jnp.take_along_axis(predictions, labels[:, None], axis=1))[:, 0]


def crossentropy_of_rows(predictions, targets):
    return -(targets * jnp.log(predictions)).sum(axis=1)


LOSSES = {
    "squared_error": optax.squared_error,
    "huber_loss": optax.huber_loss,
    "binary_crossentropy": binary_crossentropy,
    "binary_hinge_loss": optax.hinge_loss,
    "binary_crossentropy_with_logits": optax.sigmoid_binary_cross_entropy,
    "categorical_crossentropy:labels": crossentropy_of_labels,
    "categorical_crossentropy:dense": crossentropy_of_rows,
    "multiclass_hinge_loss:labels": optax.losses.multiclass_hinge_loss,
    "categorical_crossentropy_with_logits:labels": optax.softmax_cross_entropy_with_integer_labels,
    "categorical_crossentropy_with_logits:dense": optax.softmax_cross_entropy,
}


def accuracy(predictions, labels, top_k):
    if top_k == 1:
        return (predictions.argmax(axis=1) == labels).mean()
    _, indices = jax.lax.top_k(predictions, top_k)
    return (indices == labels[:, None]).any(axis=1).mean()


def prepare(cell):
    predictions, targets = map(jax.device_put, data.of(cell))
    if cell.section == "fused":
        loss = LOSSES[cell.loss]
        compiled = jax.jit(jax.value_and_grad(lambda p, t: loss(p, t).mean()))
    elif cell.section == "value":
        loss = LOSSES[cell.loss]
        compiled = jax.jit(lambda p, t: loss(p, t).mean())
    elif cell.section == "plain":
        compiled = jax.jit(LOSSES[cell.loss])
    elif cell.section == "accuracy":
        top_k = int(cell.loss.removeprefix("top"))
        compiled = jax.jit(lambda p, t: accuracy(p, t, top_k))
    else:
        return None

    def step():
        return jax.block_until_ready(compiled(predictions, targets))

    def summary():
        if cell.section == "fused":
            value, gradient = step()
            return float(value), float(abs(gradient).sum())
        return float(step().mean()), None

    return step, summary


if __name__ == "__main__":
    worker.serve(prepare, f"JAX {jax.__version__}, optax {optax.__version__}")
