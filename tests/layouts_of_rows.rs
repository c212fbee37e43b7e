//! Rows of scores in every layout, and on any number of threads that share a row, give the same bits: activations and
//! accuracies, which are not in the catalogue, and losses of rows that random scores seldom make: ties, the largest
//! score at the target, logits too large to be scaled.
#![allow(clippy::unwrap_used)]

use ndarray::{Array, Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Dimension, Slice};
use ndarray_loss::*;

/// Short and long rows, fewer and more than are treated together.
const SHAPES: [(usize, usize); 9] = [
    (70, 10),
    (60, 100),
    (1, 300),
    (5, 129),
    (33, 1100),
    (70, 300),
    (150, 257),
    (600, 140),
    (66, 16_500),
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
        for top_k in (1..=shape.1.min(200)).step_by(1 + shape.1 / 1200) {
            let want = categorical_accuracy(&laid.plain, &labels, top_k).unwrap();
            for (layout, view) in laid.views() {
                let got = categorical_accuracy(view, &labels, top_k).unwrap();
                same(&format!("top {top_k} of {shape:?}, {layout}"), &got, &want);
            }
        }
    }
}

/// What a loss makes of scores and targets in each layout, of labels and of rows.
fn losses<F: Float, L: ItemwiseLoss<F>>(
    what: &str,
    loss: &L,
    scores: &Laid<F>,
    labels: &Array1<usize>,
    rows: &Laid<F>,
) {
    let shape = scores.plain.dim();
    let of_labels = loss.loss_and_gradient(&scores.plain, labels).unwrap();
    let of_rows = loss.loss_and_gradient(&scores.plain, &rows.plain).unwrap();
    // A third of the rows is left out.
    let weights = Array1::from_shape_fn(shape.0, |row| F::from(row % 3).unwrap());
    let by = Aggregate::weighted_sum(&weights);
    let weighted = loss.objective_and_gradient(&scores.plain, labels, &by);
    let weighted = weighted.unwrap().1;
    for ((layout, x), (_, t)) in scores.views().into_iter().zip(rows.views()) {
        let case = format!("{what} of {shape:?}, {layout}");
        let mut of_items = Array1::from_elem(shape.0, F::nan());
        // Gradients that are contiguous, and such as lie along columns.
        let mut out = Array2::from_elem(shape, F::nan());
        let mut fortran = Array2::from_elem((shape.1, shape.0), F::nan());
        for mut out in [out.view_mut(), fortran.view_mut().reversed_axes()] {
            loss.loss_and_gradient_into(x, labels, &mut of_items, &mut out)
                .unwrap();
            same(
                &format!("{case}: losses of labels"),
                &of_items,
                &of_labels.0,
            );
            let gradient = out.to_owned();
            same(&format!("{case}: labels"), &gradient, &of_labels.1);
            loss.loss_and_gradient_into(x, t, &mut of_items, &mut out)
                .unwrap();
            same(&format!("{case}: losses of rows"), &of_items, &of_rows.0);
            let gradient = out.to_owned();
            same(&format!("{case}: rows"), &gradient, &of_rows.1);
            loss.objective_and_gradient_into(x, labels, &by, &mut out)
                .unwrap();
            same(&format!("{case}: weighted"), &out.to_owned(), &weighted);
            out.assign(&x);
            loss.objective_and_gradient_in_place(&mut out, labels, &by)
                .unwrap();
            same(&format!("{case}: in place"), &out.to_owned(), &weighted);
        }
    }
}

/// Rows of integers, which no kernel sees where they are.
fn counts_as_rows<F: Float, L: ItemwiseLoss<F>>(
    what: &str,
    loss: &L,
    scores: &Laid<F>,
    counts: &Array2<u8>,
) {
    let fortran = counts.t().as_standard_layout().into_owned();
    let want = loss.loss_and_gradient(&scores.plain, counts).unwrap();
    for (layout, x) in scores.views() {
        for counts in [counts.view(), fortran.t()] {
            let got = loss.loss_and_gradient(x, counts).unwrap();
            let case = format!("{what} of {:?}, {layout}", scores.plain.dim());
            same(&format!("{case}: losses of counts"), &got.0, &want.0);
            same(&format!("{case}: counts"), &got.1, &want.1);
        }
    }
}

