//! Gradients against central differences of the loss, and the documented subgradients at the kinks.

use std::cell::Cell;

use crate::catalogue::{
    Aim, Domain, Edges, Entry, Form, Loss, Number, Raw, Targets, catalogue, check, expected,
    raw_strategy,
};
use ndarray::{ArrayD, Axis, arr1};
use ndarray_loss::{
    BinaryLabels, LossError, Scores, binary_hinge_loss, binary_hinge_loss_gradient, huber_loss,
    huber_loss_gradient, multiclass_hinge_loss, multiclass_hinge_loss_gradient,
    squared_error_gradient,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const CASES: u32 = 24;

#[test]
fn differences_in_f64() {
    differences::<f64>(f64::powi(2.0, -10));
}

#[test]
fn differences_in_f32() {
    differences::<f32>(f64::powi(2.0, -5));
}

/// Checks the whole catalogue with a step of this part of the distance to the end of the domain.
fn differences<F: Number>(step: f64) {
    for entry in catalogue::<F>() {
        for &form in entry.aim.forms() {
            let name = format!("{} of {} targets, {}", entry.name, F::NAME, form_name(form));
            let counts = Counts::default();
            let least = entry.min_classes.max(1);
            let strategy = (
                entry.any.clone(),
                1..4_usize,
                least..least + 6,
                raw_strategy(24),
                raw_strategy(24),
            );
            check(
                file!(),
                &name,
                CASES,
                &strategy,
                |(loss, items, classes, scores, aims)| {
                    let point = Point {
                        p: entry.predictions(&[items, classes], &scores, Edges::Never),
                        t: entry.targets(&loss, form, &[items, classes], &aims),
                        loss,
                        step,
                        domain: entry.domain,
                    };
                    point.check(&counts)
                },
            );
            counts.finish(&name);
        }
    }
}

fn form_name(form: Form) -> String {
    format!("{form:?}").to_lowercase()
}

/// How many derivatives were compared, and how many were too near to a kink.
#[derive(Default)]
struct Counts {
    compared: Cell<usize>,
    skipped: Cell<usize>,
}

impl Counts {
    fn finish(&self, name: &str) {
        let (compared, skipped) = (self.compared.get(), self.skipped.get());
        assert!(
            skipped * 8 <= compared,
            "{name}: {skipped} skipped, only {compared} compared"
        );
    }
}

/// Where a loss is differentiated.
struct Point<F> {
    loss: Loss<F>,
    p: ArrayD<F>,
    t: Targets<F>,
    step: f64,
    domain: Domain,
}

/// What the loss says about a derivative, and how far from it that may be.
struct Estimate {
    derivative: f64,
    tolerance: f64,
    /// f(h) − 2f(0) + f(−h)
    second_difference: f64,
}

impl<F: Number> Point<F> {
    fn check(&self, counts: &Counts) -> TestCaseResult {
        let gradient = expected("gradient", self.loss.gradient(self.p.view(), self.t.view()))?;
        for index in 0..self.p.len() {
            let (Some(&p), Some(&got)) = (self.p.iter().nth(index), gradient.iter().nth(index))
            else {
                return Err(TestCaseError::fail("the gradient has another shape"));
            };
            let scale = match self.domain {
                Domain::Scores => 1.0,
                Domain::Probabilities => p.wide().min(1.0 - p.wide()),
            };
            let coarse = self.estimate(index, p, scale, self.step)?;
            let fine = self.estimate(index, p, scale, self.step / 2.0)?;
            if !smooth(&coarse, &fine, self.step, scale) {
                counts.skipped.set(counts.skipped.get() + 1);
                continue;
            }
            counts.compared.set(counts.compared.get() + 1);
            let want = fine.derivative;
            let allowed = coarse.tolerance + 2.0 * fine.tolerance;
            prop_assert!(
                (got.wide() - want).abs() <= allowed,
                "{:?}: p[{index}] = {p}: gradient {got}, difference quotient {want} ± {allowed:e}",
                self.loss,
            );
        }
        Ok(())
    }

    /// The fourth-order central difference.
    fn estimate(
        &self,
        index: usize,
        p: F,
        scale: f64,
        step: f64,
    ) -> Result<Estimate, TestCaseError> {
        let h = step * scale;
        let mut values = [0.0; 5];
        for (value, steps) in values.iter_mut().zip([-2.0, -1.0, 0.0, 1.0, 2.0]) {
            *value = self.value(index, F::of(p.wide() + steps * h))?;
        }
        let [f_2, f_1, f0, f1, f2] = values;
        let derivative = (8.0 * (f1 - f_1) - (f2 - f_2)) / (12.0 * h);
        // Errors of the values: 8 ULP of loss and operands (δ ≤ 10 among them), and the rounding of p + h. Their
        // weights in the quotient add up to 3/2.
        let largest = values
            .iter()
            .fold(10.0, |largest: f64, f| largest.max(f.abs()));
        let operands = largest + p.wide().abs() * (1.0 + derivative.abs());
        let rounding = 12.0 * F::epsilon().wide() * operands / h;
        // h⁴f⁗′/30, where f⁗′ is at most that of 20·ln p.
        let truncation = 16.0 * step.powi(4) / scale;
        Ok(Estimate {
            derivative,
            tolerance: rounding + truncation,
            second_difference: f1 - 2.0 * f0 + f_1,
        })
    }

    /// The loss that the element belongs to, with another prediction there.
    fn value(&self, index: usize, p: F) -> Result<f64, TestCaseError> {
        let mut moved = self.p.clone();
        let row = moved.shape().last().copied().unwrap_or(1);
        if let Some(element) = moved.iter_mut().nth(index) {
            *element = p;
        }
        let losses = expected("loss", self.loss.loss(moved.view(), self.t.view()))?;
        let position = if self.loss.is_itemwise() {
            index / row
        } else {
            index
        };
        Ok(losses.iter().nth(position).map_or(f64::NAN, |l| l.wide()))
    }
}

/// Whether two steps see the same function; around a kink they do not. Only the loss is asked, not the gradient.
fn smooth(coarse: &Estimate, fine: &Estimate, step: f64, scale: f64) -> bool {
    let tolerance = coarse.tolerance + fine.tolerance;
    let bend = (coarse.second_difference - 4.0 * fine.second_difference).abs() / (step * scale);
    (coarse.derivative - fine.derivative).abs() <= tolerance
        && bend <= 2.0 * tolerance + 20.0 * step.powi(3) / scale
}

proptest! {
    #[test]
    fn huber_at_delta(delta in 1e-3..1e3_f64) {
        let p = [delta, -delta, 0.0];
        let gradient = expected("gradient", huber_loss_gradient(&p, &[0.0; 3], delta))?;
        prop_assert_eq!(gradient, arr1(&p));
        let loss = expected("loss", huber_loss(&p, &[0.0; 3], delta))?;
        let half = 0.5 * delta * delta;
        prop_assert!((loss[0] - half).abs() <= 1e-15 * half, "{} is not {half}", loss[0]);
    }

    #[test]
    fn squared_error_at_the_target(t in -1e3..1e3_f64) {
        prop_assert_eq!(expected("gradient", squared_error_gradient(&[t], &[t]))?, arr1(&[0.0]));
    }

    #[test]
    fn binary_hinge_at_the_margin(delta in 0.0..1e3_f64) {
        for (labels, targets) in [(BinaryLabels::ZeroOne, [1, 0]), (BinaryLabels::PlusMinusOne, [1, -1])] {
            let p = [delta, -delta];
            let hinge = binary_hinge_loss(&p, &targets, delta, Scores::LogOdds, labels);
            prop_assert_eq!(expected("loss", hinge)?, arr1(&[0.0, 0.0]));
            let hinge = binary_hinge_loss_gradient(&p, &targets, delta, Scores::LogOdds, labels);
            prop_assert_eq!(expected("gradient", hinge)?, arr1(&[0.0, 0.0]));
        }
    }

    #[test]
    fn multiclass_hinge_at_the_margin(steps in 0..4096_u32, own in -64..64_i32, classes in 2..600_usize) {
        // All numbers are multiples of 1/64: the margin is met exactly.
        let (delta, own) = (f64::from(steps) / 64.0, f64::from(own));
        let mut row = ArrayD::from_elem(vec![1, classes], own - delta);
        row[[0, 0]] = own;
        let labels = arr1(&[0]).into_dyn();
        let loss = expected("loss", multiclass_hinge_loss(&row, &labels, delta))?;
        prop_assert_eq!(loss[[0]], 0.0);
        let gradient = expected("gradient", multiclass_hinge_loss_gradient(&row, &labels, delta))?;
        prop_assert!(gradient.iter().all(|&g| g == 0.0), "{gradient}");
    }

    #[test]
    fn multiclass_hinge_ties_go_to_the_lowest_class(classes in 3..600_usize, raw: Raw, other: Raw) {
        let label = (raw % classes as u64) as usize;
        let lowest = (other % (classes as u64 - 1)) as usize;
        let first_rival = (lowest..classes).find(|&class| class != label);
        let Some(first_rival) = first_rival else { return Ok(()) };
        // From the first rival on, all score the same.
        let row = ArrayD::from_shape_fn(vec![1, classes], |index| if index[1] < lowest { -1.0 } else { 2.0 });
        let labels = arr1(&[label as u32]).into_dyn();
        let gradient = expected("gradient", multiclass_hinge_loss_gradient(&row, &labels, 1.0))?;
        for (class, &g) in gradient.index_axis(Axis(0), 0).iter().enumerate() {
            let want = if class == label { -1.0 } else if class == first_rival { 1.0 } else { 0.0 };
            prop_assert_eq!(g, want, "class {} of {}, label {}", class, classes, label);
        }
    }
}

/// The entry's kink in probabilities: log-odds of 0 at one half, where δ is 0.
#[test]
fn binary_hinge_of_probabilities_at_one_half() -> Result<(), LossError> {
    let (scores, labels) = (Scores::Probabilities, BinaryLabels::ZeroOne);
    for target in [0, 1] {
        let gradient = binary_hinge_loss_gradient(&[0.5], &[target], 0.0, scores, labels)?;
        assert_eq!(gradient, arr1(&[0.0]), "target {target}");
    }
    Ok(())
}

#[test]
fn every_aim_is_in_the_catalogue() {
    let entries: Vec<Entry<f64>> = catalogue();
    let aims = [
        Aim::Number,
        Aim::ZeroOne,
        Aim::PlusMinusOne,
        Aim::Class,
        Aim::Distribution,
    ];
    for aim in aims {
        assert!(entries.iter().any(|entry| entry.aim == aim), "{aim:?}");
    }
}
