//! Bad input: every answer of the crate, its facts, its words, and that no buffer is touched on the way to it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::error::Error;
use std::fmt::Debug;

use ndarray::{Array2, ArrayD, IxDyn, arr1, array};
use ndarray_loss::*;
use support::bad_calls::{BadAggregate, BadInput};
use support::refusal::*;
use support::*;

#[test]
fn the_error_is_an_ordinary_one() {
    fn is_ordinary<E: Debug + Clone + PartialEq + Error + Send + Sync + 'static>(_: &E) {}
    let error = squared_error(&[1.0, 2.0], &[1.0]).unwrap_err();
    is_ordinary(&error);
    assert_eq!(error.clone(), error);
    let boxed: Box<dyn Error + Send + Sync> = error.clone().into();
    assert_eq!(boxed.downcast_ref::<LossError>(), Some(&error));
}

#[test]
fn targets_of_another_shape() {
    for (predictions, targets) in [
        (vec![2, 3], vec![3, 2]),
        (vec![2, 3], vec![3]),
        (vec![2, 3], vec![1]),
        (vec![2, 3], vec![1, 3]),
        (vec![2, 3], vec![2, 3, 1]),
        (vec![3], vec![3, 1]),
        (vec![1, 3], vec![3]),
        (vec![0, 3], vec![3, 0]),
        (vec![3, 1], vec![2]),
        (vec![], vec![1]),
    ] {
        let (p, t) = (
            probabilities::<f32>(&predictions),
            ArrayD::<f32>::zeros(&targets[..]),
        );
        let mut bad = BadInput {
            case: &format!("{predictions:?} and {targets:?}"),
            predictions: &p,
            targets: &t,
            refusal: shapes(&predictions, &targets),
        };
        every_elementwise_loss(&mut bad);
        every_itemwise_loss(&mut bad);
        bad.refusal.check(bad.case, binary_accuracy(&p, &t, 0.5));
        bad.refusal.check(bad.case, categorical_accuracy(&p, &t, 1));
        bad.refusal.check(bad.case, align_targets(&p, &t));
    }
}

#[test]
fn plain_functions_refuse_as_the_methods_do() {
    let (p, t) = (array![[0.25, 0.75]], array![[0.0], [1.0]]);
    let (scores, pair) = (Scores::LogOdds, BinaryLabels::ZeroOne);
    let refusal = shapes(&[1, 2], &[2, 1]);
    for (name, answer) in [
        ("squared_error", squared_error(&p, &t)),
        ("squared_error_gradient", squared_error_gradient(&p, &t)),
        ("binary_crossentropy", binary_crossentropy(&p, &t)),
        (
            "binary_crossentropy_gradient",
            binary_crossentropy_gradient(&p, &t),
        ),
        ("huber_loss", huber_loss(&p, &t, 1.0)),
        ("huber_loss_gradient", huber_loss_gradient(&p, &t, 1.0)),
        (
            "binary_hinge_loss",
            binary_hinge_loss(&p, &t, 1.0, scores, pair),
        ),
        (
            "binary_hinge_loss_gradient",
            binary_hinge_loss_gradient(&p, &t, 1.0, scores, pair),
        ),
        ("with_logits", binary_crossentropy_with_logits(&p, &t)),
        (
            "with_logits_gradient",
            binary_crossentropy_with_logits_gradient(&p, &t),
        ),
        (
            "crossentropy_gradient",
            categorical_crossentropy_gradient(&p, &t),
        ),
        (
            "hinge_gradient",
            multiclass_hinge_loss_gradient(&p, &t, 1.0),
        ),
        (
            "from_logits_gradient",
            categorical_crossentropy_with_logits_gradient(&p, &t),
        ),
    ] {
        refusal.check(name, answer);
    }
    for (name, answer) in [
        ("categorical_crossentropy", categorical_crossentropy(&p, &t)),
        ("multiclass_hinge_loss", multiclass_hinge_loss(&p, &t, 1.0)),
        ("from_logits", categorical_crossentropy_with_logits(&p, &t)),
    ] {
        refusal.check(name, answer);
    }
}

