//! What holds for all losses alike: errors where they are due, and all methods bit for bit the same.

use std::fmt::Debug;

use ndarray::{ArrayD, ArrayRef, ArrayViewD, Axis, Dimension, IxDyn};
use ndarray_loss::{Aggregate, BinaryLabels, LossError, aggregate, aggregate_gradient};

use crate::erased::{AnyLoss, Targets, TargetsView, for_targets, map_targets};
use crate::number::Number;
use crate::oracle::Near;
use crate::source::{Layout, Palette, Placed, Source, mix};

/// Why a result is wrong.
pub(crate) type Checked = Result<(), String>;

/// Fails with a message unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// Errors that a call has to give one of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Due {
    certain: Vec<LossError>,
    /// Where rounding decides.
    possible: Vec<LossError>,
}

impl Due {
    pub(crate) fn certain(&mut self, error: LossError) {
        self.certain.push(error);
    }

    pub(crate) fn is_none(&self) -> bool {
        self.certain.is_empty()
    }

    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.certain.extend(other.certain.iter().cloned());
        both.possible.extend(other.possible.iter().cloned());
        both
    }

    /// The result, if one is due; an error message if it is wrong.
    pub(crate) fn check<T>(
        &self,
        what: &str,
        result: Result<T, LossError>,
    ) -> Result<Option<T>, String> {
        match result {
            Ok(result) => {
                ensure!(
                    self.is_none(),
                    "{what}: no error, where {:?} is due",
                    self.certain
                );
                Ok(Some(result))
            }
            Err(error) => {
                // by what they say, since a NaN in them is not equal to itself
                let mut all = self.certain.iter().chain(&self.possible);
                let said = format!("{error:?}");
                let fits = all.any(|due| format!("{due:?}") == said);
                ensure!(fits, "{what}: {error:?}, where {self:?} are due");
                ensure!(
                    !error.to_string().is_empty(),
                    "{what}: an error without a message"
                );
                Ok(None)
            }
        }
    }
}

