//! Item-wise losses, the categorical accuracy, and the weights of classes.

use ndarray::{Array1, ArrayD, Ix1, Ix2, IxDyn};
use ndarray_loss::{
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ItemwiseLoss, LossError,
    MulticlassHingeLoss, balanced_class_weights, categorical_accuracy, categorical_crossentropy,
    categorical_crossentropy_gradient, categorical_crossentropy_with_logits,
    categorical_crossentropy_with_logits_gradient, class_weights, class_weights_ignoring,
    gradcheck, multiclass_hinge_loss, multiclass_hinge_loss_gradient,
};

use crate::by::By;
use crate::call::{Both, Buffers, Call, PlacedTargets};
use crate::check::{Checked, Due, check_parameters, ensure, near, same};
use crate::erased::{AnyLoss, Itemwise, TargetsView, for_targets};
use crate::number::Number;
use crate::oracle::{Aim, Item};
use crate::source::{Palette, Placed, Source, mix};
use crate::{report, signature};

/// Does the same with a loss of any type.
macro_rules! with_loss {
    ($item:expr, $loss:ident => $result:expr) => {
        match $item {
            Item::Crossentropy => Ok(CategoricalCrossentropy).map(|$loss| $result),
            Item::Logits { smoothing } => CategoricalCrossentropyWithLogits::default()
                .label_smoothing(smoothing)
                .map(|$loss| $result),
            Item::Hinge { delta } => MulticlassHingeLoss::new(delta).map(|$loss| $result),
        }
    };
}

#[derive(Debug)]
struct Case<F: Number> {
    loss: Item<F>,
    ignored: Option<i64>,
    p: Placed<F>,
    t: PlacedTargets<F>,
    by: By<F>,
    buffers: Buffers,
    top_k: usize,
    /// Of classes, as many as there may be.
    weights: Vec<F>,
}

/// What targets are beside predictions of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Labels,
    Rows,
}

pub(crate) fn run<F: Number>(source: &mut Source<'_>) -> u64 {
    let loss = match source.below(6) {
        0 | 1 => Item::Crossentropy,
        2 => Item::Hinge {
            delta: source.parameter(),
        },
        3 => Item::Logits {
            smoothing: source.parameter(),
        },
        _ => Item::Logits {
            smoothing: F::zero(),
        },
    };
    let shape = source.shape_with_classes();
    let classes = shape.last().copied().unwrap_or(0);
    let ignored = match source.below(4) {
        0 => Some(source.choose(&[-100, 0, 1, 65_535, i64::MAX])),
        _ => None,
    };
    let top_k = source.choose(&[1, 2, 5, classes, 0, classes + 1, usize::MAX]);
    let t = targets(source, loss, &shape, ignored);
    let palette = match loss {
        Item::Crossentropy if !source.one_in(6) => {
            source.choose(&[Palette::MixedProbabilities, Palette::Probabilities])
        }
        _ => source.palette(),
    };
    let items = shape.split_last().map_or(&[][..], |(_, items)| items);
    let count = source.choose(&[classes, classes, 3, 1, 0]);
    let case = Case {
        loss,
        ignored,
        p: source.numbers(&shape, palette),
        t,
        by: By::new(source, items),
        buffers: Buffers::new(source, items, &shape),
        top_k,
        weights: {
            let seed = source.raw();
            let each = (0..count as u64).map(|i| Palette::Mixed.number(mix(seed ^ i)));
            each.collect()
        },
    };
    report::<F>(&case, || case.check());
    let kinds = (
        std::mem::discriminant(&case.loss),
        std::mem::discriminant(&case.by),
        std::mem::discriminant(&case.t),
        case.form(),
        palette,
        case.input_due(
            loss.min_classes(),
            matches!(loss, Item::Hinge { .. }),
            ignored,
        )
        .is_none(),
        case.ignored.is_some(),
    );
    signature(kinds, &shape)
}

