//! Loss functions for [ndarray]: eager, plain functions that take views of predictions and targets and return losses
//! or their gradients.
//!
//! ```
//! use ndarray::array;
//! use ndarray_loss::{Aggregate, CategoricalCrossentropyWithLogits, ItemwiseLoss, categorical_crossentropy};
//!
//! // A function for each loss, one for its gradient …
//! let probabilities = array![[0.7_f32, 0.2, 0.1], [0.3, 0.3, 0.4]];
//! let losses = categorical_crossentropy(&probabilities, &[0, 2])?;
//! assert_eq!(losses.len(), 2);
//!
//! // … and a small value for the training loop: loss and gradient in one pass, into a buffer of yours.
//! let logits = array![[2.0_f32, 0.5, 0.1], [0.3, 0.3, 0.9]];
//! let mut gradient = logits.clone();
//! let loss = CategoricalCrossentropyWithLogits::default();
//! let mean = loss.objective_and_gradient_into(&logits, &[0, 2], Aggregate::Mean, &mut gradient)?;
//! assert!(mean > 0.0);
//! # Ok::<(), ndarray_loss::LossError>(())
//! ```
//!
//! # The losses
//!
//! Element-wise, one number for each prediction: the methods are those of [`ElementwiseLoss`].
//!
//! | function, gradient | value | loss | when |
//! |---|---|---|---|
//! | [`squared_error`], [`_gradient`](squared_error_gradient) | [`SquaredError`] | (p − t)² | regression |
//! | [`huber_loss`], [`_gradient`](huber_loss_gradient) | [`HuberLoss`] | ½(p − t)² up to a distance δ, then linear | regression with outliers |
//! | [`binary_crossentropy_with_logits`], [`_gradient`](binary_crossentropy_with_logits_gradient) | [`BinaryCrossentropyWithLogits`] | −t ln σ(x) − (1 − t) ln σ(−x) | two classes, or independent labels |
//! | [`binary_crossentropy`], [`_gradient`](binary_crossentropy_gradient) | [`BinaryCrossentropy`] | −t ln p − (1 − t) ln(1 − p) | the same, where only probabilities are at hand |
//! | [`binary_hinge_loss`], [`_gradient`](binary_hinge_loss_gradient) | [`BinaryHingeLoss`] | max(0, δ − t·s) | two classes, a margin instead of probabilities |
//! | [`binary_accuracy`] | – | 1 where (p ≥ threshold) = t | to report |
//!
//! <!-- drawn by `cargo run --release --example gallery -- --out docs` -->
#![doc = include_str!("../docs/losses.svg")]
//!
//! Item-wise, one number for each row of scores, the classes along the last axis: the methods are those of
//! [`ItemwiseLoss`].
//!
//! | function, gradient | value | loss | when |
//! |---|---|---|---|
//! | [`categorical_crossentropy_with_logits`], [`_gradient`](categorical_crossentropy_with_logits_gradient) | [`CategoricalCrossentropyWithLogits`] | −Σ tⱼ ln softmax(x)ⱼ | one class out of many |
//! | [`categorical_crossentropy`], [`_gradient`](categorical_crossentropy_gradient) | [`CategoricalCrossentropy`] | −Σ tⱼ ln pⱼ | the same, where only probabilities are at hand |
//! | [`multiclass_hinge_loss`], [`_gradient`](multiclass_hinge_loss_gradient) | [`MulticlassHingeLoss`] | max(0, maxⱼ≠ₜ pⱼ − pₜ + δ) | a margin instead of probabilities |
//! | [`categorical_accuracy`] | – | 1 where pₜ is among the k largest | to report |
//!
//! [`aggregate`] and [`aggregate_gradient`] make one number of them, by an [`Aggregate`]; [`class_weights`],
//! [`class_weights_ignoring`] and [`balanced_class_weights`] make weights of items from weights of classes. [`softmax`], [`log_softmax`],
//! [`log_sum_exp`], [`sigmoid`] and [`log_sigmoid`] come with their vector–Jacobian products. Loss functions of your own
//! implement [`ElementwiseLoss`]; [`math`], [`align_targets`] and [`gradcheck()`] are for them.
//!
//! What Lasagne, PyTorch, Keras, optax and scikit-learn call them stands at [`migrating`].
//!
//! # Shapes
//!
//! Predictions come first, then targets, then parameters, then output buffers. Inputs are anything that converts into
//! an [`ArrayView`](ndarray::ArrayView), in any layout: `&a`, `a.view()`, `a.t()`, `&vec`, `&[1.0, 2.0]`. Outputs are
//! ndarray's `&mut ArrayRef`: `&mut a`, `&mut a.slice_mut(s![..])`.
//!
//! Element-wise targets have the shape of the predictions, with two exceptions: n targets go with predictions (n, 1) as
//! a column, and a 0-d target ([`aview0`](ndarray::aview0)`(&t)`) goes with all. Nothing else broadcasts silently; use
//! [`ArrayBase::broadcast`](ndarray::ArrayRef::broadcast) where you want it. Class targets are integer labels with one dimension less
//! than the predictions, or an array in their shape: a distribution, or one-hot.
//!
//! Targets are of the predictions' own type `F`, `bool`, or any primitive integer, and are read in place: see
//! [`Target`].
//!
//! # Errors
//!
//! Bad input gets a [`LossError`] that carries the facts, before the first element is computed and before any buffer is
//! touched. NaN, ±∞ and probabilities outside [0, 1] are no errors: they give the value that the table of limits of each
//! function says, in that element or item and no other.
//!
//! # Guarantees
//!
//! - **Reproducible**: the same bits for any number of threads, with and without the feature `rayon`, and on every
//!   instruction set that is dispatched to; no value depends on the place of an element or a row, or on those beside it.
//! - **Accurate**: within 4 ULP of the exact value (element-wise) or 8 (item-wise), the confident ends included, and
//!   aggregates within 1; `cargo run --release --example accuracy` measures it.
//! - **Frugal**: the `_into`, `_in_place` and `objective` methods allocate nothing that grows with the input.
//! - **Safe**: `#![forbid(unsafe_code)]`; no panic is reachable.
//!
//! # Features
//!
//! `rayon` (default): arrays that are large enough for it to pay are spread over the threads of the current rayon pool.
#![forbid(unsafe_code)]

