//! Every loss once, with its domain and its parameters: what a promise has to hold for.
//!
//! A loss is one line of [`catalogue`]; element-wise and item-wise ones look the same behind [`AnyLoss`]. Predictions
//! and targets are made from raw random bits ([`Entry::predictions`], [`Entry::targets`]), so that proptest can shrink
//! them, large arrays cost nothing, and the same bits say the same thing in every form that targets may have.

#![allow(dead_code, unused_imports)] // each test uses a part of it

mod erased;
mod raw;

use std::fmt::Debug;
use std::sync::Arc;

use ndarray_loss::{
    BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ElementwiseLoss, Float, HuberLoss,
    ItemwiseLoss, LossError, MulticlassHingeLoss, Scores, SquaredError,
};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseResult, TestRunner};

pub(crate) use erased::{
    AnyLoss, By, Elementwise, Itemwise, Targets, TargetsView, for_targets, map_targets,
};
pub(crate) use raw::{Edges, Raw, aggregates, raw, raw_strategy, weights};

/// `f32` and `f64`, with the conversions that tests need.
pub(crate) trait Number: Float {
    const NAME: &'static str;
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    /// The bits; all NaN are one.
    fn bits(self) -> u64;
}

macro_rules! number {
    ($float:ident) => {
        impl Number for $float {
            const NAME: &'static str = stringify!($float);
            fn of(x: f64) -> Self {
                x as $float
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn bits(self) -> u64 {
                let canonical = if self.is_nan() { $float::NAN } else { self };
                u64::from(canonical.to_bits())
            }
        }
    };
}
number!(f32);
number!(f64);

/// What predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    Scores,
    Probabilities,
}

/// What targets mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Any number.
    Number,
    /// A share in [0, 1], or one of the labels 0 and 1.
    ZeroOne,
    /// A number in [−1, 1], or one of the labels −1 and 1.
    PlusMinusOne,
    /// A class.
    Class,
    /// A class, or weights of all classes.
    Distribution,
}

/// How targets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Floats between the labels, distributions over the classes.
    Soft,
    /// The label, or the one-hot row, in floats.
    Floats,
    /// The label, or the one-hot row, in `bool`.
    Bools,
    /// The label, or the one-hot row, in `i64`.
    Signed,
    /// Class labels in `i64`.
    Labels,
}

impl Aim {
    /// All forms that a loss with this aim accepts.
    pub(crate) fn forms(self) -> &'static [Form] {
        use Form::*;
        match self {
            Aim::Number | Aim::ZeroOne | Aim::PlusMinusOne => &[Soft, Floats, Bools, Signed],
            Aim::Class => &[Floats, Bools, Signed, Labels],
            Aim::Distribution => &[Soft, Floats, Bools, Signed, Labels],
        }
    }

    /// Whether there is one loss for a whole row.
    pub(crate) fn is_itemwise(self) -> bool {
        matches!(self, Aim::Class | Aim::Distribution)
    }
}

/// A loss with its parameters.
pub(crate) type Loss<F> = Arc<dyn AnyLoss<F>>;

/// A loss of the catalogue.
pub(crate) struct Entry<F> {
    pub(crate) name: String,
    pub(crate) domain: Domain,
    pub(crate) aim: Aim,
    pub(crate) min_classes: usize,
    /// One choice of the parameters.
    pub(crate) fixed: Loss<F>,
    /// Any choice of them.
    pub(crate) any: BoxedStrategy<Loss<F>>,
}

/// A parameter: one value of it, and all.
struct Parameter<P> {
    fixed: P,
    any: BoxedStrategy<P>,
}

fn none() -> Parameter<()> {
    Parameter {
        fixed: (),
        any: Just(()).boxed(),
    }
}

/// A margin δ ≥ 0.
fn margin<F: Number>() -> Parameter<F> {
    Parameter {
        fixed: F::of(0.75),
        any: prop_oneof![Just(0.0), Just(1.0), 1e-3..10.0_f64]
            .prop_map(F::of)
            .boxed(),
    }
}

/// A δ > 0.
fn positive<F: Number>() -> Parameter<F> {
    Parameter {
        fixed: F::of(0.75),
        any: prop_oneof![Just(1.0), 1e-2..10.0_f64]
            .prop_map(F::of)
            .boxed(),
    }
}

/// An ε in [0, 1].
fn smoothing<F: Number>() -> Parameter<F> {
    Parameter {
        fixed: F::of(0.1),
        any: prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64]
            .prop_map(F::of)
            .boxed(),
    }
}

/// A weight of the positive class and an ε.
fn weight_and_smoothing<F: Number>() -> Parameter<(F, F)> {
    let weight = prop_oneof![Just(0.0), Just(1.0), 1e-2..20.0_f64].prop_map(F::of);
    Parameter {
        fixed: (F::of(2.5), F::of(0.1)),
        any: (weight, smoothing().any).boxed(),
    }
}

