//! Labels and one-hot rows that name no class: every answer of the crate, its facts and its words.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fmt::Debug;

use ndarray::{Array2, ArrayD, IxDyn, ShapeBuilder, arr1};
use ndarray_loss::*;
use support::bad_calls::BadInput;
use support::refusal::*;
use support::*;

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
    // All bits set, as −1 has them.
    let largest = arr1(&[1, 1, u8::MAX]).into_dyn();
    not_of_pair(2, i128::from(u8::MAX), pair).check(
        "u8::MAX",
        binary_hinge_loss(&p, &largest, 1.0, Scores::LogOdds, pair),
    );
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
fn weights_of_classes_refuse_labels_out_of_range() {
    for (labels, index, label) in [([0_i64, 2, 1], 1, 2), ([-1, 0, 7], 0, -1)] {
        let (case, refusal) = (
            format!("labels {labels:?}"),
            label_out_of_range(index, label, 2),
        );
        refusal.check(&case, class_weights(&[1.0_f32, 2.0], &labels));
        let ignoring = class_weights_ignoring(&[1.0_f32, 2.0], &labels, -100);
        refusal.check(&case, ignoring);
        let balanced = balanced_class_weights::<f64, _, _>(&labels, 2);
        refusal.check(&case, balanced);
    }
    label_out_of_range(1, 5, 2).check(
        "beside an ignored label",
        class_weights_ignoring(&[1.0, 2.0], &[-100_i32, 5], -100),
    );
    let none: [f64; 0] = [];
    label_out_of_range(0, 0, 0).check("no classes", class_weights(&none, &[0_u8]));
    let no_items = class_weights(&none, &arr1(&[0_u8; 0]));
    assert_eq!(no_items.map(|weights| weights.len()), Ok(0));
}

#[test]
fn the_index_of_a_label_counts_in_row_major_order_for_weights_too() {
    let mut labels = Array2::<i32>::zeros((2, 3).f());
    labels[[1, 0]] = 4;
    let refusal = label_out_of_range(3, 4, 4);
    refusal.check("class_weights", class_weights(&[1.0; 4], &labels));
    let balanced = balanced_class_weights::<f64, _, _>(&labels, 4);
    refusal.check("balanced_class_weights", balanced);
}