/// Calls with one output buffer of the wrong shape, with all others right.
macro_rules! check_outputs {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $items:expr) => {{
        let (case, loss, p, t, items): (_, _, &ArrayD<F>, _, &[usize]) =
            ($case, $loss, $p, $t, $items);
        let wrong_shape = [7, 2];
        let mut wrong: ArrayD<F> = sentinels(IxDyn(&wrong_shape));
        let mut losses: ArrayD<F> = sentinels(IxDyn(items));
        let mut gradient: ArrayD<F> = sentinels(p.raw_dim());
        let (of_losses, of_gradient) = (
            output_shape(items, &wrong_shape),
            output_shape(p.shape(), &wrong_shape),
        );
        of_losses.check(
            &format!("{case}: loss_into"),
            loss.loss_into(p, t, &mut wrong),
        );
        of_gradient.check(
            &format!("{case}: gradient_into"),
            loss.gradient_into(p, t, &mut wrong),
        );
        of_losses.check(
            &format!("{case}: loss_and_gradient_into, loss"),
            loss.loss_and_gradient_into(p, t, &mut wrong, &mut gradient),
        );
        of_gradient.check(
            &format!("{case}: loss_and_gradient_into, gradient"),
            loss.loss_and_gradient_into(p, t, &mut losses, &mut wrong),
        );
        of_gradient.check(
            &format!("{case}: objective_and_gradient_into"),
            loss.objective_and_gradient_into(p, t, Aggregate::Sum, &mut wrong),
        );
        for (what, buffer) in [
            ("wrong", &wrong),
            ("losses", &losses),
            ("gradient", &gradient),
        ] {
            assert_untouched(&format!("{case}: {what}"), buffer);
        }
    }};
}

struct WrongOutputs<'a, F>(&'a ArrayD<F>, &'a ArrayD<F>);

impl<F: Bits> WithElementwise<F> for WrongOutputs<'_, F> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        check_outputs!(name, loss, self.0, self.1, self.0.shape());
    }
}

impl<F: Bits> WithItemwise<F> for WrongOutputs<'_, F> {
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        check_outputs!(name, loss, self.0, self.1, &self.0.shape()[..1]);
    }
}

#[test]
fn buffers_of_another_shape() {
    let p = probabilities::<f32>(&[3, 2]);
    let one_hot = array![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]].into_dyn();
    every_elementwise_loss(&mut WrongOutputs(&p, &one_hot));
    every_itemwise_loss(&mut WrongOutputs(&p, &one_hot));
}

#[test]
fn weights_that_do_not_broadcast() {
    let p = probabilities::<f32>(&[2, 3]);
    let t = ArrayD::<f32>::zeros(p.raw_dim());
    let labels = arr1(&[0_i64, 2]).into_dyn();
    for shape in [vec![2], vec![4], vec![3, 2], vec![1, 1, 3], vec![1, 2, 3]] {
        let (w, mask) = (
            ArrayD::ones(&shape[..]),
            ArrayD::from_elem(&shape[..], true),
        );
        for by in [
            Aggregate::weighted_mean(&w),
            Aggregate::weighted_sum(&w),
            Aggregate::normalized_sum(&w),
            Aggregate::masked_mean(&mask),
        ] {
            let case = format!("weights {shape:?}, {by:?}");
            let refusal = weights_shape(&[2, 3], &shape);
            refusal.check(&case, aggregate(&p, &by));
            refusal.check(&case, aggregate_gradient(&p, &by));
            every_elementwise_loss(&mut BadAggregate {
                case: &case,
                predictions: &p,
                targets: &t,
                by: &by,
                refusal,
            });
            if shape == [2] {
                continue; // one for each item
            }
            every_itemwise_loss(&mut BadAggregate {
                case: &case,
                predictions: &p,
                targets: &labels,
                by: &by,
                refusal: weights_shape(&[2], &shape),
            });
        }
    }
}

#[test]
fn means_of_nothing() {
    let (no_weights, no_mask) = (
        ArrayD::<f32>::ones(&[0][..]),
        ArrayD::from_elem(&[0][..], true),
    );
    let nothing = ArrayD::<f32>::zeros(IxDyn(&[0]));
    for by in [
        Aggregate::Mean,
        Aggregate::weighted_mean(&no_weights),
        Aggregate::masked_mean(&no_mask),
    ] {
        let case = format!("nothing, {by:?}");
        empty_mean().check(&case, aggregate(&nothing, &by));
        empty_mean().check(&case, aggregate_gradient(&nothing, &by));
        every_elementwise_loss(&mut BadAggregate {
            case: &case,
            predictions: &nothing,
            targets: &nothing,
            by: &by,
            refusal: empty_mean(),
        });
        every_itemwise_loss(&mut BadAggregate {
            case: &case,
            predictions: &ArrayD::zeros(IxDyn(&[0, 3])),
            targets: &ArrayD::<i64>::zeros(IxDyn(&[0])),
            by: &by,
            refusal: empty_mean(),
        });
    }
    zero_total_weight().check(
        "no weights",
        aggregate(&nothing, Aggregate::normalized_sum(&no_weights)),
    );
}