/// Whether a parameter is refused exactly if it has to be.
pub(crate) fn check_parameters<L, F: Number>(
    made: Result<L, LossError>,
    bad: &[(&'static str, F)],
) -> Result<Option<L>, String> {
    match made {
        Ok(loss) => {
            ensure!(bad.is_empty(), "accepted: {bad:?}");
            Ok(Some(loss))
        }
        Err(LossError::InvalidParameter { name, value, .. }) => {
            let fits = bad.iter().any(|&(bad_name, bad)| {
                bad_name == name && bad.wide().to_bits() == value.to_bits()
                    || bad_name == name && bad.is_nan() && value.is_nan()
            });
            ensure!(fits, "refused {name} {value}, where {bad:?} are bad");
            Ok(None)
        }
        Err(error) => Err(format!("{error:?} for parameters")),
    }
}

/// Arrays of the same shape and bits.
pub(crate) fn same<F: Number>(what: &str, got: &ArrayD<F>, want: &ArrayD<F>) -> Checked {
    ensure!(
        got.shape() == want.shape(),
        "{what}: shape {:?}, not {:?}",
        got.shape(),
        want.shape()
    );
    for ((index, got), want) in got.indexed_iter().zip(want) {
        ensure!(
            got.bits() == want.bits(),
            "{what}: {got:?}, not {want:?} at {:?}",
            index.slice()
        );
    }
    Ok(())
}

pub(crate) fn same_number<F: Number>(what: &str, got: F, want: F) -> Checked {
    ensure!(got.bits() == want.bits(), "{what}: {got:?}, not {want:?}");
    Ok(())
}

/// Whether a result is what the oracle says.
pub(crate) fn near<F: Number>(what: impl Debug, got: F, want: Near) -> Checked {
    ensure!(
        want.accepts(got),
        "{what:?}: {got:?}, but the oracle says {want:?}"
    );
    Ok(())
}

/// Shapes as ndarray broadcasts, or n of them for a column.
pub(crate) fn broadcasts(from: &[usize], to: &[usize]) -> bool {
    let plain = from.len() <= to.len()
        && from
            .iter()
            .rev()
            .zip(to.iter().rev())
            .all(|(&from, &to)| from == to || from == 1);
    plain || matches!(*to, [n, 1] if from == [n])
}

/// An array in the shape of the loss, whose broadcasting was checked.
pub(crate) fn broadcast<A: Copy>(from: &ArrayD<A>, to: &[usize]) -> ArrayD<A> {
    match from.broadcast(IxDyn(to)) {
        Some(view) => ArrayD::from_shape_fn(IxDyn(to), |index| view[index]),
        None => from.clone().insert_axis(Axis(1)),
    }
}

/// Weights in some layout, or none.
#[derive(Debug, Clone)]
pub(crate) enum By<F: Number> {
    Mean,
    Sum,
    WeightedMean(Placed<F>),
    WeightedSum(Placed<F>),
    NormalizedSum(Placed<F>),
    MaskedMean(Placed<bool>),
}

impl<F: Number> By<F> {
    pub(crate) fn new(source: &mut Source<'_>, loss: &[usize]) -> Self {
        let kind = source.below(6);
        let shape = match source.below(8) {
            0 | 1 => source.other_shape(loss),
            2 => loss.iter().map(|&n| if n > 1 { 1 } else { n }).collect(),
            3 => loss.last().copied().into_iter().collect(),
            4 => Vec::new(),
            5 => loss.first().copied().into_iter().collect(),
            _ => loss.to_vec(),
        };
        let palette = source.choose(&[
            Palette::Ordinary,
            Palette::Grid,
            Palette::Probabilities,
            Palette::Bits,
            Palette::Mixed,
            Palette::Edges,
            Palette::Any,
        ]);
        match kind {
            0 => By::Mean,
            1 => By::Sum,
            2 => By::WeightedMean(source.numbers(&shape, palette)),
            3 => By::WeightedSum(source.numbers(&shape, palette)),
            4 => By::NormalizedSum(source.numbers(&shape, palette)),
            _ => {
                let rare = source.choose(&[2, 1, 7, 1000]);
                By::MaskedMean(source.array(&shape, true, |raw| mix(raw).is_multiple_of(rare)))
            }
        }
    }

    pub(crate) fn aggregate(&self) -> Aggregate<'_, F> {
        match self {
            By::Mean => Aggregate::Mean,
            By::Sum => Aggregate::Sum,
            By::WeightedMean(w) => Aggregate::weighted_mean(w.view()),
            By::WeightedSum(w) => Aggregate::weighted_sum(w.view()),
            By::NormalizedSum(w) => Aggregate::normalized_sum(w.view()),
            By::MaskedMean(mask) => Aggregate::masked_mean(mask.view()),
        }
    }

    /// The weights in the shape of the loss, 1 where there are none.
    pub(crate) fn weights(&self, loss: &[usize]) -> ArrayD<F> {
        match self {
            By::Mean | By::Sum => ArrayD::from_elem(IxDyn(loss), F::one()),
            By::WeightedMean(w) | By::WeightedSum(w) | By::NormalizedSum(w) => {
                broadcast(&w.to_owned(), loss)
            }
            By::MaskedMean(mask) => {
                let mask = broadcast(&mask.to_owned(), loss);
                mask.mapv(|keep| if keep { F::one() } else { F::zero() })
            }
        }
    }

    /// What the sum is divided by, and how exactly that is known.
    pub(crate) fn divisor(&self, loss: &[usize], ignored: Option<&ArrayD<bool>>) -> (f64, f64) {
        let size: usize = loss.iter().product();
        let counts = |mask: &ArrayD<F>| match ignored {
            None => mask.iter().filter(|&&w| w != F::zero()).count(),
            Some(ignored) => {
                let both = mask.iter().zip(ignored);
                both.filter(|&(&w, &out)| w != F::zero() && !out).count()
            }
        };
        match self {
            By::Mean | By::MaskedMean(_) => (counts(&self.weights(loss)) as f64, 0.0),
            By::WeightedMean(_) => (size as f64, 0.0),
            By::Sum | By::WeightedSum(_) => (1.0, 0.0),
            By::NormalizedSum(w) => {
                let w = w.to_owned();
                let total: f64 = w.iter().map(|w| w.wide()).sum();
                let magnitude: f64 = w.iter().map(|w| w.wide().abs()).sum();
                (total, magnitude)
            }
        }
    }

    /// What has to be refused.
    pub(crate) fn due(&self, loss: &[usize], ignored: Option<&ArrayD<bool>>) -> Due {
        let mut due = Due::default();
        let shape = match self {
            By::Mean | By::Sum => None,
            By::WeightedMean(w) | By::WeightedSum(w) | By::NormalizedSum(w) => Some(w.shape()),
            By::MaskedMean(mask) => Some(mask.shape()),
        };
        if let Some(weights) = shape.filter(|shape| !broadcasts(shape, loss)) {
            due.certain(LossError::WeightsShapeMismatch {
                loss: loss.to_vec(),
                weights: weights.to_vec(),
            });
            due.possible.push(LossError::EmptyMean);
            due.possible.push(LossError::ZeroTotalWeight);
            return due;
        }
        let (divisor, magnitude) = self.divisor(loss, ignored);
        match self {
            By::NormalizedSum(_) if magnitude == 0.0 => due.certain(LossError::ZeroTotalWeight),
            By::NormalizedSum(_) if divisor.abs() <= 1e-9 * magnitude => {
                due.possible.push(LossError::ZeroTotalWeight);
            }
            By::Mean | By::MaskedMean(_) | By::WeightedMean(_) if divisor == 0.0 => {
                due.certain(LossError::EmptyMean);
            }
            _ => {}
        }
        due
    }

    /// The aggregate of these losses, by the definition.
    pub(crate) fn value(&self, losses: &ArrayD<F>, ignored: Option<&ArrayD<bool>>) -> Near {
        let (divisor, total_magnitude) = self.divisor(losses.shape(), ignored);
        let (mut sum, mut magnitude, mut finite_magnitude) = (0.0, 0.0, 0.0);
        let mut overflows = false;
        for (l, w) in losses.iter().zip(&self.weights(losses.shape())) {
            if *w != F::zero() {
                let product = w.wide() * l.wide();
                sum += product;
                magnitude += product.abs();
                if product.is_finite() {
                    finite_magnitude += product.abs();
                }
                overflows |= product.is_infinite() && w.is_finite() && l.is_finite();
            }
        }
        overflows |= finite_magnitude > f64::MAX / 16.0;
        // Losses of both signs, or weights, near the largest f64.
        let divisor_is_unclear = total_magnitude > f64::MAX / 16.0 && F::MAX == f64::MAX;
        if overflows && F::MAX == f64::MAX || divisor_is_unclear {
            return Near::anything();
        }
        let value = sum / divisor;
        if divisor.abs() <= 1e-6 * total_magnitude && divisor.is_finite() {
            // cancels
            return Near::anything();
        }
        let size = (magnitude + value.abs() * total_magnitude) / divisor.abs();
        if value.is_finite() && F::MAX < f64::MAX {
            Near::relative_to::<F>(value, size)
        } else {
            Near::new::<F>(value, size, 1.0)
        }
    }
}

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
        let weights = self.by.weights(losses.shape());
        if self.p.view().is_empty() && weights.iter().any(|w| !w.is_finite()) {
            // Known: items without classes add 0, even where the weight is infinite.
            return Ok(());
        }
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
        if self
            .ignored
            .is_some_and(|ignored| ignored.iter().any(|&out| out))
        {
            return Ok(());
        }
        let by = self.by.aggregate();
        let losses = losses.as_standard_layout().into_owned();
        let want = aggregate(&losses, &by).map_err(|error| format!("aggregate: {error:?}"))?;
        let t = self.t.to_owned();
        let failed = |error| format!("in row-major order: {error:?}");
        let p: ArrayViewD<'_, F> = p.view();
        let got = self
            .loss
            .objective(p.clone(), t.view(), &by)
            .map_err(failed)?;
        same_number("objective against aggregate of loss", got, want)?;
        let pair = self.loss.objective_and_gradient(p.clone(), t.view(), &by);
        let pair = pair.map_err(failed)?;
        same_number(
            "objective_and_gradient against aggregate of loss",
            pair.0,
            want,
        )?;
        same("gradient in row-major order", &pair.1, gradient)?;
        let mut own = p.to_owned();
        let got = self
            .loss
            .objective_and_gradient_in_place(&mut own, t.view(), &by);
        same_number(
            "in place against aggregate of loss",
            got.map_err(failed)?,
            want,
        )?;
        same("gradient in place, in row-major order", &own, gradient)?;
        let is_row_major = self.p.view().is_standard_layout() && {
            for_targets!(self.t, PlacedTargets, t => t.view().is_standard_layout())
        };
        if is_row_major {
            same_number("objective of the same arrays", value, want)?;
        }
        Ok(())
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
