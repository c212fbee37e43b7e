//! The one error type of the crate.

use std::fmt;

use crate::BinaryLabels;

/// Why a call was refused.
///
/// Everything is checked before the first element is computed: on an error no output buffer has been touched.
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{LossError, categorical_crossentropy};
///
/// let error = categorical_crossentropy(&array![[0.5, 0.5]], &[2]).unwrap_err();
/// assert!(matches!(error, LossError::LabelOutOfRange { index: 0, label: 2, classes: 2, .. }));
/// assert_eq!(error.to_string(), "label 2 of item 0 is out of range for 2 classes");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum LossError {
    /// The targets do not fit the predictions.
    ShapeMismatch {
        /// Shape of the predictions.
        predictions: Vec<usize>,
        /// Shape of the targets.
        targets: Vec<usize>,
    },
    /// An output buffer does not have the shape of the result.
    OutputShapeMismatch {
        /// Shape of the result.
        expected: Vec<usize>,
        /// Shape of the buffer.
        output: Vec<usize>,
    },
    /// Weights or a mask do not broadcast to the loss.
    WeightsShapeMismatch {
        /// Shape of the loss.
        loss: Vec<usize>,
        /// Shape of the weights or of the mask.
        weights: Vec<usize>,
    },
    /// A label names no class.
    LabelOutOfRange {
        /// Where the label stands, counted over the items (or elements) in row-major order.
        index: usize,
        /// The label; one that exceeds `i128` is given as `i128::MAX`.
        label: i128,
        /// The number of classes; 2 for binary labels.
        classes: usize,
        /// For binary labels: how the two classes are written.
        pair: Option<BinaryLabels>,
    },
    /// A row of targets does not hold a single 1 among zeros.
    NotOneHot {
        /// The item, counted in row-major order.
        index: usize,
    },
    /// The predictions have fewer classes than the loss needs.
    TooFewClasses {
        /// The number of classes.
        classes: usize,
        /// The least number that the loss is defined for.
        required: usize,
    },
    /// A parameter or an option of a loss has a value that it cannot have.
    InvalidParameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is required of it.
        requirement: &'static str,
    },
    /// The mean of nothing was asked for: no elements, none that the mask keeps, or all ignored.
    EmptyMean,
    /// The weights of a normalized sum add up to exactly 0.
    ZeroTotalWeight,
    /// A result of this shape cannot be allocated.
    TooLarge {
        /// Shape of the result.
        shape: Vec<usize>,
    },
}

impl fmt::Display for LossError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShapeMismatch {
                predictions,
                targets,
            } => write!(
                f,
                "targets of shape {targets:?} do not fit predictions of shape {predictions:?}: there is to be one \
                 target for each, or one label for each row; nothing broadcasts silently, see `ArrayBase::broadcast`"
            ),
            Self::OutputShapeMismatch { expected, output } => write!(
                f,
                "output buffer of shape {output:?} does not fit a result of shape {expected:?}"
            ),
            Self::WeightsShapeMismatch { loss, weights } => write!(
                f,
                "weights of shape {weights:?} do not broadcast to a loss of shape {loss:?}"
            ),
            Self::LabelOutOfRange {
                index,
                label,
                pair: Some(pair),
                ..
            } => write!(
                f,
                "label {label} of element {index} is not one of {}",
                match pair {
                    BinaryLabels::ZeroOne => "0 and 1",
                    BinaryLabels::PlusMinusOne => "-1 and 1",
                }
            ),
            Self::LabelOutOfRange {
                index,
                label,
                classes,
                pair: None,
            } => write!(
                f,
                "label {label} of item {index} is out of range for {classes} classes"
            ),
            Self::NotOneHot { index } => {
                write!(f, "target row of item {index} is not one-hot")
            }
            Self::TooFewClasses { classes, required } => write!(
                f,
                "predictions with {classes} classes, where at least {required} are required"
            ),
            Self::InvalidParameter {
                name,
                value,
                requirement,
            } => write!(f, "{name} is {value}, but must be {requirement}"),
            Self::EmptyMean => write!(f, "mean of no elements"),
            Self::ZeroTotalWeight => write!(f, "weights add up to zero"),
            Self::TooLarge { shape } => {
                write!(f, "result of shape {shape:?} cannot be allocated")
            }
        }
    }
}

impl std::error::Error for LossError {}

#[cold]
pub(crate) fn shape_mismatch(predictions: &[usize], targets: &[usize]) -> LossError {
    LossError::ShapeMismatch {
        predictions: predictions.to_vec(),
        targets: targets.to_vec(),
    }
}

#[cold]
pub(crate) fn output_shape_mismatch(expected: &[usize], output: &[usize]) -> LossError {
    LossError::OutputShapeMismatch {
        expected: expected.to_vec(),
        output: output.to_vec(),
    }
}

#[cold]
pub(crate) fn weights_shape_mismatch(loss: &[usize], weights: &[usize]) -> LossError {
    LossError::WeightsShapeMismatch {
        loss: loss.to_vec(),
        weights: weights.to_vec(),
    }
}

#[cold]
pub(crate) fn class_out_of_range(index: usize, label: i128, classes: usize) -> LossError {
    LossError::LabelOutOfRange {
        index,
        label,
        classes,
        pair: None,
    }
}

#[cold]
pub(crate) fn not_one_hot(index: usize) -> LossError {
    LossError::NotOneHot { index }
}

#[cold]
pub(crate) fn not_of_pair(index: usize, label: i128, pair: BinaryLabels) -> LossError {
    LossError::LabelOutOfRange {
        index,
        label,
        classes: 2,
        pair: Some(pair),
    }
}

#[cold]
pub(crate) fn invalid_parameter(
    name: &'static str,
    value: f64,
    requirement: &'static str,
) -> LossError {
    LossError::InvalidParameter {
        name,
        value,
        requirement,
    }
}

#[cold]
pub(crate) fn too_few_classes(classes: usize, required: usize) -> LossError {
    LossError::TooFewClasses { classes, required }
}

#[cold]
pub(crate) fn too_large(shape: &[usize]) -> LossError {
    LossError::TooLarge {
        shape: shape.to_vec(),
    }
}
