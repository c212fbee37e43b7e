//! Bad input: every answer of the crate, its facts, its words, and that no buffer is touched on the way to it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::error::Error;
use std::fmt::Debug;

use ndarray::{Array2, ArrayD, IxDyn, ShapeBuilder, arr1, array};
use ndarray_loss::*;
use support::refusal::*;
use support::*;

/// The answers of the methods that read no weights.
macro_rules! check_plain_methods {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $items:expr, $refusal:expr) => {{
        let (case, loss, p, t, refusal) = ($case, $loss, $p, $t, $refusal);
        let mut losses: ArrayD<F> = sentinels(IxDyn($items));
        let mut gradient: ArrayD<F> = sentinels(p.raw_dim());
        refusal.check(&format!("{case}: loss"), loss.loss(p, t));
        refusal.check(&format!("{case}: gradient"), loss.gradient(p, t));
        refusal.check(
            &format!("{case}: loss_and_gradient"),
            loss.loss_and_gradient(p, t),
        );
        refusal.check(
            &format!("{case}: loss_into"),
            loss.loss_into(p, t, &mut losses),
        );
        refusal.check(
            &format!("{case}: gradient_into"),
            loss.gradient_into(p, t, &mut gradient),
        );
        refusal.check(
            &format!("{case}: loss_and_gradient_into"),
            loss.loss_and_gradient_into(p, t, &mut losses, &mut gradient),
        );
        assert_untouched(&format!("{case}: buffer of losses"), &losses);
        assert_untouched(&format!("{case}: buffer of gradients"), &gradient);
    }};
}

/// The answers of the methods that give one number.
macro_rules! check_objectives {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $by:expr, $refusal:expr) => {{
        let (case, loss, p, t, by, refusal) = ($case, $loss, $p, $t, $by, $refusal);
        let mut gradient: ArrayD<F> = sentinels(p.raw_dim());
        let mut predictions = p.clone();
        refusal.check(&format!("{case}: objective"), loss.objective(p, t, by));
        refusal.check(
            &format!("{case}: objective_and_gradient"),
            loss.objective_and_gradient(p, t, by),
        );
        refusal.check(
            &format!("{case}: objective_and_gradient_into"),
            loss.objective_and_gradient_into(p, t, by, &mut gradient),
        );
        refusal.check(
            &format!("{case}: objective_and_gradient_in_place"),
            loss.objective_and_gradient_in_place(&mut predictions, t, by),
        );
        assert_untouched(&format!("{case}: buffer of gradients"), &gradient);
        assert_same_bits(&format!("{case}: predictions in place"), &predictions, p);
    }};
}

/// A call whose predictions and targets are refused by every method, whatever the aggregate.
struct BadInput<'a, F, T> {
    case: &'a str,
    predictions: &'a ArrayD<F>,
    targets: &'a ArrayD<T>,
    refusal: Refusal,
}

impl<F: Bits, T: Target<F>> WithElementwise<F> for BadInput<'_, F, T> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let Self {
            case,
            predictions,
            targets,
            refusal,
        } = self;
        let case = format!("{name}, {}: {case}", F::NAME);
        check_plain_methods!(
            &case,
            loss,
            *predictions,
            *targets,
            predictions.shape(),
            &*refusal
        );
        check_objectives!(
            &case,
            loss,
            *predictions,
            *targets,
            &Aggregate::Sum,
            &*refusal
        );
    }
}

impl<F: Bits, T> WithItemwise<F> for BadInput<'_, F, T>
where
    T: Target<F, Kind: ClassTargetShape<IxDyn, IxDyn>>,
{
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let Self {
            case,
            predictions,
            targets,
            refusal,
        } = self;
        let case = format!("{name}, {}: {case}", F::NAME);
        let items = predictions
            .shape()
            .split_last()
            .map_or(&[][..], |(_, items)| items);
        check_plain_methods!(&case, loss, *predictions, *targets, items, &*refusal);
        check_objectives!(
            &case,
            loss,
            *predictions,
            *targets,
            &Aggregate::Sum,
            &*refusal
        );
    }
}

/// A call whose aggregate is refused.
struct BadAggregate<'a, F, T> {
    case: &'a str,
    predictions: &'a ArrayD<F>,
    targets: &'a ArrayD<T>,
    by: &'a Aggregate<'a, F>,
    refusal: Refusal,
}

impl<F: Bits, T: Target<F>> WithElementwise<F> for BadAggregate<'_, F, T> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let case = format!("{name}, {}: {}", F::NAME, self.case);
        check_objectives!(
            &case,
            loss,
            self.predictions,
            self.targets,
            self.by,
            &self.refusal
        );
    }
}

