//! One call of every method: its targets and buffers, and what has to come back.

use std::fmt::Debug;

use ndarray::{ArrayD, ArrayRef, IxDyn};
use ndarray_loss::{BinaryLabels, LossError, aggregate, aggregate_gradient};

use crate::by::By;
use crate::check::{Checked, Due, ensure, near, same, same_number};
use crate::erased::{AnyLoss, Targets, TargetsView, for_targets, map_targets};
use crate::number::Number;
use crate::source::{Layout, Placed, Source};

/// Targets in some layout.
pub(crate) enum PlacedTargets<F> {
    Floats(Placed<F>),
    Bools(Placed<bool>),
    Signed(Placed<i64>),
    Words(Placed<u16>),
}

impl<F: Number> std::fmt::Debug for PlacedTargets<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Floats(t) => write!(f, "floats of {t:?}"),
            Self::Bools(t) => write!(f, "bools of {t:?}"),
            Self::Signed(t) => write!(f, "i64 of {t:?}"),
            Self::Words(t) => write!(f, "u16 of {t:?}"),
        }
    }
}

impl<F: Number> PlacedTargets<F> {
    pub(crate) fn view(&self) -> TargetsView<'_, F> {
        map_targets!(self, PlacedTargets => TargetsView, t => t.view())
    }

    pub(crate) fn shape(&self) -> &[usize] {
        for_targets!(self, PlacedTargets, t => t.shape())
    }

    pub(crate) fn to_owned(&self) -> Targets<F> {
        map_targets!(self, PlacedTargets => Targets, t => t.to_owned())
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self, Self::Signed(_) | Self::Words(_))
    }

    /// The integers.
    pub(crate) fn integers(&self) -> Option<ArrayD<i64>> {
        self.to_owned().labels()
    }

    /// As numbers, `bool` as the pair that the loss declares.
    pub(crate) fn floats(&self, pair: Option<BinaryLabels>) -> ArrayD<F> {
        let low = match pair {
            Some(BinaryLabels::PlusMinusOne) => -F::one(),
            _ => F::zero(),
        };
        match self {
            Self::Floats(t) => t.to_owned(),
            Self::Bools(t) => t.to_owned().mapv(|t| if t { F::one() } else { low }),
            Self::Signed(t) => t.to_owned().mapv(|t| rounded::<F>(t)),
            Self::Words(t) => t.to_owned().mapv(|t| F::of(f64::from(t))),
        }
    }
}

/// Rounded once.
fn rounded<F: Number>(t: i64) -> F {
    if F::NAME == "f32" {
        F::of(f64::from(t as f32))
    } else {
        F::of(t as f64)
    }
}

/// Output buffers, of right and wrong shapes, in layouts.
#[derive(Debug)]
pub(crate) struct Buffers {
    loss: (Vec<usize>, Layout),
    gradient: (Vec<usize>, Layout),
    in_place: Layout,
}

impl Buffers {
    pub(crate) fn new(source: &mut Source<'_>, loss: &[usize], gradient: &[usize]) -> Self {
        let mut buffer = |shape: &[usize]| {
            let shape = if source.one_in(12) {
                source.other_shape(shape)
            } else {
                shape.to_vec()
            };
            let layout = source.layout(shape.len(), false);
            (shape, layout)
        };
        Self {
            loss: buffer(loss),
            gradient: buffer(gradient),
            in_place: source.layout(gradient.len(), false),
        }
    }
}

fn sentinel<F: Number>() -> F {
    F::of(-77.0)
}

/// A buffer full of sentinels.
pub(crate) fn buffer<F: Number>((shape, layout): &(Vec<usize>, Layout)) -> Placed<F> {
    let unset = ArrayD::from_elem(IxDyn(shape), sentinel());
    Placed::new(layout.clone(), shape, &unset, sentinel())
}

