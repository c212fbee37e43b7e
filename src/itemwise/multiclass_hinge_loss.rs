//! The multi-class hinge loss.

use ndarray::{Array, ArrayView, Dimension};

use super::{ClassTargetShape, ItemwiseLoss};
use crate::elementwise::binary_hinge_loss::check_margin;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    Abreast, Access, AnyRowKernel, Block, Columns, Dense, Gradient, Group, GroupTargets, Item,
    ItemKernel, LanesAcross, Largest, LargestAcross, Piece, ROWS, RowKernel, abreast, as_floats,
    largest_and_any_nan, offsets, scores_of_labels, transpose, transpose_back, update,
};
use crate::{Float, LossError, Target};

/// The multi-class hinge loss with its margin δ: see [`multiclass_hinge_loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MulticlassHingeLoss<F> {
    delta: F,
}

impl<F: Float> MulticlassHingeLoss<F> {
    /// The hinge loss with a margin of `delta`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) if `delta` is negative or not finite.
    pub fn new(delta: F) -> Result<Self, LossError> {
        check_margin(delta)?;
        Ok(Self { delta })
    }

    /// rival − own + δ, rounded nearly once: its sign, and so the kink, is right.
    #[inline(always)]
    fn margin(self, rival: F, own: F) -> F {
        let difference = rival - own;
        let own_part = rival - difference;
        let error = (rival - (difference + own_part)) + (own_part - own);
        let sum = difference + self.delta;
        let delta_part = sum - difference;
        let second = (difference - (sum - delta_part)) + (self.delta - delta_part);
        let rest = error + second;
        if rest.is_finite() { sum + rest } else { sum }
    }
}

impl<F: Float> Default for MulticlassHingeLoss<F> {
    /// δ = 1
    fn default() -> Self {
        Self { delta: F::one() }
    }
}

impl<F: Float> ItemKernel<F> for MulticlassHingeLoss<F> {
    fn min_classes(&self) -> usize {
        2
    }
    fn dense(&self) -> Dense {
        Dense::OneHot
    }
    fn cost(&self) -> f32 {
        0.4
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        F::of_items(self)
    }
}

impl<F: Float> RowKernel<F> for MulticlassHingeLoss<F> {
    fn rows_like_a_group(classes: usize) -> usize {
        if size_of::<F>() <= size_of::<f32>() {
            4 + classes / 7
        } else {
            8 + classes / 5
        }
    }

    #[inline(always)]
    fn group(self, group: Group<'_, F>) {
        let (zero, one) = (F::zero(), F::one());
        // Never reached with rows of targets: they have become labels.
        let GroupTargets::Labels(labels) = group.targets else {
            return;
        };
        let panel = &mut group.panel[..group.classes];
        transpose(group.scores, panel);
        let own = scores_of_labels(group.scores, group.classes, labels);
        // Taken out, so that all that remain are rivals.
        for (r, &label) in labels.iter().enumerate() {
            if let Some(lanes) = panel.get_mut(label) {
                lanes[r] = F::neg_infinity();
            }
        }
        let labels = as_floats::<F>(labels);
        let mut rival = [F::neg_infinity(); ROWS];
        let mut rival_class = [-one; ROWS];
        let mut nan = own;
        let mut class = zero;
        for scores in panel.iter() {
            for i in 0..ROWS {
                let x = scores[i];
                let greater = x > rival[i];
                rival[i] = update(greater, x, rival[i]);
                rival_class[i] = update(greater, class, rival_class[i]);
                nan[i] = update(x.is_nan(), x, nan[i]);
            }
            class += one;
        }
        let mut steps = [zero; ROWS];
        for i in 0..ROWS {
            let margin = self.margin(rival[i], own[i]);
            let margin = if nan[i].is_nan() { nan[i] } else { margin };
            group.losses[i] = value(margin);
            steps[i] = step(margin);
        }
        if let Some(gradient) = group.gradient {
            let mut class = zero;
            for out in panel.iter_mut() {
                for i in 0..ROWS {
                    let step = steps[i];
                    let of_rival = if rival_class[i] == class { step } else { zero };
                    let g = if labels[i] == class { -step } else { of_rival };
                    let g = if step.is_nan() { step } else { g + zero };
                    out[i] = g * group.coefficients[i];
                }
                class += one;
            }
            transpose_back(panel, gradient);
        }
    }