fn hinge_losses<F: Float>() {
    for shape in SHAPES {
        let scores = Laid::new(scores::<F>(shape));
        let labels = labels(&scores.plain);
        let mut one_hot = Array2::zeros(shape);
        for (mut row, &label) in one_hot.rows_mut().into_iter().zip(&labels) {
            row[label] = F::one();
        }
        let loss = MulticlassHingeLoss::default();
        let counts = one_hot.mapv(|t: F| u8::from(t == F::one()));
        counts_as_rows("hinge", &loss, &scores, &counts);
        losses("hinge", &loss, &scores, &labels, &Laid::new(one_hot));
    }
}

/// The same with some rows as far from 0 as logits of these distances can be, and some of the greatest distances.
fn logits<F: Float>(shape: (usize, usize)) -> Array2<F> {
    let far = F::from(0.01).unwrap() / F::epsilon();
    let mut x = scores::<F>(shape);
    for (index, mut row) in x.rows_mut().into_iter().enumerate() {
        match index % 7 {
            3 => row.mapv_inplace(|x| x + far),
            // One so far below the others that their difference overflows.
            5 => {
                row.fill(F::max_value() * F::from(0.9).unwrap());
                row[index % shape.1] *= -F::one();
            }
            _ => {}
        }
    }
    x
}

