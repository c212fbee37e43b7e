//! Element-wise losses, the binary accuracy, and the alignment of targets.

use ndarray::{ArrayD, Axis, Dimension, Ix1, Ix2, IxDyn};
use ndarray_loss::{
    BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    ElementwiseLoss, Float, HuberLoss, LossError, Scores, SquaredError, align_targets,
    binary_accuracy, binary_crossentropy, binary_crossentropy_gradient,
    binary_crossentropy_with_logits, binary_crossentropy_with_logits_gradient, binary_hinge_loss,
    binary_hinge_loss_gradient, gradcheck, huber_loss, huber_loss_gradient, squared_error,
    squared_error_gradient,
};

use crate::by::By;
use crate::call::{Both, Buffers, Call, PlacedTargets};
use crate::check::{Checked, Due, check_parameters, ensure, near, same};
use crate::erased::{AnyLoss, Elementwise, TargetsView, for_targets};
use crate::number::Number;
use crate::oracle::Element;
use crate::source::{Palette, Placed, Source, mix};
use crate::{report, signature};

/// A loss that is not of the crate, with the defaults of the trait.
#[derive(Debug, Clone, Copy)]
struct Own;

impl<F: Float> ElementwiseLoss<F> for Own {
    fn value(self, prediction: F, target: F) -> F {
        prediction - (target + target)
    }
    fn derivative(self, prediction: F, target: F) -> F {
        prediction * target
    }
}

/// Does the same with a loss of any type.
macro_rules! with_loss {
    ($element:expr, $loss:ident => $result:expr) => {
        match $element {
            Element::Squared => Ok(SquaredError).map(|$loss| $result),
            Element::Own => Ok(Own).map(|$loss| $result),
            Element::Crossentropy => Ok(BinaryCrossentropy).map(|$loss| $result),
            Element::Huber { delta } => HuberLoss::new(delta).map(|$loss| $result),
            Element::Logits { weight, smoothing } => BinaryCrossentropyWithLogits::default()
                .pos_weight(weight)
                .and_then(|loss| loss.label_smoothing(smoothing))
                .map(|$loss| $result),
            Element::Hinge {
                delta,
                scores,
                labels,
            } => BinaryHingeLoss::new(delta, scores, labels).map(|$loss| $result),
        }
    };
}

#[derive(Debug)]
struct Case<F: Number> {
    loss: Element<F>,
    p: Placed<F>,
    t: PlacedTargets<F>,
    by: By<F>,
    buffers: Buffers,
    threshold: F,
}

pub(crate) fn run<F: Number>(source: &mut Source<'_>) -> u64 {
    let loss = loss::<F>(source);
    let shape = source.shape();
    let threshold = source.parameter();
    let shape_of_targets = shape_of_targets(source, &shape);
    let t = targets(source, loss, &shape_of_targets);
    let palette = match loss {
        Element::Crossentropy
        | Element::Hinge {
            scores: Scores::Probabilities,
            ..
        } if !source.one_in(8) => {
            source.choose(&[Palette::MixedProbabilities, Palette::Probabilities])
        }
        _ => source.palette(),
    };
    let case = Case {
        loss,
        p: source.numbers(&shape, palette),
        t,
        by: By::new(source, &shape),
        buffers: Buffers::new(source, &shape, &shape),
        threshold,
    };
    report::<F>(&case, || case.check());
    let kinds = (
        std::mem::discriminant(&case.loss),
        std::mem::discriminant(&case.by),
        case.t.is_integer(),
        palette,
        case.input_due(case.loss.pair()).is_none(),
        case.loss.bad_parameters().len(),
    );
    signature(kinds, &shape)
}

fn loss<F: Number>(source: &mut Source<'_>) -> Element<F> {
    match source.below(8) {
        0 => Element::Squared,
        1 => Element::Huber {
            delta: source.parameter(),
        },
        2 => Element::Crossentropy,
        3 | 4 => Element::Logits {
            weight: option(source, F::one()),
            smoothing: option(source, F::zero()),
        },
        5 | 6 => Element::Hinge {
            delta: source.parameter(),
            scores: source.choose(&[Scores::LogOdds, Scores::Probabilities]),
            labels: source.choose(&[BinaryLabels::ZeroOne, BinaryLabels::PlusMinusOne]),
        },
        _ => Element::Own,
    }
}

fn option<F: Number>(source: &mut Source<'_>, neutral: F) -> F {
    match source.below(3) {
        0 => neutral,
        _ => source.parameter(),
    }
}

fn shape_of_targets(source: &mut Source<'_>, shape: &[usize]) -> Vec<usize> {
    match (source.below(10), shape) {
        (0, _) => Vec::new(),
        (1, _) => source.other_shape(shape),
        (2 | 3, &[n, 1]) => vec![n],
        _ => shape.to_vec(),
    }
}

