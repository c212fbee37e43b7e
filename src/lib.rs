//! Loss functions for [ndarray](ndarray), each with its hand-written gradient.
#![forbid(unsafe_code)]

mod accuracy;
mod aggregate;
mod elementwise;
mod engine;
mod error;
mod float;
mod itemwise;
pub mod math;

pub use accuracy::{binary_accuracy, categorical_accuracy};
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
