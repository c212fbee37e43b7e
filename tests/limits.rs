//! Values at the edges: what the crate promises of them, line by line.
//!
//! That the tables in the documentation say the same is enforced in `limits_in_docs.rs`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fmt::Debug;

use ndarray::{Array1, Array2, Axis, array};
use ndarray_loss::*;
use support::{Bits, WithElementwise, every_elementwise_loss, ulps};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Fails unless the number is the expected one, as rounded to its type; zeros of either sign are equal.
#[track_caller]
fn assert_is<F: Bits>(case: &str, computed: F, expected: f64) {
    let rounded = F::of(expected);
    let distance = ulps(computed, rounded);
    let allowed = u64::from(expected.fract() != 0.0); // whole numbers and limits are exact
    assert!(
        distance <= allowed,
        "{case}, {}: {computed:?} instead of {rounded:?}",
        F::NAME
    );
}

/// Prediction, target, loss, gradient.
type Point = (f64, f64, f64, f64);

/// An element alone and among others that fill whole registers.
fn check_elementwise<F: Bits>(name: &str, loss: impl ElementwiseLoss<F>, points: &[Point]) {
    for &(p, t, value, slope) in points {
        for n in [1, 67] {
            let case = format!("{name}: p = {p}, t = {t}, one of {n}");
            let (p, t) = (
                Array1::from_elem(n, F::of(p)),
                Array1::from_elem(n, F::of(t)),
            );
            let (values, slopes) = loss.loss_and_gradient(&p, &t).unwrap();
            for i in [0, n - 1] {
                assert_is(&format!("loss of {case}"), values[i], value);
                assert_is(&format!("gradient of {case}"), slopes[i], slope);
            }
        }
    }
}

/// A loss of the crate called as a user's is: its functions of one element give the bits of the arrays.
struct OneElement<'a, F> {
    predictions: &'a Array1<F>,
    targets: &'a Array1<F>,
}

impl<F: Bits> WithElementwise<F> for OneElement<'_, F> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let (losses, gradient) = loss
            .loss_and_gradient(self.predictions, self.targets)
            .unwrap();
        let inputs = self.predictions.iter().zip(self.targets);
        for ((&p, &t), (&value, &slope)) in inputs.zip(losses.iter().zip(&gradient)) {
            let case = format!("{name}, {}: p = {p:?}, t = {t:?}", F::NAME);
            let same = |a: F, b: F| a.bits() == b.bits() || (a.is_nan() && b.is_nan());
            let both = loss.value_and_derivative(p, t);
            for (what, got, want) in [
                ("value", loss.value(p, t), value),
                ("derivative", loss.derivative(p, t), slope),
                ("value of both", both.0, value),
                ("derivative of both", both.1, slope),
            ] {
                assert!(
                    same(got, want),
                    "{case}: {what} {got:?}, in arrays {want:?}"
                );
            }
        }
    }
}

/// Scores, targets, loss, gradient.
struct Item<'a> {
    scores: &'a [f64],
    targets: &'a [f64],
    loss: f64,
    gradient: &'a [f64],
}

/// Shorthand for an [`Item`].
fn item<'a>(scores: &'a [f64], targets: &'a [f64], loss: f64, gradient: &'a [f64]) -> Item<'a> {
    Item {
        scores,
        targets,
        loss,
        gradient,
    }
}

fn rows_of<F: Bits>(row: &[f64], n: usize) -> Array2<F> {
    Array2::from_shape_fn((n, row.len()), |(_, j)| F::of(row[j]))
}

