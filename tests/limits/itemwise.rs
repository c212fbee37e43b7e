//! Of item-wise losses and of `categorical_accuracy`.

use ndarray::{Array1, Array2, Axis, array};
use ndarray_loss::*;

use crate::support::Bits;
use crate::{INF, NAN, assert_is};

for_both_types! {
    nan_anywhere_in_a_row
    zero_targets
    categorical_crossentropies
    multiclass_hinges
    categorical_logits
    categorical_accuracies
    ignored_items
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

fn nan_anywhere_in_a_row<F: Bits>() {
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

fn zero_targets<F: Bits>() {
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
}

fn categorical_crossentropies<F: Bits>() {
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

fn multiclass_hinges<F: Bits>() {
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

fn categorical_logits<F: Bits>() {
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

fn categorical_accuracies<F: Bits>() {
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

fn ignored_items<F: Bits>() {
    let loss = CategoricalCrossentropyWithLogits::<F>::default().ignore_label(-100);
    let p = array![
        [F::nan(), F::infinity()],
        [F::zero(), F::zero()],
        [F::nan(), F::zero()]
    ];
    let labels = [-100, 1, -100];
    let ln2 = F::of(2.0_f64.ln());
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
