//! What is expected of a call that must not succeed.

use ndarray_loss::{BinaryLabels, LossError};

use super::message_of;

/// What is expected of a call: an error and words of its message.
#[derive(Clone)]
pub struct Refusal {
    /// Compared as a whole.
    pub error: LossError,
    /// Words of the message.
    pub facts: Vec<String>,
}

/// An error with these words in its message.
pub fn refusal(error: LossError, facts: &[&str]) -> Refusal {
    let facts = facts.iter().map(ToString::to_string).collect();
    Refusal { error, facts }
}

impl Refusal {
    #[track_caller]
    /// Fails unless the answer is this error, well worded.
    pub fn check<T>(&self, case: &str, answer: Result<T, LossError>) {
        let Err(error) = answer else {
            panic!("{case}: accepted, expected {:?}", self.error);
        };
        // Compared as text, where NaN equals NaN.
        assert_eq!(format!("{error:?}"), format!("{:?}", self.error), "{case}");
        let message = message_of(case, &error);
        for fact in &self.facts {
            assert!(message.contains(fact), "{case}: no {fact:?} in {message:?}");
        }
    }
}

/// Targets that do not fit.
pub fn shapes(predictions: &[usize], targets: &[usize]) -> Refusal {
    let facts = [
        format!("{predictions:?}"),
        format!("{targets:?}"),
        "`ArrayBase::broadcast`".into(),
    ];
    Refusal {
        error: LossError::ShapeMismatch {
            predictions: predictions.to_vec(),
            targets: targets.to_vec(),
        },
        facts: facts.into(),
    }
}

/// A buffer that does not fit.
pub fn output_shape(expected: &[usize], output: &[usize]) -> Refusal {
    Refusal {
        error: LossError::OutputShapeMismatch {
            expected: expected.to_vec(),
            output: output.to_vec(),
        },
        facts: vec![
            format!("{expected:?}"),
            format!("{output:?}"),
            "output".into(),
        ],
    }
}

/// Weights or a mask that do not fit.
pub fn weights_shape(loss: &[usize], weights: &[usize]) -> Refusal {
    Refusal {
        error: LossError::WeightsShapeMismatch {
            loss: loss.to_vec(),
            weights: weights.to_vec(),
        },
        facts: vec![
            format!("{loss:?}"),
            format!("{weights:?}"),
            "weights".into(),
        ],
    }
}

/// A label that names no class.
pub fn label_out_of_range(index: usize, label: i128, classes: usize) -> Refusal {
    let words = format!("label {label} of item {index} is out of range for {classes} classes");
    let error = LossError::LabelOutOfRange {
        index,
        label,
        classes,
        pair: None,
    };
    refusal(error, &[&words])
}

/// A label outside the pair of a binary loss.
pub fn not_of_pair(index: usize, label: i128, pair: BinaryLabels) -> Refusal {
    let names = match pair {
        BinaryLabels::ZeroOne => "0 and 1",
        BinaryLabels::PlusMinusOne => "-1 and 1",
    };
    let error = LossError::LabelOutOfRange {
        index,
        label,
        classes: 2,
        pair: Some(pair),
    };
    refusal(
        error,
        &[&format!("label {label} of element {index} "), names],
    )
}

/// A row that is not one-hot.
pub fn not_one_hot(index: usize) -> Refusal {
    refusal(
        LossError::NotOneHot { index },
        &["one-hot", &format!("item {index}")],
    )
}

/// Fewer classes than the loss needs.
pub fn too_few_classes(classes: usize, required: usize) -> Refusal {
    let error = LossError::TooFewClasses { classes, required };
    refusal(
        error,
        &[&classes.to_string(), &required.to_string(), "classes"],
    )
}

/// A result that cannot be allocated.
pub fn too_large(shape: &[usize]) -> Refusal {
    let error = LossError::TooLarge {
        shape: shape.to_vec(),
    };
    refusal(error, &[&format!("{shape:?}"), "allocated"])
}

/// A mean of nothing.
pub fn empty_mean() -> Refusal {
    refusal(LossError::EmptyMean, &["mean", "no elements"])
}

/// Weights that add up to zero.
pub fn zero_total_weight() -> Refusal {
    refusal(LossError::ZeroTotalWeight, &["weights", "zero"])
}

/// A parameter that cannot have this value.
pub fn invalid_parameter(name: &'static str, value: f64, requirement: &'static str) -> Refusal {
    let error = LossError::InvalidParameter {
        name,
        value,
        requirement,
    };
    refusal(error, &[name, &value.to_string(), requirement])
}
