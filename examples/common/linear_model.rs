//! A linear model, trained by gradient descent.

use ndarray::{Array1, Array2};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// inputs · weights + bias
pub(crate) struct LinearModel {
    weights: Array1<f64>,
    bias: f64,
}

impl LinearModel {
    /// Small weights to start from.
    pub(crate) fn random(features: usize, rng: &mut ChaCha8Rng) -> Self {
        Self {
            weights: Array1::from_shape_simple_fn(features, || rng.random_range(-0.1..0.1)),
            bias: 0.0,
        }
    }

    pub(crate) fn predict(&self, inputs: &Array2<f64>) -> Array1<f64> {
        inputs.dot(&self.weights) + self.bias
    }

    /// One step downhill, from the gradient of the objective with respect to the predictions for these inputs.
    pub(crate) fn descend(&mut self, inputs: &Array2<f64>, gradient: &Array1<f64>, rate: f64) {
        self.weights.scaled_add(-rate, &inputs.t().dot(gradient));
        self.bias -= rate * gradient.sum();
    }
}