fn targets<F: Number>(
    source: &mut Source<'_>,
    loss: Element<F>,
    shape: &[usize],
) -> PlacedTargets<F> {
    let low = match loss.pair() {
        Some(BinaryLabels::PlusMinusOne) => -1,
        _ => 0,
    };
    let labels = if low == 0 {
        Palette::Bits
    } else {
        Palette::Signs
    };
    match source.below(6) {
        0 => {
            let palette = source.choose(&[labels, Palette::Probabilities]);
            PlacedTargets::Floats(source.numbers(shape, palette))
        }
        1 => {
            let palette = source.palette();
            PlacedTargets::Floats(source.numbers(shape, palette))
        }
        2 => PlacedTargets::Bools(source.array(shape, true, |raw| raw & 1 == 1)),
        n => {
            let rare = source.choose(&[u64::MAX, 1000, 30, 2]);
            let extremes = source.choose(&[2, -1, i64::MAX, i64::MIN, 3, -77, 1 << 24, 65_535]);
            let label = |raw: u64| {
                let label = if raw & 1 == 1 { 1 } else { low };
                if mix(raw).is_multiple_of(rare) {
                    extremes
                } else {
                    label
                }
            };
            if n == 3 && low == 0 {
                PlacedTargets::Words(source.array(shape, 9, |raw| label(raw) as u16))
            } else {
                PlacedTargets::Signed(source.array(shape, 9, label))
            }
        }
    }
}

impl<F: Number> Case<F> {
    /// Targets in the shape of the predictions, where they fit.
    fn aligned<A: Copy>(&self, t: &ArrayD<A>) -> Option<ArrayD<A>> {
        let shape = self.p.shape();
        match (t.shape(), shape) {
            (t_shape, _) if t_shape == shape => Some(t.clone()),
            ([], _) => {
                let single = *t.first()?;
                Some(ArrayD::from_elem(IxDyn(shape), single))
            }
            (&[n], &[rows, 1]) if n == rows => Some(t.clone().insert_axis(Axis(1))),
            _ => None,
        }
    }

    fn input_due(&self, pair: Option<BinaryLabels>) -> Due {
        let mut due = Due::default();
        let (p, t) = (self.p.shape(), self.t.shape());
        let fits = t == p || t.is_empty() || matches!((t, p), (&[n], &[rows, 1]) if n == rows);
        if !fits {
            due.certain(LossError::ShapeMismatch {
                predictions: p.to_vec(),
                targets: t.to_vec(),
            });
            return due;
        }
        let low = match pair {
            Some(BinaryLabels::PlusMinusOne) => -1,
            _ => 0,
        };
        if let (Some(labels), Some(pair), false) = (self.t.integers(), pair, p.contains(&0)) {
            let bad = labels
                .iter()
                .enumerate()
                .find(|&(_, &t)| t != low && t != 1);
            if let Some((index, &label)) = bad {
                due.certain(LossError::LabelOutOfRange {
                    index,
                    label: i128::from(label),
                    classes: 2,
                    pair: Some(pair),
                });
            }
        }
        due
    }

    fn check(&self) -> Checked {
        self.check_accuracy()?;
        self.check_alignment()?;
        let made = with_loss!(self.loss, loss => {
            let boxed: Box<dyn AnyLoss<F>> = Box::new(Elementwise(loss));
            boxed
        });
        let refused = made.as_ref().err().cloned();
        let plain = self.plain();
        let bad = self.loss.bad_parameters();
        let Some(loss) = check_parameters(made, &bad)? else {
            if let (Some((loss, gradient)), Some(refused)) = (plain, refused) {
                let said = format!("{refused:?}");
                for result in [loss, gradient] {
                    let got = result.err().map(|error| format!("{error:?}"));
                    ensure!(got.as_ref() == Some(&said), "plain: {got:?}, not {said}");
                }
            }
            return Ok(());
        };
        let due = self.input_due(self.loss.pair());
        let call = Call {
            loss: &*loss,
            p: &self.p,
            t: &self.t,
            by: &self.by,
            buffers: &self.buffers,
            due: &due,
            ignored: None,
        };
        let both = call.check()?;
        if let Some((loss, gradient)) = plain {
            let loss = due.check("plain function", loss)?;
            let gradient = due.check("plain gradient", gradient)?;
            if let (Some(both), Some(loss), Some(gradient)) = (&both, loss, gradient) {
                same("plain function", &loss, &both.0)?;
                same("plain gradient", &gradient, &both.1)?;
            }
        }
        with_loss!(self.loss, loss => self.check_other_types(loss, both.as_ref()))
            .map_err(|error| format!("{error:?}"))??;
        match both {
            Some(both) => self.check_values(&both),
            None => Ok(()),
        }
    }

    /// The plain functions, where there are some for these options.
    #[allow(clippy::type_complexity)]
    fn plain(&self) -> Option<(Result<ArrayD<F>, LossError>, Result<ArrayD<F>, LossError>)> {
        let p = || self.p.view();
        Some(for_targets!(self.t.view(), TargetsView, t => {
            let u = t.clone();
            match self.loss {
                Element::Squared => (squared_error(p(), t), squared_error_gradient(p(), u)),
                Element::Huber { delta } => (
                    huber_loss(p(), t, delta),
                    huber_loss_gradient(p(), u, delta),
                ),
                Element::Crossentropy => (
                    binary_crossentropy(p(), t),
                    binary_crossentropy_gradient(p(), u),
                ),
                Element::Hinge { delta, scores, labels } => (
                    binary_hinge_loss(p(), t, delta, scores, labels),
                    binary_hinge_loss_gradient(p(), u, delta, scores, labels),
                ),
                Element::Logits { weight, smoothing }
                    if weight == F::one() && smoothing == F::zero() =>
                {
                    (
                        binary_crossentropy_with_logits(p(), t),
                        binary_crossentropy_with_logits_gradient(p(), u),
                    )
                }
                _ => return None,
            }
        }))
    }