    type Known = LongRow<F>;
    type Sums = [Lanes; 0];
    type Pass = Pass;
    const PASSES: &'static [(Pass, Access)] = &[
        (
            Pass::Rivals,
            Access {
                scores: true,
                across: true,
                ..Access::NONE
            },
        ),
        (
            Pass::Gradient,
            Access {
                gradient: Gradient::Filled,
                across: true,
                ..Access::NONE
            },
        ),
    ];

    #[inline(always)]
    fn begin(self, item: Item<F>, score: impl Fn(usize) -> F) -> LongRow<F> {
        // Rows of targets have become labels.
        let label = item.label.unwrap_or(0);
        LongRow {
            label,
            own: score(label),
            rival: Largest::new(),
            rival_class: None,
            any_nan: false,
            margin: F::nan(),
            coefficient: item.coefficient,
        }
    }

    #[inline(always)]
    fn across(
        self,
        pass: Pass,
        known: &mut [Option<LongRow<F>>],
        columns: Columns<'_, F>,
        _: &mut [LanesAcross],
    ) {
        match pass {
            Pass::Rivals => rivals_across(known, columns),
            Pass::Gradient => gradient_across(known, columns),
        }
    }

    #[inline(always)]
    fn part(self, pass: Pass, known: &mut LongRow<F>, _: &mut Self::Sums, piece: Piece<'_, F>) {
        let part = piece.part;
        match pass {
            Pass::Rivals => {
                let rivals = match part.offset_of(known.label) {
                    Some(offset) => without(offset, piece.scores, &mut piece.work.values),
                    None => piece.scores,
                };
                let (largest, any_nan) = largest_and_any_nan(rivals);
                let is_ahead = known.rival.look_at(part, largest);
                if is_ahead && piece.wants_gradient {
                    known.rival_class = known.rival.class(part, rivals);
                }
                known.any_nan |= any_nan;
            }
            Pass::Gradient => {
                piece.gradient.fill(known.elsewhere());
                let [of_label, of_rival] = known.exceptions();
                part.write(of_label, piece.gradient);
                part.write(of_rival, piece.gradient);
            }
        }
    }

    #[inline(always)]
    fn adopt(self, pass: Pass, known: &mut LongRow<F>, section: &LongRow<F>) {
        if let Pass::Rivals = pass {
            if known.rival.adopt(&section.rival) {
                known.rival_class = section.rival_class;
            }
            known.any_nan |= section.any_nan;
        }
    }

    #[inline(always)]
    fn after(self, pass: Pass, known: &mut LongRow<F>) {
        if let Pass::Rivals = pass
            && !known.any_nan
        {
            // NaN if the target's own score is.
            known.margin = self.margin(known.rival.value, known.own);
        }
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        value(known.margin)
    }
}

/// The loss, from a margin.
#[inline(always)]
fn value<F: Float>(margin: F) -> F {
    if margin <= F::zero() {
        F::zero()
    } else {
        margin
    }
}

/// The derivative of [`value`].
#[inline(always)]
fn step<F: Float>(margin: F) -> F {
    let step = if margin.is_nan() { margin } else { F::one() };
    if margin <= F::zero() { F::zero() } else { step }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Pass {
    Rivals,
    Gradient,
}

/// A long row between its parts.
#[derive(Clone)]
pub(crate) struct LongRow<F> {
    label: usize,
    /// Its score.
    own: F,
    rival: Largest<F>,
    /// The first class that has it.
    rival_class: Option<usize>,
    any_nan: bool,
    /// NaN before it is known.
    margin: F,
    coefficient: F,
}

impl<F: Float> LongRow<F> {
    /// The gradient at all classes but [`exceptions`](Self::exceptions).
    #[inline(always)]
    fn elsewhere(&self) -> F {
        let step = step(self.margin);
        let elsewhere = if step.is_nan() { step } else { F::zero() };
        elsewhere * self.coefficient
    }

    /// The gradient at the label and at its rival, if there is one.
    #[inline(always)]
    fn exceptions(&self) -> [Option<(usize, F)>; 2] {
        if step(self.margin) != F::one() {
            return [None; 2];
        }
        [
            Some((self.label, -self.coefficient)),
            self.rival_class.map(|class| (class, self.coefficient)),
        ]
    }
}

/// [`Pass::Rivals`] over several rows.
#[inline(always)]
fn rivals_across<F: Float>(known: &mut [Option<LongRow<F>>], mut columns: Columns<'_, F>) {
    for (part, columns) in columns.stretches() {
        // Where in this part the label is, else nowhere.
        let labels: Abreast<F> = offsets(known, part, |row| Some(row.label));
        let rivals = LargestAcross::of(columns, Some(&labels));
        for (row, (rival, class, any_nan)) in known.iter_mut().zip(rivals.of_rows(part)) {
            if let Some(row) = row {
                if row.rival.look_at(part, rival) {
                    row.rival_class = Some(class);
                }
                row.any_nan |= any_nan;
            }
        }
    }
}

/// [`Pass::Gradient`] over several rows.
#[inline(always)]
fn gradient_across<F: Float>(known: &[Option<LongRow<F>>], mut columns: Columns<'_, F>) {
    let elsewhere = abreast(known, F::zero(), LongRow::elsewhere);
    for (_, columns) in columns.stretches() {
        for column in columns.each() {
            for (to, &value) in column.gradient.iter_mut().zip(&elsewhere) {
                *to = value;
            }
        }
    }
    for (index, row) in known.iter().enumerate() {
        let exceptions = row.iter().flat_map(LongRow::exceptions).flatten();
        for (class, g) in exceptions {
            columns.put(index, class, g);
        }
    }
}

/// The scores with −∞ at one place.
#[inline(always)]
fn without<'b, F: Float>(offset: usize, scores: &[F], buffer: &'b mut Block<F>) -> &'b [F] {
    let others = &mut buffer[..scores.len()];
    others.copy_from_slice(scores);
    others[offset] = F::neg_infinity();
    others
}