/// An item alone and among others, with rows of targets and, where they are one-hot, with labels.
fn check_itemwise<F: Bits>(name: &str, loss: impl ItemwiseLoss<F>, items: &[Item<'_>]) {
    for &Item {
        scores,
        targets,
        loss: value,
        gradient,
    } in items
    {
        for n in [1, 67] {
            let (p, t) = (rows_of::<F>(scores, n), rows_of::<F>(targets, n));
            let case = format!("{name}: {scores:?} for {targets:?}, one of {n}");
            let mut answers = vec![("rows", loss.loss_and_gradient(&p, &t).unwrap())];
            let ones: Vec<_> = targets.iter().filter(|&&t| t != 0.0).collect();
            if ones == [&1.0] {
                let label = targets.iter().position(|&t| t == 1.0).unwrap();
                let labels = Array1::from_elem(n, label);
                answers.push(("labels", loss.loss_and_gradient(&p, &labels).unwrap()));
            }
            for (form, (values, slopes)) in answers {
                assert_is(&format!("loss of {case}, {form}"), values[n - 1], value);
                for (j, &slope) in gradient.iter().enumerate() {
                    assert_is(
                        &format!("gradient of class {j} of {case}, {form}"),
                        slopes[[n - 1, j]],
                        slope,
                    );
                }
            }
        }
    }
}

/// Runs a test of both types.
macro_rules! of_both_types {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn of_f32() {
                super::checks::$test::<f32>();
            }
            #[test]
            fn of_f64() {
                super::checks::$test::<f64>();
            }
        }
    )*};
}

of_both_types! {
    nan_stays_in_its_element
    nan_anywhere_in_a_row
    zero_targets
    binary_crossentropies
    categorical_crossentropies
    huber_losses
    binary_hinges
    multiclass_hinges
    binary_logits
    categorical_logits
    accuracies
    ignored_items
    functions_of_one_element
}

mod checks {
    use super::*;

    pub(super) fn functions_of_one_element<F: Bits>() {
        let predictions = [
            -INF, -1e30, -40.0, -1.5, -1.0, -0.3, -0.0, 0.0, 1e-30, 0.2, 0.5, 0.7, 1.0, 1.25, 3.0,
            90.0, 1e30, INF, NAN,
        ];
        let (mut p, mut t) = (Vec::new(), Vec::new());
        for prediction in predictions {
            for target in [0.0, 1.0, 0.3, -1.0, NAN] {
                p.push(F::of(prediction));
                t.push(F::of(target));
            }
        }
        every_elementwise_loss(&mut OneElement {
            predictions: &p.into(),
            targets: &t.into(),
        });
    }

    pub(super) fn nan_stays_in_its_element<F: Bits>() {
        let (mut p, mut t) = (
            Array1::from_elem(70, F::of(0.25)),
            Array1::from_elem(70, F::one()),
        );
        (p[3], t[40]) = (F::nan(), F::nan());
        let (values, slopes) = BinaryCrossentropy.loss_and_gradient(&p, &t).unwrap();
        for (i, (value, slope)) in values.iter().zip(&slopes).enumerate() {
            let expected = i == 3 || i == 40;
            assert_eq!(value.is_nan(), expected, "loss {i} is {value}");
            assert_eq!(slope.is_nan(), expected, "gradient {i} is {slope}");
        }
        for points in [
            [(NAN, 1.0, NAN, NAN)],
            [(0.5, NAN, NAN, NAN)],
            [(NAN, 0.0, NAN, NAN)],
        ] {
            check_elementwise::<F>("squared error", SquaredError, &points);
            check_elementwise("huber", HuberLoss::<F>::default(), &points);
            check_elementwise::<F>("bce", BinaryCrossentropy, &points);
            check_elementwise(
                "bce from logits",
                BinaryCrossentropyWithLogits::<F>::default(),
                &points,
            );
            for scores in [Scores::LogOdds, Scores::Probabilities] {
                let hinge = BinaryHingeLoss::new(F::one(), scores, BinaryLabels::ZeroOne).unwrap();
                check_elementwise("hinge", hinge, &points);
            }
        }
    }

