//! Parameters and options: what each may be, and what is said of the others, whichever way they come in.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ndarray::array;
use ndarray_loss::*;
use support::Bits;
use support::refusal::*;

const MARGIN: &str = "non-negative and finite";

fn nan_infinite_or<F: Bits>(others: &[f64]) -> Vec<F> {
    let never = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    never.iter().chain(others).map(|&x| F::of(x)).collect()
}

/// The error names the value that was passed: that of the type, as an `f64`.
fn invalid<F: Bits>(name: &'static str, value: F, requirement: &'static str) -> Refusal {
    invalid_parameter(name, value.exactly(), requirement)
}

/// The smallest number above 0, as its negative.
fn below_zero<F: Bits>() -> F {
    -F::min_positive_value()
}

fn margins_of_the_hinges<F: Bits>() {
    let (p, rows) = (array![F::one(), F::zero()], array![[F::one(), F::zero()]]);
    let (scores, labels) = (Scores::LogOdds, BinaryLabels::ZeroOne);
    let mut deltas = nan_infinite_or::<F>(&[-1.0]);
    deltas.push(below_zero());
    for delta in deltas {
        let (case, refusal) = (
            format!("δ = {delta}, {}", F::NAME),
            invalid("delta", delta, MARGIN),
        );
        refusal.check(&case, BinaryHingeLoss::new(delta, scores, labels));
        refusal.check(
            &case,
            binary_hinge_loss(&p, &[true, false], delta, scores, labels),
        );
        refusal.check(
            &case,
            binary_hinge_loss_gradient(&p, &[1, 0], delta, scores, labels),
        );
        refusal.check(&case, MulticlassHingeLoss::new(delta));
        refusal.check(&case, multiclass_hinge_loss(&rows, &[1], delta));
        refusal.check(&case, multiclass_hinge_loss_gradient(&rows, &[1], delta));
    }
    for delta in [0.0, -0.0, 1e-30, 1e30].map(F::of) {
        assert!(
            BinaryHingeLoss::new(delta, scores, labels).is_ok(),
            "δ = {delta} refused"
        );
        assert!(
            MulticlassHingeLoss::new(delta).is_ok(),
            "δ = {delta} refused"
        );
    }
}

fn thresholds_of_huber<F: Bits>() {
    let p = array![F::one()];
    let mut deltas = nan_infinite_or::<F>(&[0.0, -0.0, -1.0]);
    deltas.push(below_zero());
    for delta in deltas {
        let case = format!("δ = {delta}, {}", F::NAME);
        let refusal = invalid("delta", delta, "positive and finite");
        refusal.check(&case, HuberLoss::new(delta));
        refusal.check(&case, huber_loss(&p, &p, delta));
        refusal.check(&case, huber_loss_gradient(&p, &p, delta));
    }
    assert!(HuberLoss::new(F::min_positive_value()).is_ok());
    assert!(HuberLoss::new(F::max_value()).is_ok());
}

fn thresholds_of_accuracy<F: Bits>() {
    let p = array![F::one()];
    let nan = invalid("threshold", F::nan(), "a number");
    nan.check("binary_accuracy", binary_accuracy(&p, &[true], F::nan()));
    for threshold in [F::neg_infinity(), F::zero(), F::infinity()] {
        let right = binary_accuracy(&p, &[true], threshold).unwrap();
        let expected = if F::one() >= threshold {
            F::one()
        } else {
            F::zero()
        };
        assert_eq!(right[0], expected, "threshold {threshold}");
    }
}

fn options_from_logits<F: Bits>() {
    let binary = BinaryCrossentropyWithLogits::<F>::default();
    let categorical = CategoricalCrossentropyWithLogits::<F>::default();
    let mut epsilons = nan_infinite_or::<F>(&[-0.5, 1.5]);
    epsilons.extend([below_zero(), F::one() + F::epsilon()]);
    for epsilon in epsilons {
        let case = format!("ε = {epsilon}, {}", F::NAME);
        let refusal = invalid("label_smoothing", epsilon, "in [0, 1]");
        refusal.check(&case, binary.label_smoothing(epsilon));
        refusal.check(&case, categorical.label_smoothing(epsilon));
        refusal.check(
            &case,
            categorical.ignore_label(-100).label_smoothing(epsilon),
        );
    }
    let mut weights = nan_infinite_or::<F>(&[-1.0]);
    weights.push(below_zero());
    for weight in weights {
        let case = format!("weight {weight}, {}", F::NAME);
        invalid("pos_weight", weight, MARGIN).check(&case, binary.pos_weight(weight));
    }
    for allowed in [F::zero(), F::of(0.25), F::one()] {
        assert!(
            binary.pos_weight(allowed).is_ok(),
            "weight {allowed} refused"
        );
        assert!(
            binary.label_smoothing(allowed).is_ok(),
            "ε = {allowed} refused"
        );
        assert!(
            categorical.label_smoothing(allowed).is_ok(),
            "ε = {allowed} refused"
        );
    }
}