impl<F: Bits, T> WithItemwise<F> for BadAggregate<'_, F, T>
where
    T: Target<F, Kind: ClassTargetShape<IxDyn, IxDyn>>,
{
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let case = format!("{name}, {}: {}", F::NAME, self.case);
        check_objectives!(
            &case,
            loss,
            self.predictions,
            self.targets,
            self.by,
            &self.refusal
        );
    }
}

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

#[test]
fn labels_of_another_shape() {
    // Also what an element-wise loss would have taken for a column.
    for (predictions, targets) in [
        (vec![2, 3], vec![3]),
        (vec![2, 3], vec![]),
        (vec![2, 2, 3], vec![2]),
        (vec![3], vec![1]),
    ] {
        let labels = ArrayD::<i64>::zeros(&targets[..]);
        let p = probabilities::<f32>(&predictions);
        let mut bad = BadInput {
            case: &format!("{predictions:?} and labels {targets:?}"),
            predictions: &p,
            targets: &labels,
            refusal: shapes(&predictions, &targets),
        };
        every_itemwise_loss(&mut bad);
        bad.refusal
            .check(bad.case, categorical_accuracy(&p, &labels, 1));
    }
    let single = ArrayD::<f64>::zeros(IxDyn(&[]));
    let labels = ArrayD::<i32>::zeros(IxDyn(&[]));
    shapes(&[], &[]).check(
        "no classes axis",
        CategoricalCrossentropy.loss(&single, &labels),
    );
    let p = probabilities::<f64>(&[3, 1]);
    shapes(&[3, 1], &[3]).check(
        "no column",
        CategoricalCrossentropy.loss(&p, &arr1(&[0.5; 3]).into_dyn()),
    );
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
fn labels_out_of_range() {
    fn of_type<T>(labels: &[T], index: usize, label: i128)
    where
        T: Target<f32, Kind: ClassTargetShape<IxDyn, IxDyn>> + Debug,
    {
        let p = probabilities::<f32>(&[labels.len(), 3]);
        let labels = arr1(labels).into_dyn();
        let (case, refusal) = (
            format!("labels {labels:?}"),
            label_out_of_range(index, label, 3),
        );
        let loss = CategoricalCrossentropy;
        refusal.check(&case, loss.loss(&p, &labels));
        refusal.check(
            &case,
            loss.ignore_label(5).objective(&p, &labels, Aggregate::Sum),
        );
        refusal.check(&case, categorical_accuracy(&p, &labels, 2));
    }
    of_type(&[0_u8, 2, 3], 2, 3);
    of_type(&[0_i8, -1, -1], 1, -1);
    of_type(&[i16::MIN], 0, i16::MIN.into());
    of_type(&[0, u16::MAX], 1, u16::MAX.into());
    of_type(&[2, 3_i32], 1, 3);
    of_type(&[2, 1 << 32, 4_u64], 1, 1 << 32);
    of_type(&[i64::MIN, 7], 0, i64::MIN.into());
    of_type(&[usize::MAX], 0, usize::MAX as i128);
    of_type(&[-3_isize], 0, -3);
    of_type(&[0, i128::MIN], 1, i128::MIN);
    of_type(&[1, i128::MAX], 1, i128::MAX);
    of_type(&[1, u128::MAX], 1, i128::MAX); // as said in the documentation
    of_type(&[u32::MAX], 0, u32::MAX.into());
}

#[test]
fn the_index_of_a_label_counts_items_in_row_major_order() {
    let p = probabilities::<f64>(&[2, 3, 4]);
    let mut labels = Array2::<i32>::zeros((2, 3).f());
    labels[[1, 0]] = 4;
    label_out_of_range(3, 4, 4).check(
        "Fortran order",
        CategoricalCrossentropy.loss(&p, &labels.clone().into_dyn()),
    );
    labels.invert_axis(ndarray::Axis(0));
    label_out_of_range(0, 4, 4).check(
        "reversed",
        CategoricalCrossentropy.loss(&p, &labels.into_dyn()),
    );
}

#[test]
fn the_last_of_many_labels_is_checked_before_the_first_element() {
    let (items, classes) = (20_000, 3);
    let p = probabilities::<f32>(&[items, classes]);
    let mut labels = ArrayD::<i64>::ones(IxDyn(&[items]));
    labels[[items - 1]] = 3;
    every_itemwise_loss(&mut BadInput {
        case: "last of many",
        predictions: &p,
        targets: &labels,
        refusal: label_out_of_range(items - 1, 3, classes),
    });
}

#[test]
fn labels_outside_the_pair() {
    for (index, label) in [(0, 2_i64), (1, -1), (4, 2), (49_999, 1 << 40)] {
        let mut t = ArrayD::ones(IxDyn(&[50_000]));
        t[[index]] = label;
        let p = probabilities::<f32>(t.shape());
        let refusal = not_of_pair(index, label.into(), BinaryLabels::ZeroOne);
        let case = format!("label {label} of {index}");
        let mut bad = BadInput {
            case: &case,
            predictions: &p,
            targets: &t,
            refusal: refusal.clone(),
        };
        WithElementwise::run(&mut bad, "binary_crossentropy", BinaryCrossentropy);
        WithElementwise::run(
            &mut bad,
            "with_logits",
            BinaryCrossentropyWithLogits::default(),
        );
        for scores in [Scores::LogOdds, Scores::Probabilities] {
            let hinge = BinaryHingeLoss::new(1.0, scores, BinaryLabels::ZeroOne).unwrap();
            WithElementwise::run(&mut bad, "binary_hinge_loss", hinge);
        }
        refusal.check(&case, binary_accuracy(&p, &t, 0.0));
    }
}

#[test]
fn labels_outside_the_pair_of_plus_and_minus_one() {
    let (p, pair) = (
        arr1(&[0.5_f32, 0.5, 0.5]).into_dyn(),
        BinaryLabels::PlusMinusOne,
    );
    for (labels, index, label) in [([1, 0, -1], 1, 0), ([2, 1, 1], 0, 2), ([1, -1, -2], 2, -2)] {
        let labels: ArrayD<i64> = arr1(&labels).into_dyn();
        let mut bad = BadInput {
            case: &format!("{labels:?}"),
            predictions: &p,
            targets: &labels,
            refusal: not_of_pair(index, label, pair),
        };
        let hinge = BinaryHingeLoss::new(1.0, Scores::LogOdds, pair).unwrap();
        WithElementwise::run(&mut bad, "binary_hinge_loss", hinge);
        let (scores, refusal) = (Scores::LogOdds, &bad.refusal);
        refusal.check(bad.case, binary_hinge_loss(&p, &labels, 1.0, scores, pair));
        refusal.check(
            bad.case,
            binary_hinge_loss_gradient(&p, &labels, 1.0, scores, pair),
        );
    }
    let huge = [1, u128::MAX, 1];
    not_of_pair(1, i128::MAX, BinaryLabels::ZeroOne).check(
        "u128::MAX",
        binary_crossentropy(&p, &arr1(&huge).into_dyn()),
    );
}

#[test]
fn rows_that_are_not_one_hot() {
    fn of_type<T>(bad_row: [T; 3], good_row: [T; 3])
    where
        T: Target<f64, Kind: ClassTargetShape<IxDyn, IxDyn>> + Debug,
    {
        let p = probabilities::<f64>(&[3, 3]);
        let rows = ndarray::arr2(&[good_row, bad_row, bad_row]).into_dyn();
        let case = format!("{bad_row:?}");
        not_one_hot(1).check(&case, multiclass_hinge_loss(&p, &rows, 1.0));
        not_one_hot(1).check(&case, multiclass_hinge_loss_gradient(&p, &rows, 1.0));
    }
    let good = [0.0, 0.0, 1.0];
    for bad in [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 1.0],
        [0.5, 0.5, 0.0],
        [2.0, 0.0, 0.0],
        [1.0, -1.0, 1.0],
        [1.0, f64::NAN, 0.0],
        [f64::INFINITY, 0.0, 1.0],
        [1.0, 1e-300, 0.0],
    ] {
        of_type(bad, good);
    }
    of_type([false; 3], [true, false, false]);
    of_type([true, true, false], [true, false, false]);
    of_type([0, 2, 0], [0, 1, 0]);
    of_type([1, 0, -1], [0, 1, 0]);
    of_type([0_u8; 3], [0, 0, 1]);
}

#[test]
fn every_method_refuses_rows_that_are_not_one_hot() {
    let (items, hinge) = (10_000, MulticlassHingeLoss::new(1.0).unwrap());
    let p = probabilities::<f32>(&[items, 3]);
    let mut rows = ArrayD::zeros(p.raw_dim());
    rows.index_axis_mut(ndarray::Axis(1), 2).fill(1.0);
    rows[[items - 1, 0]] = 1.0;
    let mut bad = BadInput {
        case: "the last of many",
        predictions: &p,
        targets: &rows,
        refusal: not_one_hot(items - 1),
    };
    WithItemwise::run(&mut bad, "multiclass_hinge_loss", hinge);
    WithItemwise::run(
        &mut bad,
        "multiclass_hinge_loss, ignoring",
        hinge.ignore_label(0),
    );
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