fn targets<F: Number>(
    source: &mut Source<'_>,
    loss: Item<F>,
    shape: &[usize],
    ignored: Option<i64>,
) -> PlacedTargets<F> {
    let classes = shape.last().copied().unwrap_or(0).max(1) as u64;
    let items = shape.split_last().map_or(&[][..], |(_, items)| items);
    let kind = source.below(10);
    let mut shape = if kind < 5 { items } else { shape }.to_vec();
    if source.one_in(16) {
        shape = source.other_shape(&shape);
    }
    let rare = source.choose(&[u64::MAX, 300, 20, 2]);
    if kind < 5 {
        let wrong = source.choose(&[classes as i64, -1, i64::MAX, i64::MIN, 65_535, 65_536, -100]);
        let ignored = ignored.filter(|_| !source.one_in(4));
        let label = |raw: u64| match (mix(raw), ignored) {
            (choice, _) if choice.is_multiple_of(rare) => wrong,
            (choice, Some(ignored)) if choice >> 62 == 0 => ignored,
            _ => (raw % classes) as i64,
        };
        return if kind < 4 {
            PlacedTargets::Signed(source.array(&shape, 7, label))
        } else {
            PlacedTargets::Words(source.array(&shape, 7, |raw| label(raw) as u16))
        };
    }
    if kind == 5 && !matches!(loss, Item::Hinge { .. }) {
        let palette = source.palette();
        return PlacedTargets::Floats(source.numbers(&shape, palette));
    }
    // One-hot rows, some with something added.
    let seed = source.raw();
    let layout = source.layout(shape.len(), true);
    let extra = source.choose(&[1, -1, 2, 200]);
    let rows = layout.distinct(&shape, |i| {
        let (row, class) = (i as u64 / classes, i as u64 % classes);
        let hot = i64::from(mix(seed ^ row) % classes == class);
        let element = mix(seed ^ !(i as u64));
        if element.is_multiple_of(rare.saturating_mul(8)) {
            hot + extra
        } else {
            hot
        }
    });
    match kind {
        6 => {
            let rows = rows.mapv(|t| t == 1);
            PlacedTargets::Bools(Placed::new(layout, &shape, &rows, true))
        }
        7 => PlacedTargets::Signed(Placed::new(layout, &shape, &rows, 7)),
        8 => {
            let rows = rows.mapv(|t| t as u16);
            PlacedTargets::Words(Placed::new(layout, &shape, &rows, 7))
        }
        _ => {
            let rows = rows.mapv(|t| F::of(t as f64));
            PlacedTargets::Floats(Placed::new(layout, &shape, &rows, F::nan()))
        }
    }
}

impl<F: Number> Case<F> {
    fn classes(&self) -> usize {
        self.p.shape().last().copied().unwrap_or(0)
    }

    /// What the targets mean, where they fit.
    fn form(&self) -> Option<Form> {
        let (_, items) = self.p.shape().split_last()?;
        if self.t.shape() == self.p.shape() {
            Some(Form::Rows)
        } else if self.t.is_integer() && self.t.shape() == items {
            Some(Form::Labels)
        } else {
            None
        }
    }

    fn input_due(&self, min_classes: usize, one_hot: bool, ignored: Option<i64>) -> Due {
        let mut due = Due::default();
        let classes = self.classes();
        let Some(form) = self.form() else {
            due.certain(LossError::ShapeMismatch {
                predictions: self.p.shape().to_vec(),
                targets: self.t.shape().to_vec(),
            });
            return due;
        };
        if classes < min_classes {
            due.certain(LossError::TooFewClasses {
                classes,
                required: min_classes,
            });
        }
        match form {
            Form::Labels => {
                let labels = self.t.integers().unwrap_or_default();
                let fits = |t: i64| {
                    Some(t) == ignored || usize::try_from(t).is_ok_and(|label| label < classes)
                };
                if let Some((index, &label)) = labels.iter().enumerate().find(|&(_, &t)| !fits(t)) {
                    due.certain(LossError::LabelOutOfRange {
                        index,
                        label: i128::from(label),
                        classes,
                        pair: None,
                    });
                }
            }
            Form::Rows if one_hot && classes > 0 => {
                let t = self.t.floats(None);
                let t: Vec<f64> = t.iter().map(|t| t.wide()).collect();
                let is_one_hot = |row: &[f64]| {
                    let zeros = row.iter().filter(|&&t| t == 0.0).count();
                    row.iter().filter(|&&t| t == 1.0).count() == 1 && zeros + 1 == row.len()
                };
                if let Some(index) = t.chunks(classes).position(|row| !is_one_hot(row)) {
                    due.certain(LossError::NotOneHot { index });
                }
            }
            Form::Rows => {}
        }
        due
    }