#[test]
fn nothing_kept_and_no_weight() {
    let p = probabilities::<f32>(&[2, 3]);
    let one_hot = array![[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]].into_dyn();
    let (none, cancelling) = (array![false].into_dyn(), array![[1e30], [-1e30]].into_dyn());
    let per_item = cancelling.clone().remove_axis(ndarray::Axis(1));
    let kept_none = Aggregate::masked_mean(&none);
    for (by, per_item, refusal) in [
        (&kept_none, &kept_none, empty_mean()),
        (
            &Aggregate::normalized_sum(&cancelling),
            &Aggregate::normalized_sum(&per_item),
            zero_total_weight(),
        ),
    ] {
        let case = format!("{by:?}");
        refusal.check(&case, aggregate(&p, by));
        refusal.check(&case, aggregate_gradient(&p, by));
        let (predictions, targets) = (&p, &one_hot);
        every_elementwise_loss(&mut BadAggregate {
            case: &case,
            predictions,
            targets,
            by,
            refusal: refusal.clone(),
        });
        every_itemwise_loss(&mut BadAggregate {
            case: &case,
            predictions,
            targets,
            by: per_item,
            refusal,
        });
    }
}

#[test]
fn all_items_ignored() {
    let p = probabilities::<f32>(&[2, 3]);
    let labels = arr1(&[-100_i8, 1]).into_dyn();
    let keep_first = arr1(&[true, false]);
    let loss = CategoricalCrossentropy.ignore_label(-100);
    empty_mean().check(
        "the only item that the mask keeps is ignored",
        loss.objective(&p, &labels, Aggregate::masked_mean(&keep_first)),
    );
    let loss = loss.ignore_label(1);
    empty_mean().check("all ignored", loss.objective(&p, &labels, Aggregate::Mean));
    assert_eq!(loss.objective(&p, &labels, Aggregate::Sum), Ok(0.0));
}

#[test]
fn too_few_classes_even_without_items() {
    let hinge = MulticlassHingeLoss::new(1.0_f32).unwrap();
    let softmax = CategoricalCrossentropyWithLogits::default();
    for items in [0, 1, 5] {
        for classes in [0, 1] {
            let p = probabilities::<f32>(&[items, classes]);
            let (labels, rows) = (
                ArrayD::<i64>::zeros(IxDyn(&[items])),
                ArrayD::<f32>::ones(p.raw_dim()),
            );
            let case = format!("({items}, {classes})");
            let mut for_labels = BadInput {
                case: &case,
                predictions: &p,
                targets: &labels,
                refusal: too_few_classes(classes, 2),
            };
            WithItemwise::run(&mut for_labels, "multiclass_hinge_loss", hinge);
            let mut for_rows = BadInput {
                case: &case,
                predictions: &p,
                targets: &rows,
                refusal: too_few_classes(classes, 2),
            };
            WithItemwise::run(
                &mut for_rows,
                "multiclass_hinge_loss, rows",
                hinge.ignore_label(3),
            );
            if classes == 0 {
                for_labels.refusal = too_few_classes(0, 1);
                WithItemwise::run(&mut for_labels, "from logits", softmax);
                for_rows.refusal = too_few_classes(0, 1);
                WithItemwise::run(&mut for_rows, "from logits, rows", softmax.ignore_label(3));
            } else {
                assert!(
                    softmax.loss(&p, &labels).is_ok(),
                    "{case}: one class is enough for a softmax"
                );
            }
        }
    }
}

