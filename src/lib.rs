//! Loss functions for [ndarray], each with its hand-written gradient.
#![forbid(unsafe_code)]

mod accuracy;
mod activation;
mod aggregate;
mod elementwise;
mod engine;
mod error;
mod float;
mod gradcheck;
mod itemwise;
pub mod math;

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