    pub(super) fn nan_anywhere_in_a_row<F: Bits>() {
        let all = [NAN; 3];
        for scores in [[NAN, 1.0, 2.0], [1.0, NAN, -INF], [1.0, 0.0, NAN]] {
            let items = [item(&scores, &[0.0, 1.0, 0.0], NAN, &all)];
            check_itemwise("hinge", MulticlassHingeLoss::<F>::default(), &items);
            check_itemwise(
                "from logits",
                CategoricalCrossentropyWithLogits::<F>::default(),
                &items,
            );
            check_itemwise(
                "smoothed",
                CategoricalCrossentropyWithLogits::default()
                    .label_smoothing(F::of(0.5))
                    .unwrap(),
                &items,
            );
        }
        // In a row of its own: the neighbours stay as they are.
        for classes in [3, 300] {
            let mut p = Array2::from_elem((40, classes), F::zero());
            p[[7, classes - 1]] = F::nan();
            let (values, slopes) = CategoricalCrossentropyWithLogits::default()
                .loss_and_gradient(&p, &[0; 40])
                .unwrap();
            for (i, row) in slopes.axis_iter(Axis(0)).enumerate() {
                assert_eq!(
                    values[i].is_nan(),
                    i == 7,
                    "{classes} classes, loss {i}: {}",
                    values[i]
                );
                assert_eq!(
                    row.iter().all(|x| x.is_nan()),
                    i == 7,
                    "{classes} classes, row {i}: {row}"
                );
                assert_eq!(
                    row.iter().any(|x| x.is_nan()),
                    i == 7,
                    "{classes} classes, row {i}: {row}"
                );
            }
        }
    }

