//! Rows of scores in every layout give the same bits: activations and accuracies, which are not in the catalogue, and
//! multi-class hinge losses of rows that random scores seldom make: ties, and the largest score at the target.
#![allow(clippy::unwrap_used)]

use ndarray::{Array, Array1, Array2, ArrayView2, Axis, Dimension, Slice};
use ndarray_loss::*;

/// Short and long rows, fewer and more than are treated together.
const SHAPES: [(usize, usize); 6] = [
    (70, 10),
    (1, 300),
    (5, 129),
    (33, 1100),
    (70, 300),
    (150, 257),
];

/// One array in several layouts.
struct Laid<F> {
    plain: Array2<F>,
    fortran: Array2<F>,
    spread: Array2<F>,
    backwards: Array2<F>,
}

fn every_second() -> Slice {
    Slice::from(..).step_by(2)
}

fn backwards() -> Slice {
    Slice::from(..).step_by(-1)
}

impl<F: Float> Laid<F> {
    fn new(plain: Array2<F>) -> Self {
        let mut spread = Array2::from_elem((plain.nrows(), 2 * plain.ncols()), F::nan());
        spread
            .slice_axis_mut(Axis(1), every_second())
            .assign(&plain);
        let backwards = plain.slice_axis(Axis(1), backwards());
        Self {
            fortran: plain.t().as_standard_layout().into_owned(),
            backwards: backwards.as_standard_layout().into_owned(),
            spread,
            plain,
        }
    }

    /// All but the plain one.
    fn views(&self) -> [(&'static str, ArrayView2<'_, F>); 3] {
        [
            ("by columns", self.fortran.t()),
            ("stride 2", self.spread.slice_axis(Axis(1), every_second())),
            ("backwards", self.backwards.slice_axis(Axis(1), backwards())),
        ]
    }
}

/// What a number is, a NaN whatever its sign and payload.
fn bits<F: Float>(x: F) -> Option<u64> {
    let x = x.to_f64().unwrap();
    (!x.is_nan()).then(|| x.to_bits())
}

fn same<F: Float, D: Dimension>(what: &str, got: &Array<F, D>, want: &Array<F, D>) {
    assert_eq!(got.mapv(bits), want.mapv(bits), "{what}");
}

/// Few different scores, so that many tie; here and there a NaN, an infinity or a zero of the other sign.
fn scores<F: Float>((rows, classes): (usize, usize)) -> Array2<F> {
    Array2::from_shape_fn((rows, classes), |(row, class)| {
        let mixed = (row * 7919 + class * 104_729 + 13) % 997;
        let special = mixed == 0 && row % 5 == 2;
        let x = match (special, row % 3) {
            (true, 0) => f64::NAN,
            (true, 1) => f64::NEG_INFINITY,
            (true, _) => f64::INFINITY,
            (false, 1) => (mixed % 7) as f64 - 6.0,
            (false, _) => mixed as f64 / 64.0 - 8.0,
        };
        F::from(if x == 0.0 && class % 2 == 0 { -x } else { x }).unwrap()
    })
}

/// In every other row the first or the last of the largest scores, else any class.
fn labels<F: Float>(scores: &Array2<F>) -> Array1<usize> {
    let rows = scores.rows().into_iter().enumerate();
    rows.map(|(index, row)| {
        let largest = row
            .iter()
            .fold(F::neg_infinity(), |m, &x| if x > m { x } else { m });
        let found = match index % 4 {
            0 => row.iter().position(|&x| x == largest),
            1 => row.iter().rposition(|&x| x == largest),
            _ => None,
        };
        found.unwrap_or((index * 7919) % row.len())
    })
    .collect()
}

fn accuracies<F: Float>() {
    for shape in SHAPES {
        let laid = Laid::new(scores::<F>(shape));
        let labels = labels(&laid.plain);
        for top_k in 1..=shape.1.min(200) {
            let want = categorical_accuracy(&laid.plain, &labels, top_k).unwrap();
            for (layout, view) in laid.views() {
                let got = categorical_accuracy(view, &labels, top_k).unwrap();
                same(&format!("top {top_k} of {shape:?}, {layout}"), &got, &want);
            }
        }
    }
}

fn hinge_losses<F: Float>() {
    let loss = MulticlassHingeLoss::default();
    for shape in SHAPES {
        let laid = Laid::new(scores::<F>(shape));
        let labels = labels(&laid.plain);
        let want = loss.loss_and_gradient(&laid.plain, &labels).unwrap();
        for (layout, view) in laid.views() {
            let got = loss.loss_and_gradient(view, &labels).unwrap();
            same(&format!("losses of {shape:?}, {layout}"), &got.0, &want.0);
            same(&format!("gradient of {shape:?}, {layout}"), &got.1, &want.1);
        }
    }
}

fn activations<F: Float>() {
    for shape in SHAPES {
        let laid = Laid::new(scores::<F>(shape));
        let cotangents =
            Laid::new(scores::<F>(shape).mapv(|x| if x.is_finite() { x } else { F::one() }));
        let sums = log_sum_exp(&laid.plain).unwrap();
        let values = [
            softmax(&laid.plain).unwrap(),
            log_softmax(&laid.plain).unwrap(),
        ];
        let products = [
            softmax_vjp(&laid.plain, &cotangents.plain).unwrap(),
            log_softmax_vjp(&laid.plain, &cotangents.plain).unwrap(),
        ];
        for ((layout, x), (_, g)) in laid.views().into_iter().zip(cotangents.views()) {
            let case = format!("{shape:?}, {layout}");
            same(&case, &log_sum_exp(x).unwrap(), &sums);
            // Results that are contiguous, and such as lie along columns.
            let mut out = Array2::from_elem(shape, F::nan());
            let mut fortran = Array2::from_elem((shape.1, shape.0), F::nan());
            for out in [out.view_mut(), fortran.view_mut().reversed_axes()] {
                let mut out = out;
                softmax_into(x, &mut out).unwrap();
                same(&format!("softmax of {case}"), &out.to_owned(), &values[0]);
                log_softmax_into(x, &mut out).unwrap();
                same(
                    &format!("log_softmax of {case}"),
                    &out.to_owned(),
                    &values[1],
                );
                softmax_vjp_into(x, g, &mut out).unwrap();
                same(
                    &format!("softmax_vjp of {case}"),
                    &out.to_owned(),
                    &products[0],
                );
                log_softmax_vjp_into(x, g, &mut out).unwrap();
                same(
                    &format!("log_softmax_vjp of {case}"),
                    &out.to_owned(),
                    &products[1],
                );
            }
        }
    }
}

#[test]
fn accuracies_in_every_layout() {
    accuracies::<f32>();
    accuracies::<f64>();
}

#[test]
fn hinge_losses_in_every_layout() {
    hinge_losses::<f32>();
    hinge_losses::<f64>();
}

#[test]
fn activations_in_every_layout() {
    activations::<f32>();
    activations::<f64>();
}