mod accuracy;
mod activation;
mod aggregate;
mod compiled;
mod elementwise;
mod engine;
mod error;
mod float;
mod gradcheck;
mod itemwise;
pub mod math;
#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/migrating.md")]
pub mod migrating {}
#[cfg(doctest)]
mod refusals;

pub use accuracy::{binary_accuracy, categorical_accuracy};
pub use activation::{
    log_sigmoid, log_sigmoid_into, log_sigmoid_vjp, log_sigmoid_vjp_into, log_softmax,
    log_softmax_into, log_softmax_vjp, log_softmax_vjp_into, log_sum_exp, log_sum_exp_into,
    log_sum_exp_vjp, log_sum_exp_vjp_into, sigmoid, sigmoid_into, sigmoid_vjp, sigmoid_vjp_into,
    softmax, softmax_into, softmax_vjp, softmax_vjp_into,
};
pub use aggregate::{Aggregate, aggregate, aggregate_gradient};
pub use elementwise::binary_crossentropy::{
    BinaryCrossentropy, binary_crossentropy, binary_crossentropy_gradient,
};
pub use elementwise::binary_crossentropy_with_logits::{
    BinaryCrossentropyWithLogits, binary_crossentropy_with_logits,
    binary_crossentropy_with_logits_gradient,
};
pub use elementwise::binary_hinge_loss::{
    BinaryHingeLoss, binary_hinge_loss, binary_hinge_loss_gradient,
};
pub use elementwise::huber_loss::{HuberLoss, huber_loss, huber_loss_gradient};
pub use elementwise::squared_error::{SquaredError, squared_error, squared_error_gradient};
pub use elementwise::{ElementwiseLoss, TargetShape, align_targets};
pub use error::LossError;
pub use float::{Float, Target};
pub use gradcheck::{ByElement, ByItem, Differentiable, GradientCheck, gradcheck};
pub use itemwise::categorical_crossentropy::{
    CategoricalCrossentropy, categorical_crossentropy, categorical_crossentropy_gradient,
};
pub use itemwise::categorical_crossentropy_with_logits::{
    CategoricalCrossentropyWithLogits, categorical_crossentropy_with_logits,
    categorical_crossentropy_with_logits_gradient,
};
pub use itemwise::class_weights::{balanced_class_weights, class_weights, class_weights_ignoring};
pub use itemwise::multiclass_hinge_loss::{
    MulticlassHingeLoss, multiclass_hinge_loss, multiclass_hinge_loss_gradient,
};
pub use itemwise::{ClassTargetShape, IgnoreLabel, ItemwiseLoss};

/// What the predictions of [`binary_hinge_loss`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scores {
    /// Real scores, taken as they are.
    LogOdds,
    /// Probabilities, which go through ln(p / (1 − p)).
    Probabilities,
}

/// How the two classes of a binary target are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryLabels {
    /// 0 and 1
    ZeroOne,
    /// −1 and 1
    PlusMinusOne,
}

/// The code of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