    fn check(&self) -> Checked {
        self.check_accuracy()?;
        self.check_class_weights()?;
        let made = with_loss!(self.loss, loss => match self.ignored {
            None => {
                let boxed: Box<dyn AnyLoss<F>> = Box::new(Itemwise { loss, ignored: None });
                boxed
            }
            Some(label) => Box::new(Itemwise {
                loss: loss.ignore_label(i128::from(label)),
                ignored: Some(label),
            }),
        });
        let refused = made.as_ref().err().cloned();
        let plain = self.plain();
        let Some(loss) = check_parameters(made, &self.loss.bad_parameters())? else {
            if let (Some((loss, gradient)), Some(refused)) = (plain, refused) {
                let said = format!("{refused:?}");
                let errors = [loss.err(), gradient.err()]
                    .map(|error| error.map(|error| format!("{error:?}")));
                for got in errors {
                    ensure!(got.as_ref() == Some(&said), "plain: {got:?}, not {said}");
                }
            }
            return Ok(());
        };
        let due = self.due(self.ignored);
        let ignored = match (self.form(), self.ignored) {
            (Some(Form::Labels), Some(label)) => {
                self.t.integers().map(|labels| labels.mapv(|t| t == label))
            }
            _ => None,
        };
        let call = Call {
            loss: &*loss,
            p: &self.p,
            t: &self.t,
            by: &self.by,
            buffers: &self.buffers,
            due: &due,
            ignored: ignored.as_ref(),
        };
        let both = call.check()?;
        if let Some((loss, gradient)) = plain {
            let due = self.due(None);
            let loss = due.check("plain function", loss)?;
            let gradient = due.check("plain gradient", gradient)?;
            if let (Some(both), Some(loss), Some(gradient), None) =
                (&both, loss, gradient, self.ignored)
            {
                same("plain function", &loss, &both.0)?;
                same("plain gradient", &gradient, &both.1)?;
            }
        }
        with_loss!(self.loss, loss => match self.ignored {
            None => self.check_other_types(loss, both.as_ref()),
            Some(label) => {
                self.check_other_types(loss.ignore_label(i128::from(label)), both.as_ref())
            }
        })
        .map_err(|error| format!("{error:?}"))??;
        match both {
            Some(both) => self.check_values(&both, ignored.as_ref()),
            None => Ok(()),
        }
    }

    fn due(&self, ignored: Option<i64>) -> Due {
        let one_hot = matches!(self.loss, Item::Hinge { .. });
        self.input_due(self.loss.min_classes(), one_hot, ignored)
    }

    /// The plain functions, where there are some for these options.
    #[allow(clippy::type_complexity)]
    fn plain(&self) -> Option<(Result<ArrayD<F>, LossError>, Result<ArrayD<F>, LossError>)> {
        let p = || self.p.view();
        Some(for_targets!(self.t.view(), TargetsView, t => {
            let u = t.clone();
            match self.loss {
                Item::Crossentropy => (
                    categorical_crossentropy(p(), t),
                    categorical_crossentropy_gradient(p(), u),
                ),
                Item::Hinge { delta } => (
                    multiclass_hinge_loss(p(), t, delta),
                    multiclass_hinge_loss_gradient(p(), u, delta),
                ),
                Item::Logits { smoothing } if smoothing == F::zero() => (
                    categorical_crossentropy_with_logits(p(), t),
                    categorical_crossentropy_with_logits_gradient(p(), u),
                ),
                Item::Logits { .. } => return None,
            }
        }))
    }

