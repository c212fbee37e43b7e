//! What the mathematics of the losses says: signs, convexity, and neighbours in the limit.

use crate::catalogue::{
    Domain, Edges, Entry, Loss, Number, Targets, catalogue, check, expected, raw_strategy,
    same_bits,
};
use ndarray::{Array1, ArrayD, Axis, Zip, stack};
use ndarray_loss::{
    BinaryCrossentropyWithLogits, CategoricalCrossentropyWithLogits, ElementwiseLoss, HuberLoss,
    ItemwiseLoss, SquaredError,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const CASES: u32 = 60;

for_both_types! {
    losses_are_not_negative
    losses_are_convex
    a_wide_huber_loss_is_half_the_squared_error
    two_classes_are_the_binary_case
}

/// Checks a property of the losses of the catalogue, in all forms of targets, with two predictions for each target.
fn for_all<F: Number>(
    edges: impl Fn(&Entry<F>, &[usize]) -> Edges,
    property: impl Fn(&Entry<F>, &Loss<F>, [&ArrayD<F>; 2], &Targets<F>) -> TestCaseResult,
) {
    for entry in catalogue::<F>() {
        for &form in entry.aim.forms() {
            let raws = (raw_strategy(97), raw_strategy(97), raw_strategy(97));
            let shapes = prop_oneof![Just([40, 5]), Just([9, 130]), Just([3, 300])];
            let strategy = (entry.any.clone(), shapes, raws);
            let name = format!("{}, {form:?}", entry.name);
            let cases = |(loss, shape, (one, other, aims)): (Loss<F>, [usize; 2], _)| {
                let (one, other, aims): (Vec<_>, Vec<_>, Vec<_>) = (one, other, aims);
                let edges = edges(&entry, &shape);
                let p = entry.predictions(&shape, &one, edges);
                let q = entry.predictions(&shape, &other, edges);
                let t = entry.targets(&loss, form, &shape, &aims);
                property(&entry, &loss, [&p, &q], &t)
            };
            check(file!(), &name, CASES, &strategy, cases);
        }
    }
}

fn losses_are_not_negative<F: Number>() {
    for_all::<F>(Entry::edges, |entry, loss, predictions, t| {
        for p in predictions {
            let p = match entry.domain {
                Domain::Scores => p.clone(),
                // what is outside has a loss of its own, or none
                Domain::Probabilities => p.mapv(|p| {
                    if p > F::zero() {
                        p.min(F::one())
                    } else {
                        F::zero()
                    }
                }),
            };
            let losses = expected("loss", loss.loss(p.view(), t.view()))?;
            let negative = losses.iter().find(|&&l| l < F::zero());
            prop_assert!(negative.is_none(), "a loss of {negative:?}");
        }
        Ok(())
    });
}

/// The log-odds of a probability are neither convex nor concave.
fn is_convex<F>(entry: &Entry<F>) -> bool {
    !(entry.name.starts_with("binary_hinge_loss") && entry.domain == Domain::Probabilities)
}

/// Between two predictions the loss is at most what a straight line says, up to the rounding of the prediction in the
/// middle and of the three losses.
fn losses_are_convex<F: Number>() {
    let never = |_: &Entry<F>, _: &[usize]| Edges::Never;
    for_all::<F>(never, |entry, loss, [p, q], t| {
        if !is_convex(entry) {
            return Ok(());
        }
        let half = F::of(0.5);
        let middle = Zip::from(p)
            .and(q)
            .map_collect(|&p, &q| half * p + half * q);
        let of = |p: &ArrayD<F>| expected("loss", loss.loss_and_gradient(p.view(), t.view()));
        let ((at_p, _), (at_q, _)) = (of(p)?, of(q)?);
        let (between, slopes) = of(&middle)?;
        let moved = Zip::from(&middle)
            .and(&slopes)
            .map_collect(|&m, &slope| (m.wide() * slope.wide()).abs());
        let moved = if loss.is_itemwise() {
            moved.sum_axis(Axis(moved.ndim() - 1))
        } else {
            moved
        };
        let rounding = F::epsilon().wide();
        for (index, &value) in between.indexed_iter() {
            let chord = (at_p[&index].wide() + at_q[&index].wide()) / 2.0;
            let slack = rounding * (2.0 * moved[&index] + 8.0 * (chord + value.wide()));
            prop_assert!(
                value.wide() <= chord + slack,
                "{value:?} at {index:?}, above {chord}"
            );
        }
        Ok(())
    });
}

fn vectors<F: Number>(n: usize) -> impl Strategy<Value = Array1<F>> {
    proptest::collection::vec(-50.0..50.0_f64, n)
        .prop_map(|numbers| numbers.into_iter().map(F::of).collect())
}

/// δ beyond every error: ½·e², to the bit.
fn a_wide_huber_loss_is_half_the_squared_error<F: Number>() {
    let strategy = (vectors::<F>(100), vectors::<F>(100));
    check(file!(), "huber_loss", CASES, &strategy, |(p, t)| {
        let huber = expected("new", HuberLoss::new(F::of(1e3)))?;
        let (wide, slopes) = expected("huber", huber.loss_and_gradient(&p, &t))?;
        let (squared, twice) = expected("squared", SquaredError.loss_and_gradient(&p, &t))?;
        let two = F::of(2.0);
        same_bits("loss", &wide.mapv(|l| l * two), &squared)?;
        same_bits("gradient", &slopes.mapv(|g| g * two), &twice)
    });
}

/// A softmax over the logits (0, x) is a sigmoid of x.
fn two_classes_are_the_binary_case<F: Number>() {
    let shares = proptest::collection::vec(0.0..=1.0_f64, 100);
    let strategy = (vectors::<F>(100), shares, any::<bool>());
    let name = "two classes";
    check(file!(), name, CASES, &strategy, |(x, shares, is_hard)| {
        let t: Array1<F> = shares
            .into_iter()
            .map(|t| F::of(if is_hard { t.round() } else { t }))
            .collect();
        let zeros = Array1::zeros(x.len());
        let logits = expected_stack(&zeros, &x)?;
        let rows = expected_stack(&t.mapv(|t| F::one() - t), &t)?;
        let softmax = CategoricalCrossentropyWithLogits::<F>::default();
        let sigmoid = BinaryCrossentropyWithLogits::<F>::default();
        let (losses, slopes) = expected("rows", softmax.loss_and_gradient(&logits, &rows))?;
        let (binary, of_x) = expected("binary", sigmoid.loss_and_gradient(&x, &t))?;
        // Both are within their own bounds of the same number; 1 − t rounds before either sees it.
        let slack = 16.0 * F::epsilon().wide();
        for (index, (&a, &b)) in losses.iter().zip(&binary).enumerate() {
            let close = (a.wide() - b.wide()).abs() <= slack * b.wide().max(x[index].wide().abs());
            prop_assert!(close, "{a:?}, not {b:?}, at {index}");
        }
        for (&a, &b) in slopes.column(1).iter().zip(&of_x) {
            prop_assert!((a.wide() - b.wide()).abs() <= slack, "{a:?}, not {b:?}");
        }
        Ok(())
    });
}

fn expected_stack<F: Number>(
    left: &Array1<F>,
    right: &Array1<F>,
) -> Result<ndarray::Array2<F>, TestCaseError> {
    stack(Axis(1), &[left.view(), right.view()])
        .map_err(|error| TestCaseError::fail(error.to_string()))
}
