//! The multi-class hinge loss.

use ndarray::{Array, ArrayView, Dimension};

use super::{ClassTargetShape, ItemwiseLoss};
use crate::elementwise::binary_hinge_loss::check_margin;
use crate::engine::rows::{
    AnyRowKernel, Block, Dense, Group, GroupTargets, ItemKernel, ROWS, Room, Row, RowKernel,
    RowTarget, as_floats, largest, position, transpose, transpose_back, update,
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
    const MIN_CLASSES: usize = 2;
    const DENSE: Dense = Dense::OneHot;

    fn cost(&self) -> f32 {
        0.4
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        self
    }
}

impl<F: Float> RowKernel<F> for MulticlassHingeLoss<F> {
    #[inline(always)]
    fn group(self, group: Group<'_, F>) {
        let (zero, one) = (F::zero(), F::one());
        // Never reached with rows of targets: they have become labels.
        let GroupTargets::Labels(labels) = group.targets else {
            return;
        };
        let panel = &mut group.panel[..group.classes];
        transpose(group.scores, panel);
        // The target's own score is taken out, so that all that remain are rivals.
        let mut own = [zero; ROWS];
        for (r, row) in group.scores.chunks_exact(group.classes).enumerate() {
            own[r] = row[labels[r]];
            panel[labels[r]][r] = F::neg_infinity();
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
            let met = margin <= zero;
            group.losses[i] = if met { zero } else { margin };
            let step = if margin.is_nan() { margin } else { one };
            steps[i] = if met { zero } else { step };
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

    #[inline(always)]
    fn row(
        self,
        mut row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F {
        let (zero, one, lowest) = (F::zero(), F::one(), F::neg_infinity());
        let RowTarget::Label(label) = target else {
            return F::nan();
        };
        let own = row.score(label);
        let mut rival = lowest;
        let mut rival_part = None;
        let mut nan = own.is_nan();
        for part in row.parts() {
            let mut scores = row.scores(part, lowest, &mut room.scores);
            if let Some(offset) = part.offset_of(label) {
                scores = without(offset, scores, &mut room.values);
            }
            let largest = largest(scores);
            nan |= scores.iter().fold(false, |any, x| any | x.is_nan());
            if largest > rival {
                (rival, rival_part) = (largest, Some(part));
            }
        }
        let margin = if nan {
            F::nan()
        } else {
            self.margin(rival, own)
        };
        let met = margin <= zero;
        if row.wants_gradient() {
            let rival_class = rival_part.and_then(|part| {
                let mut scores = row.scores(part, lowest, &mut room.scores);
                if let Some(offset) = part.offset_of(label) {
                    scores = without(offset, scores, &mut room.values);
                }
                position(scores, rival).map(|offset| part.start + offset)
            });
            row.fill(if margin.is_nan() {
                margin
            } else {
                zero * coefficient
            });
            if !met && !margin.is_nan() {
                row.set(label, -one * coefficient);
                if let Some(class) = rival_class {
                    row.set(class, coefficient);
                }
            }
        }
        if met { zero } else { margin }
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