    /// The same targets in other types and ranks give the same, and no gradient check panics.
    fn check_other_types<L: ItemwiseLoss<F>>(&self, loss: L, both: Option<&Both<F>>) -> Checked {
        let due = self.due(self.ignored);
        let same_as = |what: &str, got: Result<Both<F>, LossError>| -> Checked {
            if let (Some(got), Some(want)) = (due.check(what, got)?, both) {
                same(what, &got.0, &want.0)?;
                same(what, &got.1, &want.1)?;
            }
            Ok(())
        };
        let Some(integers) = self.t.integers() else {
            return Ok(());
        };
        macro_rules! as_other {
            ($($integer:ty)*) => {$(
                if integers.iter().all(|&t| <$integer>::try_from(t).is_ok()) {
                    let t = integers.mapv(|t| t as $integer);
                    let got = loss.loss_and_gradient(self.p.view(), &t);
                    same_as(stringify!($integer), got)?;
                }
            )*};
        }
        as_other!(i8 u8 i128 u128 usize);
        // Beyond all labels that an error can hold.
        if self.form() == Some(Form::Labels) && !integers.is_empty() {
            let t = integers.mapv(|_| u128::MAX);
            let got = loss.loss(self.p.view(), &t);
            ensure!(got.is_err(), "u128::MAX is a label");
        }
        // ndarray's debug assertions refuse copies of some empty views.
        if (1..=64).contains(&self.p.view().len()) {
            let result = gradcheck(loss, self.p.view(), &integers);
            let done = result.is_ok();
            ensure!(done == both.is_some(), "gradcheck: {result:?}");
        }
        let p = self.p.view().into_dimensionality::<Ix2>();
        let t = integers.into_dimensionality::<Ix1>();
        if let (Ok(p), Ok(t)) = (p, t) {
            let got = loss.loss_and_gradient(p, &t);
            same_as(
                "labels beside a matrix",
                got.map(|(l, g)| (l.into_dyn(), g.into_dyn())),
            )?;
        }
        Ok(())
    }

    fn check_values(
        &self,
        (losses, gradient): &Both<F>,
        ignored: Option<&ArrayD<bool>>,
    ) -> Checked {
        let classes = self.classes();
        let p: Vec<F> = self.p.view().iter().copied().collect();
        let gradient: Vec<F> = gradient.iter().copied().collect();
        let labels = self.t.integers();
        let t: Vec<f64> = self.t.floats(None).iter().map(|t| t.wide()).collect();
        for (item, &loss) in losses.iter().enumerate() {
            let span = item * classes..(item + 1) * classes;
            if ignored.and_then(|ignored| ignored.iter().nth(item)) == Some(&true) {
                let zero = loss == F::zero() && gradient[span].iter().all(|&g| g == F::zero());
                ensure!(zero, "item {item} is not ignored");
                continue;
            }
            let aim = match (self.form(), &labels) {
                (Some(Form::Labels), Some(labels)) => {
                    let label = labels.iter().nth(item).copied().unwrap_or(0);
                    Aim::Label(usize::try_from(label).map_err(|error| error.to_string())?)
                }
                _ => Aim::Row(t[span.clone()].to_vec()),
            };
            let (value, derivatives) = self.loss.of(&p[span.clone()], &aim);
            near(("loss of item", item), loss, value)?;
            let pairs = gradient[span].iter().zip(derivatives);
            for (class, (&g, derivative)) in pairs.enumerate() {
                near(("gradient of item, class", item, class), g, derivative)?;
            }
        }
        Ok(())
    }