/// The activations and their vector–Jacobian products, with buffers of one shape.
#[test]
fn activations_refuse_buffers_and_cotangents_of_another_shape() {
    type Into1 = fn(&Array2<f64>, &mut Array2<f64>) -> Result<(), LossError>;
    type Into2 = fn(&Array2<f64>, &Array2<f64>, &mut Array2<f64>) -> Result<(), LossError>;
    let activations: [(&str, Into1); 4] = [
        ("softmax", |x, out| softmax_into(x, out)),
        ("log_softmax", |x, out| log_softmax_into(x, out)),
        ("sigmoid", |x, out| sigmoid_into(x, out)),
        ("log_sigmoid", |x, out| log_sigmoid_into(x, out)),
    ];
    let products: [(&str, Into2); 4] = [
        ("softmax_vjp", |x, g, out| softmax_vjp_into(x, g, out)),
        ("log_softmax_vjp", |x, g, out| {
            log_softmax_vjp_into(x, g, out)
        }),
        ("sigmoid_vjp", |x, g, out| sigmoid_vjp_into(x, g, out)),
        ("log_sigmoid_vjp", |x, g, out| {
            log_sigmoid_vjp_into(x, g, out)
        }),
    ];
    let x = array![[0.25, -1.0, 3.0], [2.0, 0.5, -0.5]];
    for wrong in [(3, 2), (2, 4), (1, 3), (0, 0)] {
        let (refused, of_shape) = (output_shape(&[2, 3], &[wrong.0, wrong.1]), Array2::zeros);
        for (name, into) in activations {
            let mut out = sentinels(ndarray::Ix2(wrong.0, wrong.1));
            refused.check(name, into(&x, &mut out));
            assert_untouched(name, &out);
        }
        let (cotangent, bad_cotangent): (Array2<f64>, Array2<f64>) =
            (of_shape((2, 3)), of_shape(wrong));
        for (name, into) in products {
            let mut out = sentinels(ndarray::Ix2(wrong.0, wrong.1));
            refused.check(name, into(&x, &cotangent, &mut out));
            assert_untouched(name, &out);
            let mut out = sentinels(x.raw_dim());
            shapes(&[2, 3], &[wrong.0, wrong.1]).check(name, into(&x, &bad_cotangent, &mut out));
            assert_untouched(name, &out);
        }
    }
    let mut wrong = sentinels(ndarray::Ix1(3));
    output_shape(&[2], &[3]).check("log_sum_exp", log_sum_exp_into(&x, &mut wrong));
    assert_untouched("log_sum_exp", &wrong);
    shapes(&[2], &[3]).check("log_sum_exp_vjp", log_sum_exp_vjp(&x, &arr1(&[1.0; 3])));
    let mut wrong = sentinels(ndarray::Ix2(3, 2));
    output_shape(&[2, 3], &[3, 2]).check(
        "log_sum_exp_vjp",
        log_sum_exp_vjp_into(&x, &arr1(&[1.0; 2]), &mut wrong),
    );
    assert_untouched("log_sum_exp_vjp", &wrong);
}

#[test]
fn a_softmax_needs_a_class_even_without_items() {
    for items in [0, 1, 4] {
        let x = Array2::<f32>::zeros((items, 0));
        let of_items = ndarray::Array1::<f32>::zeros(items);
        let case = format!("({items}, 0)");
        let refused = too_few_classes(0, 1);
        refused.check(&case, softmax(&x));
        refused.check(&case, log_softmax(&x));
        refused.check(&case, log_sum_exp(&x));
        refused.check(&case, softmax_vjp(&x, &x));
        refused.check(&case, log_softmax_vjp(&x, &x));
        refused.check(&case, log_sum_exp_vjp(&x, &of_items));
        assert_eq!(sigmoid(&x), Ok(x.clone()), "{case}: a sigmoid needs none");
    }
}

#[test]
fn activations_that_cannot_be_allocated() {
    const ITEMS: usize = 1 << 61;
    let element = [0.5_f64];
    let x = ndarray::ArrayView::from_shape(
        ndarray::ShapeBuilder::strides(ndarray::Ix2(ITEMS, 2), ndarray::Ix2(0, 0)),
        &element,
    )
    .unwrap();
    let refused = too_large(&[ITEMS, 2]);
    refused.check("softmax", softmax(x));
    refused.check("log_softmax", log_softmax(x));
    refused.check("sigmoid", sigmoid(x));
    refused.check("log_sigmoid", log_sigmoid(x));
    refused.check("softmax_vjp", softmax_vjp(x, x));
    refused.check("log_softmax_vjp", log_softmax_vjp(x, x));
    refused.check("sigmoid_vjp", sigmoid_vjp(x, x));
    refused.check("log_sigmoid_vjp", log_sigmoid_vjp(x, x));
    too_large(&[ITEMS]).check("log_sum_exp", log_sum_exp(x));
}

#[test]
fn balanced_weights_of_no_classes_or_too_many() {
    let labels = [0_u8, 1];
    invalid_parameter("classes", 0.0, "at least 1").check(
        "no classes",
        balanced_class_weights::<f32, _, _>(&labels, 0),
    );
    too_large(&[usize::MAX]).check(
        "all classes",
        balanced_class_weights::<f32, _, _>(&labels, usize::MAX),
    );
}