impl<F: Float> ItemwiseLoss<F> for MulticlassHingeLoss<F> {}

/// The multi-class hinge loss: the score of the target class has to exceed all others by a margin.
///
/// ```text
/// loss = max(0, max_{j≠t} pⱼ − p_t + δ)
/// ```
///
/// # Domain
///
/// All scores; δ ≥ 0 and finite, in the units of the scores; at least 2 classes. Rows of targets have to be one-hot.
///
/// # Shapes
///
/// Predictions (…, K), with the classes along the last axis. Targets: integer labels (…), or one-hot (…, K). The
/// result has the shape (…).
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange);
/// [`NotOneHot`](LossError::NotOneHot); [`TooFewClasses`](LossError::TooFewClasses);
/// [`InvalidParameter`](LossError::InvalidParameter) for δ; [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`multiclass_hinge_loss_gradient`]: where the loss is positive, −1 at the target and 1 at the largest other score,
/// of equal ones at the lowest class; 0 elsewhere, and 0 throughout at the kink.
///
/// # Limits
///
/// For δ = 1, of two classes with scores p (the target's) and q:
///
/// | p | q | loss | gradient at p |
/// |---|---|---|---|
/// | 2 | 1 | 0 | 0 |
/// | 1 | 1 | 1 | -1 |
/// | 0 | -∞ | 0 | 0 |
/// | -∞ | 0 | ∞ | -1 |
/// | 0 | ∞ | ∞ | -1 |
/// | ∞ | 0 | 0 | 0 |
/// | ∞ | ∞ | NaN | NaN |
/// | -∞ | -∞ | NaN | NaN |
/// | NaN | 0 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{multiclass_hinge_loss, multiclass_hinge_loss_gradient};
///
/// let p = array![[1.0, 0.5, 3.0], [4.0, 0.0, 2.0]];
/// assert_eq!(multiclass_hinge_loss(&p, &[0, 0], 1.0)?, array![3.0, 0.0]); // 3 − 1 + 1; 2 − 4 + 1 < 0
/// assert_eq!(
///     multiclass_hinge_loss_gradient(&p, &[0, 0], 1.0)?,
///     array![[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
/// );
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// K. Crammer, Y. Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines", JMLR 2
/// (2001); `lasagne.objectives.multiclass_hinge_loss`.
pub fn multiclass_hinge_loss<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
) -> Result<Array<F, D::Smaller>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    MulticlassHingeLoss::new(delta)?.loss(predictions, targets)
}

/// The gradient of [`multiclass_hinge_loss`] with respect to the predictions.
///
/// # Errors
///
/// As [`multiclass_hinge_loss`].
pub fn multiclass_hinge_loss_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    MulticlassHingeLoss::new(delta)?.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_of_a_cancelling_margin_is_right() -> Result<(), LossError> {
        // 0.3 − 0.4 rounds; the exact sum of the three floats is tiny, but not 0.
        let loss = MulticlassHingeLoss::new(0.1_f64)?;
        let exact: f64 = -2.775_557_561_562_891_4e-17;
        assert!((loss.margin(0.3, 0.4) - exact).abs() <= f64::EPSILON * exact.abs());
        Ok(())
    }

    #[test]
    fn the_margin_is_rounded_nearly_once() -> Result<(), LossError> {
        let mut state = 1_u64;
        // 24 bits from 2⁻²⁴ on, times up to 2¹⁶: sums of three are exact in f64.
        let mut number = || {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            let power = 2.0_f32.powi((state >> 35) as i32 % 17 - 24);
            ((state >> 40) as i32 - (1 << 23)) as f32 * power
        };
        for _ in 0..10_000 {
            let (own, delta) = (number(), number().abs());
            // Far away, or near the kink.
            for rival in [number(), own - delta, own] {
                let exact = f64::from(rival) - f64::from(own) + f64::from(delta);
                let margin = f64::from(MulticlassHingeLoss::new(delta)?.margin(rival, own));
                let allowed = 0.51 * f64::from(f32::EPSILON) * exact.abs();
                assert!(
                    (margin - exact).abs() <= allowed,
                    "{rival:e} − {own:e} + {delta:e}: {margin:e} instead of {exact:e}"
                );
            }
        }
        Ok(())
    }
}