    fn check_accuracy(&self) -> Checked {
        let (top_k, classes) = (self.top_k, self.classes());
        let got = for_targets!(self.t.view(), TargetsView, t => {
            categorical_accuracy(self.p.view(), t, top_k)
        });
        let mut due = self.input_due(0, false, None);
        if top_k == 0 || top_k > classes {
            due.certain(LossError::InvalidParameter {
                name: "top_k",
                value: top_k as f64,
                requirement: "at least 1 and at most the number of classes",
            });
        }
        let Some(got) = due.check("categorical_accuracy", got)? else {
            return Ok(());
        };
        let p: Vec<f64> = self.p.view().iter().map(|p| p.wide()).collect();
        let t: Vec<f64> = self.t.floats(None).iter().map(|t| t.wide()).collect();
        for (item, &got) in got.iter().enumerate() {
            let row = &p[item * classes..(item + 1) * classes];
            let label = match self.form() {
                Some(Form::Labels) => Some(t[item] as usize),
                _ => largest(&t[item * classes..(item + 1) * classes]),
            };
            let right = label.is_some_and(|label| {
                let before = row
                    .iter()
                    .enumerate()
                    .filter(|&(j, &x)| x > row[label] || x == row[label] && j < label);
                !row[label].is_nan() && before.count() < top_k
            });
            let want = if right { F::one() } else { F::zero() };
            ensure!(got == want, "categorical_accuracy: {got:?} for item {item}");
        }
        Ok(())
    }

    fn check_class_weights(&self) -> Checked {
        let Some(labels) = self.t.integers() else {
            return Ok(());
        };
        let weights = Array1::from_vec(self.weights.clone());
        let classes = weights.len();
        let due = |ignored: Option<i64>| {
            let fits = |t: i64| Some(t) == ignored || usize::try_from(t).is_ok_and(|t| t < classes);
            let mut due = Due::default();
            if let Some((index, &label)) = labels.iter().enumerate().find(|&(_, &t)| !fits(t)) {
                due.certain(LossError::LabelOutOfRange {
                    index,
                    label: i128::from(label),
                    classes,
                    pair: None,
                });
            }
            due
        };
        let of = |label: i64, ignored: Option<i64>| match usize::try_from(label) {
            _ if Some(label) == ignored => F::zero(),
            Ok(label) => weights[label],
            Err(_) => F::nan(),
        };
        let got = match &self.t {
            PlacedTargets::Words(t) => class_weights(&weights, t.view()),
            PlacedTargets::Signed(t) => class_weights(&weights, t.view()),
            _ => return Ok(()),
        };
        if let Some(got) = due(None).check("class_weights", got)? {
            same("class_weights", &got, &labels.mapv(|t| of(t, None)))?;
        }
        let ignored = self.ignored.unwrap_or(-100);
        let got = class_weights_ignoring(&weights, &labels, i128::from(ignored));
        if let Some(got) = due(Some(ignored)).check("class_weights_ignoring", got)? {
            let want = labels.mapv(|t| of(t, Some(ignored)));
            same("class_weights_ignoring", &got, &want)?;
        }
        let mut due = due(None);
        if classes == 0 {
            due.certain(LossError::InvalidParameter {
                name: "classes",
                value: 0.0,
                requirement: "at least 1",
            });
        }
        let got = balanced_class_weights::<F, _, _>(&labels, classes);
        if let Some(got) = due.check("balanced_class_weights", got)? {
            let want = ArrayD::from_shape_fn(IxDyn(&[classes]), |class| {
                let count = labels.iter().filter(|&&t| t == class[0] as i64).count();
                F::of(match count {
                    0 => f64::INFINITY,
                    _ => labels.len() as f64 / (classes as f64 * count as f64),
                })
            });
            same("balanced_class_weights", &got.into_dyn(), &want)?;
        }
        Ok(())
    }
}

/// The first of the largest; none in a row with a NaN.
fn largest(row: &[f64]) -> Option<usize> {
    let has_nan = row.iter().any(|t| t.is_nan());
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter().position(|&t| t == most && !has_nan)
}