    pub(super) fn zero_targets<F: Bits>() {
        let log = -(0.25_f64.ln());
        check_itemwise::<F>(
            "cross-entropy",
            CategoricalCrossentropy,
            &[
                item(&[0.0, 0.25, 0.75], &[0.0, 1.0, 0.0], log, &[0.0, -4.0, 0.0]),
                item(&[NAN, 0.25, 0.75], &[0.0, 1.0, 0.0], log, &[0.0, -4.0, 0.0]),
                item(&[INF, -1.0, 0.25], &[0.0, 0.0, 1.0], log, &[0.0, 0.0, -4.0]),
                item(&[NAN, NAN, NAN], &[0.0, 0.0, 0.0], 0.0, &[0.0, 0.0, 0.0]),
            ] as &[Item<'_>],
        );
        // A target weight of 0: the positive class is as if it were not there.
        let unweighted = BinaryCrossentropyWithLogits::default()
            .pos_weight(F::zero())
            .unwrap();
        check_elementwise(
            "pos_weight 0",
            unweighted,
            &[
                (-INF, 1.0, 0.0, 0.0),
                (3.0, 1.0, 0.0, 0.0),
                (INF, 1.0, 0.0, 0.0),
            ],
        );
    }

    pub(super) fn binary_crossentropies<F: Bits>() {
        check_elementwise::<F>(
            "binary cross-entropy",
            BinaryCrossentropy,
            &[
                (-1e-30, 0.0, NAN, NAN),
                (-1e-30, 1.0, NAN, NAN),
                (1.0 + F::epsilon().exactly(), 0.5, NAN, NAN),
                (1.5, 0.0, NAN, NAN),
                (1.5, 1.0, NAN, NAN),
                (-INF, 0.0, NAN, NAN),
                (INF, 1.0, NAN, NAN),
                (0.0, 1.0, INF, -INF),
                (1.0, 1.0, 0.0, -1.0),
                (0.0, 0.0, 0.0, 1.0),
                (1.0, 0.0, INF, INF),
                (0.0, 0.25, INF, -INF),
                (0.0, 1e-30, INF, -INF),
                (1.0, 0.75, INF, INF),
                // t outside [0, 1]: −2 ln ¼ + ln ¾ …
                (
                    0.25,
                    2.0,
                    -2.0 * 0.25_f64.ln() + 0.75_f64.ln(),
                    -1.75 / 0.1875,
                ),
                (0.5, -1.0, 0.5_f64.ln() - 2.0 * 0.5_f64.ln(), 6.0),
            ],
        );
    }

    pub(super) fn categorical_crossentropies<F: Bits>() {
        let ln2 = 2.0_f64.ln();
        check_itemwise::<F>(
            "categorical cross-entropy",
            CategoricalCrossentropy,
            &[
                item(&[-0.5, 1.0], &[1.0, 0.0], NAN, &[NAN, 0.0]),
                item(&[-0.5, 1.0], &[0.0, 1.0], 0.0, &[0.0, -1.0]),
                item(&[-0.5, 0.5], &[0.5, 0.5], NAN, &[NAN, -1.0]),
                item(&[2.0, 0.5], &[1.0, 0.0], -ln2, &[-0.5, 0.0]),
                item(&[0.0, 1.0], &[1.0, 0.0], INF, &[-INF, 0.0]),
                item(&[0.5, 0.5], &[-1.0, 0.0], -ln2, &[2.0, 0.0]),
                item(&[0.5, 0.5], &[3.0, 1.0], 4.0 * ln2, &[-6.0, -2.0]),
                item(&[0.5, NAN], &[1.0, 1.0], NAN, &[-2.0, NAN]),
            ],
        );
    }

    pub(super) fn huber_losses<F: Bits>() {
        let max = F::max_value().exactly();
        let delta = HuberLoss::new(F::of(2.0)).unwrap();
        check_elementwise(
            "huber, δ = 2",
            delta,
            &[
                (INF, 0.0, INF, 2.0),
                (-INF, 0.0, INF, -2.0),
                (0.0, INF, INF, -2.0),
                (INF, INF, NAN, NAN),
                (-INF, -INF, NAN, NAN),
                (INF, -INF, INF, 2.0),
                (2.0, 0.0, 2.0, 2.0),
                (-2.0, 0.0, 2.0, -2.0),
                (3.0, 0.0, 4.0, 2.0),
            ],
        );
        let small = HuberLoss::new(F::of(0.5)).unwrap();
        check_elementwise(
            "huber, δ = ½",
            small,
            &[(max, 0.0, max / 2.0, 0.5), (-max, 0.0, max / 2.0, -0.5)],
        );
        // 2^k · (2^k − …): the square would overflow, the result does not.
        let root = F::max_value().sqrt().exactly() * 0.5;
        let wide = HuberLoss::new(F::of(1.0)).unwrap();
        check_elementwise(
            "huber, δ = 1",
            wide,
            &[(root.trunc() * 4.0, 0.0, root.trunc() * 4.0 - 0.5, 1.0)],
        );
    }

    pub(super) fn binary_hinges<F: Bits>() {
        let hinge = |delta, scores| {
            BinaryHingeLoss::new(F::of(delta), scores, BinaryLabels::ZeroOne).unwrap()
        };
        check_elementwise(
            "hinge of log-odds",
            hinge(1.0, Scores::LogOdds),
            &[
                (1.0, 1.0, 0.0, 0.0),
                (-1.0, 0.0, 0.0, 0.0),
                (0.0, 1.0, 1.0, -1.0),
                (0.0, 0.0, 1.0, 1.0),
                (5.0, 0.5, 1.0, 0.0),
                (INF, 1.0, 0.0, 0.0),
                (-INF, 1.0, INF, -1.0),
                (INF, 0.0, INF, 1.0),
            ],
        );
        check_elementwise(
            "hinge of probabilities",
            hinge(2.0, Scores::Probabilities),
            &[
                (0.0, 1.0, INF, -INF),
                (1.0, 0.0, INF, INF),
                (1.0, 1.0, 0.0, 0.0),
                (0.0, 0.0, 0.0, 0.0),
                (0.0, 0.5, 2.0, 0.0),
                (1.0, 0.5, 2.0, 0.0),
                (0.25, 0.5, 2.0, 0.0),
                (0.5, 1.0, 2.0, -4.0),
                (-1e-30, 0.0, NAN, NAN),
                (1.5, 1.0, NAN, NAN),
                (1.5, 0.5, NAN, NAN),
            ],
        );
        check_elementwise(
            "margin 0",
            hinge(0.0, Scores::LogOdds),
            &[(0.0, 1.0, 0.0, 0.0), (-0.0, 0.0, 0.0, 0.0)],
        );
    }

    pub(super) fn multiclass_hinges<F: Bits>() {
        let first = [1.0, 0.0, 0.0];
        check_itemwise(
            "multiclass hinge",
            MulticlassHingeLoss::<F>::default(),
            &[
                item(&[2.0, 1.0, 0.0], &first, 0.0, &[0.0, 0.0, 0.0]),
                item(&[1.0, 1.0, 1.0], &first, 1.0, &[-1.0, 1.0, 0.0]),
                item(&[3.0, 3.0, 0.0], &[0.0, 0.0, 1.0], 4.0, &[1.0, 0.0, -1.0]),
                item(&[0.0, -INF, -INF], &first, 0.0, &[0.0, 0.0, 0.0]),
                item(&[-INF, 0.0, -INF], &first, INF, &[-1.0, 1.0, 0.0]),
                item(&[0.0, INF, INF], &first, INF, &[-1.0, 1.0, 0.0]),
                item(&[INF, 0.0, 1.0], &first, 0.0, &[0.0, 0.0, 0.0]),
                item(&[INF, INF, 0.0], &first, NAN, &[NAN, NAN, NAN]),
                item(&[-INF, -INF, -INF], &first, NAN, &[NAN, NAN, NAN]),
            ],
        );
    }

    pub(super) fn binary_logits<F: Bits>() {
        let loss = BinaryCrossentropyWithLogits::<F>::default();
        check_elementwise(
            "from logits",
            loss,
            &[
                (INF, 1.0, 0.0, 0.0),
                (INF, 0.0, INF, 1.0),
                (INF, 0.25, INF, 0.75),
                (-INF, 0.0, 0.0, 0.0),
                (-INF, 1.0, INF, -1.0),
                (-INF, 0.25, INF, -0.25),
                (0.0, 1.0, 2.0_f64.ln(), -0.5),
                (0.0, 0.5, 2.0_f64.ln(), 0.0),
            ],
        );
        let weighted = loss.pos_weight(F::of(2.0)).unwrap();
        check_elementwise(
            "weighted",
            weighted,
            &[
                (-INF, 1.0, INF, -2.0),
                (INF, 1.0, 0.0, 0.0),
                (INF, 0.25, INF, 0.75),
            ],
        );
        let smoothed = loss.label_smoothing(F::of(0.5)).unwrap();
        check_elementwise(
            "smoothed",
            smoothed,
            &[(INF, 1.0, INF, 0.25), (-INF, 0.0, INF, -0.25)],
        );
    }

    pub(super) fn categorical_logits<F: Bits>() {
        let ln2 = 2.0_f64.ln();
        let loss = CategoricalCrossentropyWithLogits::<F>::default();
        check_itemwise(
            "from logits",
            loss,
            &[
                item(&[0.0, 0.0, -INF], &[1.0, 0.0, 0.0], ln2, &[-0.5, 0.5, 0.0]),
                item(&[0.0, -INF, -INF], &[1.0, 0.0, 0.0], 0.0, &[0.0, 0.0, 0.0]),
                item(&[-INF, 0.0, 0.0], &[1.0, 0.0, 0.0], INF, &[-1.0, 0.5, 0.5]),
                item(&[-INF, -INF, -INF], &[1.0, 0.0, 0.0], NAN, &[NAN, NAN, NAN]),
                item(&[INF, 0.0, 0.0], &[1.0, 0.0, 0.0], NAN, &[NAN, NAN, NAN]),
                item(&[0.0, INF, 0.0], &[1.0, 0.0, 0.0], NAN, &[NAN, NAN, NAN]),
                // (Σt)·softmax − t
                item(
                    &[0.0, 0.0, -INF],
                    &[3.0, 1.0, 0.0],
                    4.0 * ln2,
                    &[-1.0, 1.0, 0.0],
                ),
                item(&[0.0, 0.0, -INF], &[0.0, 0.0, 0.0], 0.0, &[0.0, 0.0, 0.0]),
                item(
                    &[0.0, 0.0, -INF],
                    &[0.5, 0.0, 0.0],
                    0.5 * ln2,
                    &[-0.25, 0.25, 0.0],
                ),
                item(&[-INF, 0.0, 0.0], &[0.5, 0.5, 0.0], INF, &[-0.5, 0.0, 0.5]),
            ],
        );
    }

    pub(super) fn accuracies<F: Bits>() {
        let half = F::of(0.5);
        for (p, t, right) in [
            (0.5, 1.0, 1.0),
            (0.5, 0.0, 0.0),
            (0.499, 0.0, 1.0),
            (0.75, 0.75, 0.0),
            (INF, 1.0, 1.0),
            (-INF, 0.0, 1.0),
            (NAN, 0.0, 0.0),
            (NAN, 1.0, 0.0),
            (0.75, NAN, 0.0),
        ] {
            let answer = binary_accuracy(&array![F::of(p)], &array![F::of(t)], half).unwrap();
            assert_is(&format!("binary accuracy of {p} for {t}"), answer[0], right);
        }
        for (scores, targets, top_k, right) in [
            ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], 1, 1.0),
            ([1.0, 1.0, 0.0], [0.0, 1.0, 0.0], 1, 0.0),
            ([1.0, 1.0, 0.0], [0.0, 1.0, 0.0], 2, 1.0),
            ([1.0, 1.0, 1.0], [0.0, 0.0, 1.0], 2, 0.0),
            ([1.0, 1.0, 1.0], [0.0, 0.0, 1.0], 3, 1.0),
            ([0.0, 1.0, 0.0], [0.25, 0.5, 0.5], 1, 1.0), // a tie in the target row: the lower class
            ([0.0, 0.0, 1.0], [0.25, 0.5, 0.5], 1, 0.0),
            ([NAN, 0.0, 0.0], [1.0, 0.0, 0.0], 3, 0.0),
            ([NAN, 0.0, -1.0], [0.0, 1.0, 0.0], 1, 1.0),
            ([NAN, -INF, -INF], [1.0, 0.0, 0.0], 1, 0.0),
            ([NAN, -INF, -INF], [0.0, 1.0, 0.0], 1, 1.0),
            ([NAN, -INF, -INF], [0.0, 0.0, 1.0], 1, 0.0),
            ([NAN, NAN, -INF], [0.0, 0.0, 1.0], 1, 1.0),
            ([0.0, 0.0, 1.0], [NAN, 0.0, 1.0], 3, 0.0),
        ] {
            for n in [1, 67] {
                let (p, t) = (rows_of::<F>(&scores, n), rows_of::<F>(&targets, n));
                let case = format!("top-{top_k} of {scores:?} for {targets:?}, one of {n}");
                let answer = categorical_accuracy(&p, &t, top_k).unwrap();
                assert_is(&case, answer[n - 1], right);
            }
        }
    }

    pub(super) fn ignored_items<F: Bits>() {
        let loss = CategoricalCrossentropyWithLogits::<F>::default().ignore_label(-100);
        let p = array![
            [F::nan(), F::infinity()],
            [F::zero(), F::zero()],
            [F::nan(), F::zero()]
        ];
        let labels = [-100, 1, -100];
        let ln2 = F::of(2.0).ln_once();
        let (values, slopes) = loss.loss_and_gradient(&p, &labels).unwrap();
        assert_eq!(values, array![F::zero(), ln2, F::zero()]);
        let half = F::of(0.5);
        assert_eq!(
            slopes,
            array![[F::zero(); 2], [half, -half], [F::zero(); 2]]
        );
        assert_eq!(
            loss.objective(&p, &labels, Aggregate::Mean),
            Ok(ln2),
            "the mean counts one item"
        );
        let mask = [true, true, false];
        assert_eq!(
            loss.objective(&p, &labels, Aggregate::masked_mean(&mask)),
            Ok(ln2),
            "of two kept, one counts"
        );
        let weights = [F::one(); 3];
        let weighted = loss
            .objective(&p, &labels, Aggregate::weighted_mean(&weights))
            .unwrap();
        assert_is(
            "weighted_mean counts every element",
            weighted,
            2.0_f64.ln() / 3.0,
        );
        let (_, slopes) = loss
            .objective_and_gradient(&p, &labels, Aggregate::Mean)
            .unwrap();
        assert_eq!(
            slopes,
            array![[F::zero(); 2], [half, -half], [F::zero(); 2]]
        );
    }
}

/// ln by an unambiguous name.
trait Ln {
    fn ln_once(self) -> Self;
}

impl<F: Bits> Ln for F {
    fn ln_once(self) -> Self {
        F::of(self.exactly().ln())
    }
}