#[test]
fn margins() {
    margins_of_the_hinges::<f32>();
    margins_of_the_hinges::<f64>();
}

#[test]
fn huber() {
    thresholds_of_huber::<f32>();
    thresholds_of_huber::<f64>();
}

#[test]
fn accuracy() {
    thresholds_of_accuracy::<f32>();
    thresholds_of_accuracy::<f64>();
}

#[test]
fn options() {
    options_from_logits::<f32>();
    options_from_logits::<f64>();
}

#[test]
fn how_many_classes_count_as_right() {
    let p = array![[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]];
    for top_k in [0, 4, 1 << 40] {
        let refusal = invalid_parameter(
            "top_k",
            top_k as f64,
            "at least 1 and at most the number of classes",
        );
        refusal.check("labels", categorical_accuracy(&p, &[0, 1], top_k));
        refusal.check("rows", categorical_accuracy(&p, &p, top_k));
    }
    assert_eq!(categorical_accuracy(&p, &[0, 1], 3), Ok(array![1.0, 1.0]));
}

#[test]
fn parameters_are_checked_before_shapes_and_labels() {
    let (p, none) = (array![[0.5, 0.5]], [0_usize; 0]);
    invalid_parameter("delta", -1.0, MARGIN).check("hinge", multiclass_hinge_loss(&p, &none, -1.0));
    invalid_parameter("delta", 0.0, "positive and finite")
        .check("huber", huber_loss(&p, &[9], 0.0));
}

#[test]
fn defaults_are_those_of_the_reference() {
    let hinge = BinaryHingeLoss::new(1.0, Scores::LogOdds, BinaryLabels::ZeroOne);
    assert_eq!(Ok(BinaryHingeLoss::default()), hinge);
    assert_eq!(Ok(HuberLoss::default()), HuberLoss::new(1.0));
    assert_eq!(
        Ok(MulticlassHingeLoss::default()),
        MulticlassHingeLoss::new(1.0_f32)
    );
    let binary = BinaryCrossentropyWithLogits::<f64>::default();
    assert_eq!(
        Ok(binary),
        binary
            .pos_weight(1.0)
            .and_then(|loss| loss.label_smoothing(0.0))
    );
    let categorical = CategoricalCrossentropyWithLogits::<f64>::default();
    assert_eq!(Ok(categorical), categorical.label_smoothing(0.0));
}

#[test]
fn a_cotangent_has_the_shape_of_the_logits() {
    let x = ndarray::ArrayD::<f64>::zeros(vec![2, 1]);
    for shape in [vec![], vec![2]] {
        let g = ndarray::ArrayD::<f64>::zeros(shape.clone());
        let mut out = x.clone();
        let mismatch = LossError::ShapeMismatch {
            predictions: vec![2, 1],
            targets: shape,
        };
        assert_eq!(sigmoid_vjp(&x, &g), Err(mismatch.clone()));
        assert_eq!(sigmoid_vjp_into(&x, &g, &mut out), Err(mismatch.clone()));
        assert_eq!(log_sigmoid_vjp(&x, &g), Err(mismatch.clone()));
        assert_eq!(log_sigmoid_vjp_into(&x, &g, &mut out), Err(mismatch));
    }
}

#[test]
fn weights_of_nothing() -> Result<(), LossError> {
    let none = balanced_class_weights::<f64, _, _>(&[0_u8; 0], 2)?;
    assert_eq!(none.to_vec(), [f64::INFINITY; 2]);

    let rows = ndarray::Array2::<f64>::zeros((2, 0));
    let objective = |weights: [f64; 2]| {
        let by = Aggregate::weighted_sum(&weights);
        CategoricalCrossentropy.objective(&rows, &rows, by)
    };
    assert_eq!(objective([1.0, 2.0])?, 0.0);
    assert!(objective([1.0, f64::INFINITY])?.is_nan());
    Ok(())
}