/// Whether nothing was written to a buffer, or nothing beside it.
pub(crate) fn check_untouched<F: Number>(
    what: &str,
    mut buffer: Placed<F>,
    beside: bool,
) -> Checked {
    if beside {
        buffer.view_mut().fill(sentinel());
    }
    let untouched = buffer
        .memory()
        .iter()
        .all(|x| x.bits() == sentinel::<F>().bits());
    ensure!(
        untouched,
        "{what}: a buffer was written to: {:?}",
        buffer.memory()
    );
    Ok(())
}

pub(crate) fn output_due(due: &mut Due, expected: &[usize], output: &[usize]) {
    if expected != output {
        due.certain(LossError::OutputShapeMismatch {
            expected: expected.to_vec(),
            output: output.to_vec(),
        });
    }
}

/// A loss with all that its methods take.
pub(crate) struct Call<'a, F: Number> {
    pub(crate) loss: &'a dyn AnyLoss<F>,
    pub(crate) p: &'a Placed<F>,
    pub(crate) t: &'a PlacedTargets<F>,
    pub(crate) by: &'a By<F>,
    pub(crate) buffers: &'a Buffers,
    /// What has to be refused of predictions and targets.
    pub(crate) due: &'a Due,
    /// Which items have a label that is ignored.
    pub(crate) ignored: Option<&'a ArrayD<bool>>,
}

/// Losses and gradient.
pub(crate) type Both<F> = (ArrayD<F>, ArrayD<F>);

