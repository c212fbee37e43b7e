//! Of element-wise losses and of `binary_accuracy`.

use std::fmt::Debug;

use ndarray::{Array1, array};
use ndarray_loss::*;

use crate::support::{Bits, WithElementwise, every_elementwise_loss};
use crate::{INF, NAN, assert_is};

for_both_types! {
    nan_stays_in_its_element
    zero_weight_of_the_positive_class
    binary_crossentropies
    huber_losses
    binary_hinges
    binary_logits
    binary_accuracies
    functions_of_one_element
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

fn nan_stays_in_its_element<F: Bits>() {
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

fn zero_weight_of_the_positive_class<F: Bits>() {
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

fn binary_crossentropies<F: Bits>() {
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

fn huber_losses<F: Bits>() {
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

fn binary_hinges<F: Bits>() {
    let hinge =
        |delta, scores| BinaryHingeLoss::new(F::of(delta), scores, BinaryLabels::ZeroOne).unwrap();
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

fn binary_logits<F: Bits>() {
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

fn binary_accuracies<F: Bits>() {
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
}

fn functions_of_one_element<F: Bits>() {
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
