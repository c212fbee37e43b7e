//! Shapes beyond what fits: broadcast views, axes without elements. Right answers or errors, and never more work than
//! there are elements.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::{Write, stderr};
use std::process::exit;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ndarray::{
    Array1, Array2, ArrayView, ArrayView1, ArrayView2, Ix1, Ix2, ShapeBuilder, aview0, aview1,
};
use ndarray_loss::*;
use support::refusal::*;

/// Elements of a view whose work can be done; eight times fewer without optimisation, where each takes several
/// nanoseconds.
const MANY: usize = if cfg!(debug_assertions) {
    1 << 28
} else {
    1 << 31
};
/// Elements of a view that nobody can walk through.
const TOO_MANY: usize = 1 << 62;
/// The length of an axis beside one of length 0.
const HUGE: usize = 1 << 40;

/// Ends the process if the work is not done in seconds: it holds the threads of the pool, which all tests need.
fn soon<T: Send + 'static>(case: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(20)) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Disconnected) => panic!("{case}: panicked"),
        Err(RecvTimeoutError::Timeout) => {
            // Not by a macro, whose output would be captured.
            let _ = writeln!(stderr(), "\n{case}: not done within 20 s");
            exit(101);
        }
    }
}

/// The element, n times.
fn repeated<T>(element: &'static [T; 1], n: usize) -> ArrayView1<'static, T> {
    ArrayView::from_shape(Ix1(n).strides(Ix1(0)), element).unwrap()
}

/// The row, n times.
fn rows<T, const K: usize>(row: &'static [T; K], n: usize) -> ArrayView2<'static, T> {
    ArrayView::from_shape(Ix2(n, K).strides(Ix2(0, 1)), row).unwrap()
}

#[test]
fn more_elements_than_32_bits_count() {
    let p = repeated(&[3.0_f32], MANY + 3);
    let sum = SquaredError.objective(p, aview0(&1.0), Aggregate::Sum);
    assert_eq!(sum, Ok((4 * (MANY + 3)) as f32), "rounded once");
    assert_eq!(aggregate(p, Aggregate::Mean), Ok(3.0));
}

#[test]
fn results_that_cannot_be_allocated() {
    let p = repeated(&[0.5_f64], TOO_MANY);
    let refusal = too_large(&[TOO_MANY]);
    let (scores, pair) = (Scores::Probabilities, BinaryLabels::ZeroOne);
    for (name, answer) in [
        ("squared_error", squared_error(p, aview0(&1.0))),
        ("squared_error_gradient", squared_error_gradient(p, p)),
        ("binary_crossentropy", binary_crossentropy(p, aview0(&true))),
        (
            "binary_crossentropy_gradient",
            binary_crossentropy_gradient(p, p),
        ),
        ("huber_loss", huber_loss(p, p, 1.0)),
        (
            "binary_hinge_loss",
            binary_hinge_loss(p, aview0(&1), 1.0, scores, pair),
        ),
        (
            "binary_crossentropy_with_logits",
            binary_crossentropy_with_logits(p, p),
        ),
        ("binary_accuracy", binary_accuracy(p, p, 0.5)),
        ("aggregate_gradient", aggregate_gradient(p, Aggregate::Sum)),
        ("gradient", SquaredError.gradient(p, p)),
        (
            "loss_and_gradient",
            SquaredError.loss_and_gradient(p, p).map(|(loss, _)| loss),
        ),
        (
            "objective_and_gradient",
            SquaredError
                .objective_and_gradient(p, p, Aggregate::Sum)
                .map(|(_, gradient)| gradient),
        ),
    ] {
        refusal.check(name, answer);
    }
}

#[test]
fn items_that_cannot_be_allocated() {
    const ITEMS: usize = TOO_MANY / 2;
    let p = rows(&[0.25_f64, 0.75], ITEMS);
    let (loss, gradient) = (too_large(&[ITEMS]), too_large(&[ITEMS, 2]));
    loss.check("categorical_crossentropy", categorical_crossentropy(p, p));
    loss.check("from logits", categorical_crossentropy_with_logits(p, p));
    loss.check("accuracy", categorical_accuracy(p, p, 1));
    gradient.check(
        "categorical_crossentropy_gradient",
        categorical_crossentropy_gradient(p, p),
    );
    gradient.check(
        "from logits, gradient",
        categorical_crossentropy_with_logits_gradient(p, p),
    );
    let loss_first = CategoricalCrossentropy.loss_and_gradient(p, p);
    assert!(
        matches!(loss_first, Err(LossError::TooLarge { .. })),
        "{loss_first:?}"
    );
}

#[test]
fn what_cannot_be_allocated_is_known_before_the_labels_are_read() {
    let p = repeated(&[0.5_f32], TOO_MANY);
    let labels = repeated(&[1_u8], TOO_MANY);
    let refusal = too_large(&[TOO_MANY]);
    refusal.check(
        "binary labels",
        soon("binary labels", move || binary_crossentropy(p, labels)),
    );
    const ITEMS: usize = TOO_MANY / 2;
    let (p, labels) = (rows(&[0.25_f32, 0.75], ITEMS), repeated(&[1_u8], ITEMS));
    let refusal = too_large(&[ITEMS]);
    refusal.check(
        "labels",
        soon("labels", move || categorical_crossentropy(p, labels)),
    );
    let one_hot = rows(&[true, false], ITEMS);
    refusal.check(
        "one-hot rows",
        soon("one-hot rows", move || {
            multiclass_hinge_loss(p, one_hot, 1.0)
        }),
    );
}

#[test]
fn huge_axes_without_elements() {
    for shape in [
        (0, HUGE),
        (HUGE, 0),
        (0, usize::MAX >> 8),
        (usize::MAX >> 8, 0),
    ] {
        let case = format!("{shape:?}");
        let answers = soon(&case, move || {
            let p = Array2::<f64>::zeros(shape);
            let mut gradient = p.clone();
            let losses = squared_error(&p, &p).unwrap();
            assert_eq!(losses.dim(), shape);
            let weights = repeated(&[1.0], shape.1);
            let weighted = Aggregate::weighted_sum(weights);
            [
                aggregate(&losses, Aggregate::Sum),
                SquaredError.objective(&p, aview0(&1.0), Aggregate::Sum),
                SquaredError.objective_and_gradient_into(&p, &p, Aggregate::Sum, &mut gradient),
                aggregate(&losses, weighted),
            ]
        });
        assert_eq!(answers, [Ok(0.0), Ok(0.0), Ok(0.0), Ok(0.0)], "{case}");
        let mean = soon(&case, move || {
            aggregate(&Array2::<f64>::zeros(shape), Aggregate::Mean)
        });
        empty_mean().check(&case, mean);
    }
}

#[test]
fn huge_rows_without_items() {
    let (labels, p) = (Array1::<u8>::zeros(0), Array2::<f32>::zeros((0, HUGE)));
    let answers = soon("no items", move || {
        let from_logits = CategoricalCrossentropyWithLogits::default();
        [
            CategoricalCrossentropy.loss(&p, &labels),
            CategoricalCrossentropy.loss(&p, &p),
            MulticlassHingeLoss::default().loss(&p, &labels),
            MulticlassHingeLoss::default().loss(&p, &p),
            from_logits.loss(&p, &labels),
            from_logits.loss(&p, &p),
            categorical_accuracy(&p, &labels, HUGE),
        ]
    });
    for (i, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.map(|losses| losses.len()), Ok(0), "answer {i}");
    }
}

#[test]
fn huge_numbers_of_items_without_classes() {
    let p = Array2::<f32>::zeros((HUGE, 0));
    let sum = soon("sum of no classes", move || {
        CategoricalCrossentropy.objective(&p, &p, Aggregate::Sum)
    });
    assert_eq!(sum, Ok(0.0), "a sum over items without classes");
    let p = Array2::<f32>::zeros((HUGE, 0));
    let mean = soon("mean of no classes", move || {
        CategoricalCrossentropy.objective(&p, &p, Aggregate::Mean)
    });
    assert_eq!(mean, Ok(0.0), "a mean over items without classes");
    let (p, labels) = (Array2::<f32>::zeros((HUGE, 0)), repeated(&[0_u8], HUGE));
    let loss = soon("labels of no classes", move || {
        CategoricalCrossentropy.loss(&p, labels)
    });
    label_out_of_range(0, 0, 0).check("labels of no classes", loss);
    let p = Array2::<f32>::zeros((HUGE, 0));
    let loss = soon("softmax of no classes", move || {
        categorical_crossentropy_with_logits(&p, &p)
    });
    too_few_classes(0, 1).check("softmax of no classes", loss);
}

#[test]
fn few_items_without_classes() {
    let p = Array2::<f64>::zeros((3, 0));
    assert_eq!(categorical_crossentropy(&p, &p), Ok(Array1::zeros(3)));
    assert_eq!(categorical_crossentropy_gradient(&p, &p), Ok(p.clone()));
    label_out_of_range(0, 1, 0).check("labels", categorical_crossentropy(&p, &[1, 2, 3]));
}

#[test]
fn weights_never_enlarge_the_loss() {
    let loss = [1.0, 2.0, 3.0];
    let weights = rows(&[1.0, 2.0, 3.0], TOO_MANY / 4);
    weights_shape(&[3], &[TOO_MANY / 4, 3]).check(
        "more weights",
        aggregate(&loss, Aggregate::weighted_sum(weights)),
    );
    let many = repeated(&[1.0_f64], TOO_MANY);
    shapes(&[3], &[TOO_MANY]).check("more targets", squared_error(aview1(&loss), many));
}