    /// The same targets in other types and ranks give the same, and no gradient check panics.
    fn check_other_types<L: ElementwiseLoss<F>>(&self, loss: L, both: Option<&Both<F>>) -> Checked {
        if let Some(integers) = self.t.integers() {
            macro_rules! as_other {
                ($($integer:ty)*) => {$(
                    if integers.iter().all(|&t| <$integer>::try_from(t).is_ok()) {
                        let t = integers.mapv(|t| t as $integer);
                        let result = loss.loss_and_gradient(self.p.view(), &t);
                        self.same_as(stringify!($integer), result, both)?;
                    }
                )*};
            }
            as_other!(i8);
        }
        let PlacedTargets::Floats(t) = &self.t else {
            return Ok(());
        };
        // ndarray's debug assertions refuse copies of some empty views.
        if (1..=64).contains(&self.p.view().len()) {
            let result = gradcheck(loss, self.p.view(), t.view());
            let done = result.is_ok();
            ensure!(done == both.is_some(), "gradcheck: {result:?}");
        }
        let Ok(p) = self.p.view().into_dimensionality::<Ix2>() else {
            return Ok(());
        };
        if let Ok(t) = t.view().into_dimensionality::<Ix1>() {
            let result = loss.loss_and_gradient(p, t);
            let result = result.map(|(l, g)| (l.into_dyn(), g.into_dyn()));
            self.same_as("a vector beside a matrix", result, both)?;
        } else if let Ok(t) = t.view().into_dimensionality::<Ix2>() {
            let result = loss.loss_and_gradient(p, t);
            let result = result.map(|(l, g)| (l.into_dyn(), g.into_dyn()));
            self.same_as("matrices", result, both)?;
        }
        Ok(())
    }

    fn same_as(
        &self,
        what: &str,
        got: Result<Both<F>, LossError>,
        want: Option<&Both<F>>,
    ) -> Checked {
        let due = self.input_due(self.loss.pair());
        if let (Some(got), Some(want)) = (due.check(what, got)?, want) {
            same(what, &got.0, &want.0)?;
            same(what, &got.1, &want.1)?;
        }
        Ok(())
    }

    fn check_values(&self, (losses, gradient): &Both<F>) -> Checked {
        let p = self.p.to_owned();
        let t = self.aligned(&self.t.floats(self.loss.pair()));
        let t = t.ok_or("targets that do not fit")?;
        let results = losses.iter().zip(gradient);
        // The order of `iter` is that of the indices, for all layouts.
        for (((index, &p), &t), (&loss, &gradient)) in p.indexed_iter().zip(&t).zip(results) {
            let [value, derivative] = self.loss.of(p, t);
            near(("loss", index.slice(), p, t), loss, value)?;
            near(("gradient", index.slice(), p, t), gradient, derivative)?;
        }
        Ok(())
    }

    fn check_accuracy(&self) -> Checked {
        let threshold = self.threshold;
        let got = for_targets!(self.t.view(), TargetsView, t => {
            binary_accuracy(self.p.view(), t, threshold)
        });
        let pair = Some(BinaryLabels::ZeroOne);
        let due = self.input_due(pair);
        if threshold.is_nan() {
            let name = matches!(
                got,
                Err(LossError::InvalidParameter {
                    name: "threshold",
                    ..
                })
            );
            ensure!(
                name || got.is_err() && !due.is_none(),
                "accuracy: {got:?} for NaN"
            );
            return Ok(());
        }
        let Some(got) = due.check("binary_accuracy", got)? else {
            return Ok(());
        };
        let t = self
            .aligned(&self.t.floats(pair))
            .ok_or("targets that do not fit")?;
        ensure!(
            got.shape() == self.p.shape(),
            "binary_accuracy: {:?}",
            got.shape()
        );
        for ((&got, &p), &t) in got.iter().zip(self.p.view().iter()).zip(&t) {
            let class = if p >= threshold { 1.0 } else { 0.0 };
            let right = !p.is_nan() && t.wide() == class;
            let want = if right { F::one() } else { F::zero() };
            ensure!(got == want, "binary_accuracy: {got:?} for {p:?}, {t:?}");
        }
        Ok(())
    }

    fn check_alignment(&self) -> Checked {
        let got = for_targets!(self.t.view(), TargetsView, t => {
            align_targets(self.p.view(), t).map(|(p, t)| (p.shape().to_vec(), t.shape().to_vec()))
        });
        if let Some((p, t)) = self.input_due(None).check("align_targets", got)? {
            ensure!(p == self.p.shape() && t == p, "align_targets: {p:?}, {t:?}");
        }
        Ok(())
    }
}