impl<F: Number> Call<'_, F> {
    /// Checks all methods against each other, and gives losses and gradient.
    pub(crate) fn check(&self) -> Result<Option<Both<F>>, String> {
        let (loss, due) = (self.loss, self.due);
        let (p, t) = (|| self.p.view(), || self.t.view());
        let losses = due.check("loss", loss.loss(p(), t()))?;
        let gradient = due.check("gradient", loss.gradient(p(), t()))?;
        let both = due.check("loss_and_gradient", loss.loss_and_gradient(p(), t()))?;
        let both = match (losses, gradient, both) {
            (Some(losses), Some(gradient), Some(both)) => {
                ensure!(
                    losses.shape() == loss.loss_shape(self.p.shape()),
                    "loss of shape {:?}",
                    losses.shape()
                );
                ensure!(
                    gradient.shape() == self.p.shape(),
                    "gradient of shape {:?}",
                    gradient.shape()
                );
                same("loss of loss_and_gradient", &both.0, &losses)?;
                same("gradient of loss_and_gradient", &both.1, &gradient)?;
                Some(both)
            }
            _ => None,
        };
        self.check_buffers(both.as_ref())?;
        self.check_objectives(both.as_ref())?;
        Ok(both)
    }

    fn loss_shape(&self) -> &[usize] {
        self.loss.loss_shape(self.p.shape())
    }

    fn check_buffers(&self, both: Option<&Both<F>>) -> Checked {
        let (p, t) = (|| self.p.view(), || self.t.view());
        let (mut of_loss, mut of_gradient) = (self.due.clone(), self.due.clone());
        output_due(&mut of_loss, self.loss_shape(), &self.buffers.loss.0);
        output_due(&mut of_gradient, self.p.shape(), &self.buffers.gradient.0);

        let mut out = buffer::<F>(&self.buffers.loss);
        let done = self.loss.loss_into(p(), t(), &mut out.view_mut());
        let done = of_loss.check("loss_into", done)?;
        self.check_filled("loss_into", out, done.and(both).map(|both| &both.0))?;

        let mut out = buffer::<F>(&self.buffers.gradient);
        let done = self.loss.gradient_into(p(), t(), &mut out.view_mut());
        let done = of_gradient.check("gradient_into", done)?;
        self.check_filled("gradient_into", out, done.and(both).map(|both| &both.1))?;

        let what = "loss_and_gradient_into";
        let mut loss = buffer::<F>(&self.buffers.loss);
        let mut gradient = buffer::<F>(&self.buffers.gradient);
        let outs: (&mut ArrayRef<F, IxDyn>, &mut ArrayRef<F, IxDyn>) =
            (&mut loss.view_mut(), &mut gradient.view_mut());
        let done = self.loss.loss_and_gradient_into(p(), t(), outs.0, outs.1);
        let done = of_loss.with(&of_gradient).check(what, done)?;
        self.check_filled(what, loss, done.and(both).map(|both| &both.0))?;
        self.check_filled(what, gradient, done.and(both).map(|both| &both.1))
    }

    /// Whether a buffer holds a result, or, where there is none, what it held.
    fn check_filled(&self, what: &str, out: Placed<F>, want: Option<&ArrayD<F>>) -> Checked {
        if let Some(want) = want {
            same(what, &out.to_owned(), want)?;
        }
        check_untouched(what, out, want.is_some())
    }

    fn check_objectives(&self, both: Option<&Both<F>>) -> Checked {
        let due = self.due.with(&self.by.due(self.loss_shape(), self.ignored));
        let by = self.by.aggregate();
        let (loss, p, t) = (self.loss, || self.p.view(), || self.t.view());
        let value = due.check("objective", loss.objective(p(), t(), &by))?;
        let what = "objective_and_gradient";
        let pair = due.check(what, loss.objective_and_gradient(p(), t(), &by))?;

        let mut due_into = due.clone();
        output_due(&mut due_into, self.p.shape(), &self.buffers.gradient.0);
        let mut out = buffer::<F>(&self.buffers.gradient);
        let into = loss.objective_and_gradient_into(p(), t(), &by, &mut out.view_mut());
        let into = due_into.check("objective_and_gradient_into", into)?;

        let own = self.p.to_owned();
        let layout = self.buffers.in_place.clone();
        let mut place = Placed::new(layout, self.p.shape(), &own, sentinel());
        let before = place.clone();
        let in_place = loss.objective_and_gradient_in_place(&mut place.view_mut(), t(), &by);
        let in_place = due.check("objective_and_gradient_in_place", in_place)?;

        let Some((losses, gradient)) = both else {
            return self
                .check_filled("objective_and_gradient_into", out, None)
                .and_then(|()| unchanged(&place, &before));
        };
        let (Some(value), Some(pair), Some(in_place)) = (value, pair, in_place) else {
            return self
                .check_filled("objective_and_gradient_into", out, None)
                .and_then(|()| unchanged(&place, &before));
        };
        let want = self.by.value(losses, self.ignored);
        near("objective", value, want)?;
        near(what, pair.0, want)?;
        near("objective_and_gradient_in_place", in_place, want)?;
        let result = place.to_owned();
        same("gradient in place", &result, &pair.1)?;
        check_untouched("in place", place, true)?;
        self.check_filled("objective_and_gradient_into", out, into.map(|_| &pair.1))?;
        if let Some(into) = into {
            near("objective_and_gradient_into", into, want)?;
        }
        self.check_gradient_of_objective(losses, gradient, &pair.1)?;
        self.check_in_row_major_order(losses, &own, value, &pair.1)
    }

    /// Each element is the rounded product of the gradient and that of the aggregate; 0 where nothing counts.
    fn check_gradient_of_objective(
        &self,
        losses: &ArrayD<F>,
        gradient: &ArrayD<F>,
        got: &ArrayD<F>,
    ) -> Checked {
        let weights = self.by.weights(losses.shape());
        let of_losses = aggregate_gradient(losses, self.by.aggregate());
        let counts_all = self
            .ignored
            .is_none_or(|ignored| !ignored.iter().any(|&out| out));
        let divisor = self.by.divisor(losses.shape(), self.ignored).0;
        let is_mean = matches!(self.by, By::Mean | By::MaskedMean(_));
        let of_losses = match of_losses {
            Ok(of_losses) if counts_all || !is_mean => of_losses,
            // Ignored items are not counted.
            _ => weights.mapv(|w| F::of(w.wide() / divisor)),
        };
        let of_losses = of_losses.as_standard_layout().into_owned();
        let each = got.len().checked_div(losses.len()).unwrap_or(1).max(1);
        let got = got.as_standard_layout();
        let gradient = gradient.as_standard_layout();
        for (i, (&got, &g)) in got.iter().zip(&gradient).enumerate() {
            let item = i / each;
            let at = |array: &ArrayD<F>| array.as_slice().map_or(F::nan(), |slice| slice[item]);
            let is_out = at(&weights) == F::zero()
                || self
                    .ignored
                    .is_some_and(|ignored| ignored.iter().nth(item) == Some(&true));
            let what = format!("gradient of the objective, element {i}");
            if is_out {
                ensure!(got == F::zero(), "{what}: {got:?} where nothing counts");
            } else {
                same_number(&what, got, g * at(&of_losses))?;
            }
        }
        Ok(())
    }

    /// There the objective is the aggregate of the losses, bit for bit.
    fn check_in_row_major_order(
        &self,
        losses: &ArrayD<F>,
        p: &ArrayD<F>,
        value: F,
        gradient: &ArrayD<F>,
    ) -> Checked {
        let left_out = |ignored: &ArrayD<bool>| ignored.iter().any(|&out| out);
        if self.ignored.is_some_and(left_out) {
            return Ok(());
        }
        let (p, t) = (p.view(), self.t.to_owned());
        let objective = "in row-major order: objective";
        let pair = "in row-major order: objective_and_gradient";
        let in_place = "in row-major order: objective_and_gradient_in_place";

        // Gradients with the weights as they are: a total of weights that overflows on the way depends on their order.
        let by = self.by.aggregate();
        let got = self.loss.objective_and_gradient(p.clone(), t.view(), &by);
        let (_, got) = got.map_err(|error| format!("{pair}: {error:?}"))?;
        same(pair, &got, gradient)?;
        let mut own = p.to_owned();
        self.loss
            .objective_and_gradient_in_place(&mut own, t.view(), &by)
            .map_err(|error| format!("{in_place}: {error:?}"))?;
        same(in_place, &own, gradient)?;

        // Values with the weights in row-major order too.
        let by = self.by.in_row_major_order();
        let by = by.aggregate();
        let losses = losses.as_standard_layout().into_owned();
        let want = aggregate(&losses, &by);
        let got = self.loss.objective(p.clone(), t.view(), &by);
        same_outcome(objective, &got, &want)?;
        let got = self.loss.objective_and_gradient(p.clone(), t.view(), &by);
        same_outcome(pair, &got.map(|(value, _)| value), &want)?;
        let mut own = p.to_owned();
        let got = self
            .loss
            .objective_and_gradient_in_place(&mut own, t.view(), &by);
        same_outcome(in_place, &got, &want)?;
        let is_row_major = self.by.is_row_major() && self.p.view().is_standard_layout() && {
            for_targets!(self.t, PlacedTargets, t => t.view().is_standard_layout())
        };
        if is_row_major {
            same_outcome("objective of the same arrays", &Ok(value), &want)?;
        }
        Ok(())
    }
}

/// Both fail alike, or have the same bits.
fn same_outcome<F: Number>(
    what: &str,
    got: &Result<F, LossError>,
    want: &Result<F, LossError>,
) -> Checked {
    match (got, want) {
        (Ok(got), Ok(want)) => {
            same_number(&format!("{what} against aggregate of loss"), *got, *want)
        }
        _ => {
            ensure!(
                got == want,
                "{what}: {got:?}, but aggregate of loss {want:?}"
            );
            Ok(())
        }
    }
}

fn unchanged<F: Number>(got: &Placed<F>, before: &Placed<F>) -> Checked {
    let (got, before) = (got.memory().iter(), before.memory().iter());
    let same = got
        .zip(before)
        .all(|(got, before)| got.bits() == before.bits());
    ensure!(
        same,
        "in place: predictions were changed in spite of an error"
    );
    Ok(())
}