fn crossentropies<F: Float>() {
    let loss = CategoricalCrossentropyWithLogits::default();
    let smoothed = loss.label_smoothing(F::from(0.1).unwrap()).unwrap();
    for shape in SHAPES {
        let x = Laid::new(logits::<F>(shape));
        let labels = labels(&x.plain);
        let counts =
            Array2::from_shape_fn(shape, |(row, class)| ((row * 31 + class * 17) % 5) as u8);
        counts_as_rows("cross-entropy", &loss, &x, &counts);
        let eighths = counts.mapv(|count| F::from(count).unwrap() / F::from(8).unwrap());
        let counts = Laid::new(eighths);
        losses("cross-entropy", &loss, &x, &labels, &counts);
        losses("smoothed cross-entropy", &smoothed, &x, &labels, &counts);
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
fn crossentropies_in_every_layout() {
    crossentropies::<f32>();
    crossentropies::<f64>();
}

#[test]
fn activations_in_every_layout() {
    activations::<f32>();
    activations::<f64>();
}

/// What every loss of rows, and every activation, makes of these: all numbers in one array for each.
fn all_results<F: Float>(
    x: ArrayView2<'_, F>,
    t: ArrayView2<'_, F>,
    labels: &Array1<usize>,
    by_columns: bool,
) -> Vec<(&'static str, Array2<F>)> {
    let (items, classes) = x.dim();
    let plain = CategoricalCrossentropyWithLogits::default();
    let smoothed = plain.label_smoothing(F::from(0.1).unwrap()).unwrap();
    let mut all = Vec::new();
    // The gradient, and the losses as one more column.
    let mut add = |what, write: &dyn Fn(&mut Array1<F>, ArrayViewMut2<'_, F>)| {
        let mut of_items = Array1::zeros(items);
        let mut out = if by_columns {
            Array2::zeros((classes, items)).reversed_axes()
        } else {
            Array2::zeros((items, classes))
        };
        write(&mut of_items, out.view_mut());
        out.push_column(of_items.view()).unwrap();
        all.push((what, out));
    };
    add("cross-entropy", &|loss, mut out| {
        plain
            .loss_and_gradient_into(x, labels, loss, &mut out)
            .unwrap();
    });
    add("smoothed cross-entropy", &|loss, mut out| {
        smoothed
            .loss_and_gradient_into(x, labels, loss, &mut out)
            .unwrap();
    });
    add("cross-entropy of rows", &|loss, mut out| {
        plain.loss_and_gradient_into(x, t, loss, &mut out).unwrap();
    });
    add("smoothed cross-entropy in place", &|_, mut out| {
        out.assign(&x);
        smoothed
            .objective_and_gradient_in_place(&mut out, t, Aggregate::Sum)
            .unwrap();
    });
    add("cross-entropy of probabilities", &|loss, mut out| {
        CategoricalCrossentropy
            .loss_and_gradient_into(t, t, loss, &mut out)
            .unwrap();
    });
    add("hinge", &|loss, mut out| {
        MulticlassHingeLoss::default()
            .loss_and_gradient_into(x, labels, loss, &mut out)
            .unwrap();
    });
    add("softmax", &|sums, mut out| {
        sums.assign(&log_sum_exp(x).unwrap());
        softmax_into(x, &mut out).unwrap();
    });
    add("log_softmax", &|right, mut out| {
        right.assign(&categorical_accuracy(x, labels, 5).unwrap());
        log_softmax_into(x, &mut out).unwrap();
    });
    add("softmax_vjp", &|_, mut out| {
        softmax_vjp_into(x, t, &mut out).unwrap();
    });
    all
}

fn sections<F: Float>() {
    let pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap()
    };
    // One row, several, and so many that they are seen by their columns, of `f64` more than are treated together.
    for shape in [(1, 40_001), (5, 17_000), (130, 16_400)] {
        let x = Laid::new(logits::<F>(shape));
        let labels = labels(&x.plain);
        let t = Array2::from_shape_fn(shape, |(row, class)| {
            F::from((row * 31 + class * 17) % 5).unwrap() / F::from(8).unwrap()
        });
        let t = Laid::new(t);
        let want = pool(1).install(|| all_results(x.plain.view(), t.plain.view(), &labels, false));
        for threads in [1, 2, 3] {
            let pool = pool(threads);
            let layouts = [x.plain.view(), x.fortran.t(), x.views()[1].1];
            let targets = [t.fortran.t(), t.fortran.t(), t.plain.view()];
            for (x, t) in layouts.into_iter().zip(targets) {
                for by_columns in [false, true] {
                    let got = pool.install(|| all_results(x, t, &labels, by_columns));
                    for ((what, got), (_, want)) in got.iter().zip(&want) {
                        let strides = x.strides();
                        let case = format!("{what}, {shape:?} {strides:?}, {threads} threads");
                        same(&case, got, want);
                    }
                }
            }
        }
    }
}

#[test]
fn sections_on_any_number_of_threads() {
    sections::<f32>();
    sections::<f64>();
}

/// Elements none of whose operands lie as any other does: a copy of each, of as much as is copied at a time.
fn elements<F: Float>() {
    let shape = (70, 700);
    let number = |i: usize, j: usize| F::from((i * 31 + j * 17) % 101).unwrap();
    let plain = Array2::from_shape_fn(shape, |(i, j)| number(i, j));
    let laid = Laid::new(plain.clone());
    let [(_, columns), (_, spread), (_, backwards)] = laid.views();
    let step = |p, t, w, mut gradient: ArrayViewMut2<'_, F>| {
        let by = Aggregate::weighted_sum(w);
        let p: ArrayView2<'_, F> = p;
        let t: ArrayView2<'_, F> = t;
        SquaredError
            .objective_and_gradient_into(p, t, by, &mut gradient)
            .unwrap()
    };
    let other = plain.mapv(|x| x + F::one());
    let other = Laid::new(other);
    let mut out = Array2::zeros(shape);
    let want = step(
        plain.view(),
        other.plain.view(),
        plain.view(),
        out.view_mut(),
    );
    let mut wide = Array2::zeros((shape.0, 2 * shape.1));
    for (p, t, w) in [
        (columns, other.views()[1].1, backwards),
        (spread, other.views()[0].1, columns),
        (backwards, other.views()[2].1, spread),
    ] {
        let mut gradient = wide.slice_axis_mut(Axis(1), every_second());
        let got = step(p, t, w, gradient.view_mut());
        assert_eq!(got, want);
        assert_eq!(gradient, out);
    }
}

/// Half of what a thread of rayon has: rows that are treated together are kept on the stack. One thread, so that as many
/// are as can be.
#[test]
fn a_mebibyte_of_stack_is_enough() {
    const STACK: usize = 1 << 20;
    fn all<F: Float>() {
        accuracies::<F>();
        hinge_losses::<F>();
        crossentropies::<F>();
        activations::<F>();
        elements::<F>();
    }
    let both = || {
        all::<f32>();
        all::<f64>();
    };
    #[cfg(feature = "rayon")]
    {
        let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK);
        pool.num_threads(1).build().unwrap().install(both);
    }
    #[cfg(not(feature = "rayon"))]
    {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn(both).unwrap().join().unwrap();
    }
}