/// All losses. Names are unique.
pub(crate) fn catalogue<F: Number>() -> Vec<Entry<F>> {
    use Aim::*;
    use Domain::*;
    let with_logits = BinaryCrossentropyWithLogits::<F>::default();
    let softmax = CategoricalCrossentropyWithLogits::<F>::default();
    let hinge = |scores, labels| move |delta| BinaryHingeLoss::new(delta, scores, labels);
    let (log_odds, shares) = (self::Scores::LogOdds, self::Scores::Probabilities);
    let (zero_one, signs) = (BinaryLabels::ZeroOne, BinaryLabels::PlusMinusOne);
    let options = move |(w, e)| with_logits.pos_weight(w)?.label_smoothing(e);
    #[rustfmt::skip] // one loss a line
    let entries = vec![
        elementwise("squared_error", Scores, Number, none(), |()| Ok(SquaredError)),
        elementwise("huber_loss", Scores, Number, positive(), HuberLoss::new),
        elementwise("binary_crossentropy", Probabilities, ZeroOne, none(), |()| Ok(BinaryCrossentropy)),
        elementwise("binary_hinge_loss, log-odds 0/1", Scores, ZeroOne, margin(), hinge(log_odds, zero_one)),
        elementwise("binary_hinge_loss, log-odds ±1", Scores, PlusMinusOne, margin(), hinge(log_odds, signs)),
        elementwise("binary_hinge_loss, probabilities 0/1", Probabilities, ZeroOne, margin(), hinge(shares, zero_one)),
        elementwise("binary_hinge_loss, probabilities ±1", Probabilities, PlusMinusOne, margin(), hinge(shares, signs)),
        elementwise("binary_crossentropy_with_logits", Scores, ZeroOne, none(), move |()| Ok(with_logits)),
        elementwise("binary_crossentropy_with_logits, options", Scores, ZeroOne, weight_and_smoothing(), options),
        itemwise("categorical_crossentropy", Probabilities, Distribution, 0, none(), |()| Ok(CategoricalCrossentropy)),
        itemwise("multiclass_hinge_loss", Scores, Class, 2, margin(), MulticlassHingeLoss::new),
        itemwise("categorical_crossentropy_with_logits", Scores, Distribution, 1, none(), move |()| Ok(softmax)),
        itemwise("categorical_crossentropy_with_logits, options", Scores, Distribution, 1, smoothing(), move |e| softmax.label_smoothing(e)),
    ];
    entries.into_iter().flatten().collect()
}

fn elementwise<F, L, P>(
    name: &str,
    domain: Domain,
    aim: Aim,
    parameter: Parameter<P>,
    new: impl Fn(P) -> Result<L, LossError> + Send + Sync + 'static,
) -> Vec<Entry<F>>
where
    F: Number,
    L: ElementwiseLoss<F> + Debug + 'static,
    P: Debug + 'static,
{
    let erase = move |parameter| -> Loss<F> { Arc::new(Elementwise(built(new(parameter)))) };
    vec![Entry {
        name: name.to_owned(),
        domain,
        aim,
        min_classes: 0,
        fixed: erase(parameter.fixed),
        any: parameter.any.prop_map(erase).boxed(),
    }]
}

/// The loss, and the loss with an ignored label.
fn itemwise<F, L, P>(
    name: &str,
    domain: Domain,
    aim: Aim,
    min_classes: usize,
    parameter: Parameter<P>,
    new: impl Fn(P) -> Result<L, LossError> + Copy + Send + Sync + 'static,
) -> Vec<Entry<F>>
where
    F: Number,
    L: ItemwiseLoss<F> + Debug + 'static,
    P: Copy + Debug + 'static,
{
    let plain = move |parameter| -> Loss<F> {
        Arc::new(Itemwise {
            loss: built(new(parameter)),
            ignored: None,
        })
    };
    let ignoring = move |(parameter, label): (P, i64)| -> Loss<F> {
        Arc::new(Itemwise {
            loss: built(new(parameter)).ignore_label(i128::from(label)),
            ignored: Some(label),
        })
    };
    let labels = prop_oneof![Just(-100), Just(0), Just(1)];
    vec![
        Entry {
            name: name.to_owned(),
            domain,
            aim,
            min_classes,
            fixed: plain(parameter.fixed),
            any: parameter.any.clone().prop_map(plain).boxed(),
        },
        Entry {
            name: format!("{name}, ignoring"),
            domain,
            aim,
            min_classes,
            fixed: ignoring((parameter.fixed, -100)),
            any: (parameter.any, labels).prop_map(ignoring).boxed(),
        },
    ]
}

fn built<L>(loss: Result<L, LossError>) -> L {
    match loss {
        Ok(loss) => loss,
        Err(error) => unreachable!("a parameter of the catalogue was refused: {error}"),
    }
}

/// Runs a property on cases of a strategy. Seeds of failures are kept beside the test.
pub(crate) fn check<S: Strategy>(
    file: &'static str,
    name: &str,
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> TestCaseResult,
) {
    let config = ProptestConfig {
        cases,
        source_file: Some(file),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(strategy, property);
    assert!(
        result.is_ok(),
        "{name}: {}",
        result.err().map_or_else(String::new, |e| e.to_string())
    );
}

/// Fails with the first position where the bits differ.
pub(crate) fn same_bits<'a, F: Number>(
    what: &str,
    got: impl IntoIterator<Item = &'a F>,
    want: impl IntoIterator<Item = &'a F>,
) -> TestCaseResult {
    let (mut got, mut want) = (got.into_iter(), want.into_iter());
    let mut position = 0;
    loop {
        match (got.next(), want.next()) {
            (None, None) => return Ok(()),
            (Some(got), Some(want)) if got.bits() == want.bits() => position += 1,
            (got, want) => {
                let message = format!("{what}: element {position} is {got:?}, not {want:?}");
                return Err(TestCaseError::fail(message));
            }
        }
    }
}

/// An unexpected error of the crate fails the case.
pub(crate) fn expected<T>(what: &str, result: Result<T, LossError>) -> Result<T, TestCaseError> {
    result.map_err(|error| TestCaseError::fail(format!("{what}: unexpected error: {error}")))
}
