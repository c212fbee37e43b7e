//! Bit for bit: options that say nothing, and the same thing said in another way.

use crate::catalogue::{
    Edges, Form, Number, Targets, catalogue, expected, for_targets, raw, same_bits,
};
use ndarray::ArrayD;
use ndarray_loss::{
    BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropyWithLogits, ElementwiseLoss, ItemwiseLoss, LossError, Scores,
};
use proptest::test_runner::TestCaseResult;

for_both_types! {
    ignoring_what_is_absent_changes_nothing
    neutral_options_change_nothing
    hinges_of_both_pairs_agree
    integer_types_agree
}

/// Losses and gradients of two losses that should be the same.
fn same_losses<F: Number>(
    what: &str,
    got: Result<(ArrayD<F>, ArrayD<F>), LossError>,
    want: Result<(ArrayD<F>, ArrayD<F>), LossError>,
) {
    let check = || -> TestCaseResult {
        let (got, want) = (expected(what, got)?, expected(what, want)?);
        same_bits(what, &got.0, &want.0)?;
        same_bits(what, &got.1, &want.1)
    };
    let checked = check();
    assert!(checked.is_ok(), "{checked:?}");
}

/// Predictions and targets for a loss of the catalogue.
fn data<F: Number>(name: &str, form: Form, shape: &[usize]) -> (ArrayD<F>, Targets<F>) {
    let entries = catalogue::<F>();
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        unreachable!("{name} is not in the catalogue");
    };
    let count = shape.iter().product();
    let p = entry.predictions(shape, &raw(3, count), Edges::OneIn(50));
    (p, entry.targets(&entry.fixed, form, shape, &raw(4, count)))
}

fn ignoring_what_is_absent_changes_nothing<F: Number>() {
    let entries = catalogue::<F>();
    let ignoring = entries
        .iter()
        .filter(|entry| entry.fixed.ignored() == Some(-100));
    let mut pairs = 0;
    for entry in ignoring {
        let name = entry.name.trim_end_matches(", ignoring");
        let Some(plain) = entries.iter().find(|plain| plain.name == name) else {
            continue;
        };
        pairs += 1;
        for shape in [[40, 5], [9, 130], [3, 300]] {
            let count = shape.iter().product();
            let p = entry.predictions(&shape, &raw(5, count), entry.edges(&shape));
            for &form in entry.aim.forms() {
                let t = plain.targets(&plain.fixed, form, &shape, &raw(6, count));
                same_losses(
                    &format!("{name}, {form:?}"),
                    entry.fixed.loss_and_gradient(p.view(), t.view()),
                    plain.fixed.loss_and_gradient(p.view(), t.view()),
                );
            }
        }
    }
    assert_eq!(pairs, 4, "item-wise losses");
}

fn neutral_options_change_nothing<F: Number>() {
    let (zero, one) = (F::zero(), F::one());
    let plain = BinaryCrossentropyWithLogits::<F>::default();
    for form in [Form::Soft, Form::Signed] {
        let (p, t) = data::<F>("binary_crossentropy_with_logits", form, &[700]);
        let neutral = plain
            .pos_weight(one)
            .and_then(|loss| loss.label_smoothing(zero));
        for_targets!(t, Targets, t => same_losses(
            "binary",
            neutral.and_then(|loss| loss.loss_and_gradient(&p, &t)),
            plain.loss_and_gradient(&p, &t),
        ));
    }
    let plain = CategoricalCrossentropyWithLogits::<F>::default();
    for (form, classes) in [
        (Form::Soft, 10),
        (Form::Labels, 10),
        (Form::Soft, 300),
        (Form::Labels, 300),
    ] {
        let (p, t) = data::<F>("categorical_crossentropy_with_logits", form, &[50, classes]);
        for_targets!(t, Targets, t => same_losses(
            "categorical",
            plain.label_smoothing(zero).and_then(|loss| loss.loss_and_gradient(&p, &t)),
            plain.loss_and_gradient(&p, &t),
        ));
    }
}

fn hinges_of_both_pairs_agree<F: Number>() {
    for scores in [Scores::LogOdds, Scores::Probabilities] {
        let name = match scores {
            Scores::LogOdds => "binary_hinge_loss, log-odds 0/1",
            Scores::Probabilities => "binary_hinge_loss, probabilities 0/1",
        };
        let (p, t) = data::<F>(name, Form::Signed, &[900]);
        let Targets::Signed(zero_one) = t else {
            unreachable!("signed")
        };
        let signs = zero_one.mapv(|t| 2 * t - 1);
        let hinge = |labels| BinaryHingeLoss::new(F::of(0.5), scores, labels);
        same_losses(
            name,
            hinge(BinaryLabels::PlusMinusOne).and_then(|loss| loss.loss_and_gradient(&p, &signs)),
            hinge(BinaryLabels::ZeroOne).and_then(|loss| loss.loss_and_gradient(&p, &zero_one)),
        );
    }
}

fn integer_types_agree<F: Number>() {
    let (p, t) = data::<F>("binary_crossentropy", Form::Signed, &[300]);
    let Targets::Signed(bits) = t else {
        unreachable!("signed")
    };
    let (scores, t) = data::<F>(
        "categorical_crossentropy_with_logits",
        Form::Labels,
        &[60, 9],
    );
    let Targets::Signed(labels) = t else {
        unreachable!("signed")
    };
    let softmax = CategoricalCrossentropyWithLogits::<F>::default();
    macro_rules! agree {
        ($($integer:ty)*) => {$(
            let as_other = bits.mapv(|t| t as $integer);
            same_losses(
                stringify!(binary $integer),
                BinaryCrossentropy.loss_and_gradient(&p, &as_other),
                BinaryCrossentropy.loss_and_gradient(&p, &bits),
            );
            let as_other = labels.mapv(|t| t as $integer);
            same_losses(
                stringify!(labels $integer),
                softmax.loss_and_gradient(&scores, &as_other),
                softmax.loss_and_gradient(&scores, &labels),
            );
        )*};
    }
    agree! { i8 i16 i32 i128 isize u8 u16 u32 u64 u128 usize }
}
