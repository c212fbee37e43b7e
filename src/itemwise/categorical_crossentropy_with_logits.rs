//! Categorical cross-entropy from logits.

mod long_rows;

use ndarray::{Array, ArrayView, Dimension};

use long_rows::LongRow;

use super::softmax::{self, Pass};
use super::{ClassTargetShape, ItemwiseLoss};
use crate::elementwise::binary_crossentropy_with_logits::check_smoothing;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    Access, AnyRowKernel, Columns, Dense, Gradient, Group, GroupTargets, Item, ItemKernel,
    LanesAcross, Maxima, Panel, Piece, ROWS, RowKernel, Summands, as_floats, scores_of_labels,
    sums, transpose, transpose_back,
};
use crate::{Float, LossError, Target};

/// Categorical cross-entropy from logits with its option: see [`categorical_crossentropy_with_logits`].
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{CategoricalCrossentropyWithLogits, ItemwiseLoss};
///
/// let loss = CategoricalCrossentropyWithLogits::default().label_smoothing(0.3)?;
/// let x = array![[0.0_f64, 2.0_f64.ln(), 0.0]]; // softmax: ¼, ½, ¼
/// // Targets 0.1, 0.8, 0.1.
/// let expected = -(0.8 * 0.5_f64.ln() + 0.2 * 0.25_f64.ln());
/// assert!((loss.loss(&x, &[1])?[0] - expected).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CategoricalCrossentropyWithLogits<F> {
    smoothing: F,
}

impl<F: Float> CategoricalCrossentropyWithLogits<F> {
    /// Moves the targets towards the uniform distribution over the K classes: (1 − ε)·t + ε/K.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) unless ε is in [0, 1].
    pub fn label_smoothing(self, epsilon: F) -> Result<Self, LossError> {
        check_smoothing(epsilon)?;
        Ok(Self { smoothing: epsilon })
    }

    #[inline(always)]
    fn smoothed(self, classes: usize) -> Smoothed<F> {
        Smoothed {
            epsilon: self.smoothing,
            keep: F::one() - self.smoothing,
            uniform: self.smoothing / F::narrow(classes as f64),
        }
    }
}

impl<F: Float> Default for CategoricalCrossentropyWithLogits<F> {
    /// No smoothing.
    fn default() -> Self {
        Self {
            smoothing: F::zero(),
        }
    }
}

/// (1 − ε)·t + ε/K
#[derive(Clone, Copy)]
struct Smoothed<F> {
    epsilon: F,
    keep: F,
    uniform: F,
}

impl<F: Float> Smoothed<F> {
    #[inline(always)]
    fn target(self, target: F) -> F {
        target.mul_add(self.keep, self.uniform)
    }

    /// The sum of the smoothed targets, from that of the targets.
    #[inline(always)]
    fn total(self, total: F) -> F {
        // (1 − ε) + ε is 1
        let smoothed = total.mul_add(self.keep, self.epsilon);
        if total == F::one() { total } else { smoothed }
    }
}

/// t·(m − x), 0 where t is 0, for an m so small that m − x cannot overflow.
#[inline(always)]
fn near_distance<F: Float>(maximum: F, logit: F, target: F) -> F {
    let distance = target * (maximum - logit);
    if target == F::zero() {
        F::zero()
    } else {
        distance
    }
}

/// t·(m − x), 0 where t is 0.
#[inline(always)]
fn distance<F: Float>(maximum: F, logit: F, target: F) -> F {
    // From halves, since m − x may overflow where t·(m − x) does not.
    let half = F::narrow(0.5);
    let distance = (target + target) * (half * maximum - half * logit);
    if target == F::zero() {
        F::zero()
    } else {
        distance
    }
}

impl<F: Float> ItemKernel<F> for CategoricalCrossentropyWithLogits<F> {
    fn min_classes(&self) -> usize {
        1
    }
    fn dense(&self) -> Dense {
        Dense::Distribution
    }
    fn cost(&self) -> f32 {
        0.8
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        F::of_items(self)
    }
}

impl<F: Float> RowKernel<F> for CategoricalCrossentropyWithLogits<F> {
    fn rows_like_a_group(classes: usize) -> usize {
        softmax::rows_like_a_group::<F>(classes)
    }

    #[inline(always)]
    fn group(self, mut group: Group<'_, F>) {
        let smooth = self.smoothing != F::zero();
        let wide = match group.targets {
            GroupTargets::Labels(labels) if !smooth => group_of_labels(&mut group, labels),
            _ => self.group_of_rows(&mut group),
        };
        softmax::wide_rows(self, &mut group, &wide);
    }

    type Known = LongRow<F>;
    type Sums = [Lanes; 3];
    type Pass = Pass;
    const PASSES: &'static [(Pass, Access)] = &[
        (Pass::Maximum, softmax::MAXIMUM),
        (
            Pass::Terms,
            Access {
                targets: true,
                ..softmax::TERMS
            },
        ),
        (
            Pass::Gradient,
            Access {
                targets: true,
                gradient: Gradient::Updated,
                across: true,
                ..Access::NONE
            },
        ),
    ];

    const AT_ONCE: usize = softmax::AT_ONCE;

    #[inline(always)]
    fn begin(self, item: Item<F>, score: impl Fn(usize) -> F) -> LongRow<F> {
        let smooth = self.smoothing != F::zero();
        let logit = item.label.map_or_else(F::nan, score);
        LongRow::new(item, logit, smooth.then(|| self.smoothed(item.classes)))
    }

    #[inline(always)]
    fn sums_across(self, has_targets: bool) -> usize {
        // Of the terms, of the targets and of the distances.
        if has_targets || self.smoothing != F::zero() {
            3
        } else {
            1
        }
    }

    #[inline(always)]
    fn across(
        self,
        pass: Pass,
        known: &mut [Option<LongRow<F>>],
        columns: Columns<'_, F>,
        sums: &mut [LanesAcross],
    ) {
        match pass {
            Pass::Maximum => softmax::look_across(known, columns),
            Pass::Terms => self.terms_across(known, columns, sums),
            Pass::Sum => {}
            Pass::Gradient => self.gradient_across(known, columns),
        }
    }

    #[inline(always)]
    fn part(self, pass: Pass, known: &mut LongRow<F>, sums: &mut Self::Sums, piece: Piece<'_, F>) {
        match pass {
            Pass::Maximum => known.look(piece),
            Pass::Terms => known.terms(sums, piece),
            Pass::Sum => {}
            Pass::Gradient => known.gradient(piece),
        }
    }

    #[inline(always)]
    fn close(self, _: Pass, known: &mut LongRow<F>, sums: &Self::Sums) {
        known.close(sums);
    }

    #[inline(always)]
    fn adopt(self, pass: Pass, known: &mut LongRow<F>, section: &LongRow<F>) {
        match pass {
            Pass::Maximum => known.adopt_maximum(section),
            Pass::Terms => known.adopt_terms(section),
            Pass::Sum | Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn after(self, pass: Pass, known: &mut LongRow<F>) {
        match pass {
            Pass::Maximum => known.with_maximum(),
            Pass::Terms => known.with_terms(),
            Pass::Sum | Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        known.loss()
    }
}

impl<F: Float> CategoricalCrossentropyWithLogits<F> {
    /// Distributions, or what smoothing makes of labels.
    #[inline(always)]
    fn group_of_rows(self, group: &mut Group<'_, F>) -> [bool; ROWS] {
        let (zero, one) = (F::zero(), F::one());
        let smoothed = self.smoothed(group.classes);
        let smooth = self.smoothing != zero;
        let panel = &mut group.panel[..group.classes];
        let targets = &mut group.target_panel[..group.classes];
        transpose(group.scores, panel);
        match group.targets {
            GroupTargets::Dense(rows) => transpose(rows, targets),
            GroupTargets::Labels(labels) => {
                for (class, lanes) in targets.iter_mut().enumerate() {
                    for i in 0..ROWS {
                        lanes[i] = if labels[i] == class { one } else { zero };
                    }
                }
            }
        }
        let total = sums(targets.len(), &*targets);
        if smooth {
            for lanes in targets.iter_mut() {
                for t in lanes {
                    *t = smoothed.target(*t);
                }
            }
        }
        // Distances need the logits themselves, before they become terms.
        let maxima = Maxima::of(panel);
        let distances = Distances {
            panel,
            targets,
            maximum: &maxima.maximum,
        };
        let distances = sums(panel.len(), &distances);
        let summary = softmax::group(panel, maxima);
        let (mut totals, mut losses) = ([zero; ROWS], [zero; ROWS]);
        for i in 0..ROWS {
            let sum = F::narrow(total[i]);
            totals[i] = if smooth { smoothed.total(sum) } else { sum };
            losses[i] = F::narrow(distances[i]) + totals[i] * summary.row(i).log;
        }
        *group.losses = losses;
        if let Some(gradient) = group.gradient.as_deref_mut() {
            let mut class = zero;
            for (out, lanes) in panel.iter_mut().zip(targets.iter()) {
                for i in 0..ROWS {
                    let is_maximal = summary.maximal[i] == class;
                    let row = summary.row(i);
                    let g = row.derivative(out[i], lanes[i], totals[i], is_maximal);
                    out[i] = g * group.coefficients[i];
                }
                class += one;
            }
            transpose_back(panel, gradient);
        }
        summary.wide
    }
}

/// How far the logits of a group are from the maximum, times their targets.
struct Distances<'a, F> {
    panel: &'a Panel<F>,
    targets: &'a Panel<F>,
    maximum: &'a [F; ROWS],
}

impl<F: Float> Summands<F> for Distances<'_, F> {
    #[inline(always)]
    fn of(&self, class: usize) -> [F; ROWS] {
        let (logits, targets) = (&self.panel[class], &self.targets[class]);
        let mut distances = [F::zero(); ROWS];
        for i in 0..ROWS {
            // A row where that overflows is wide, and computed alone.
            distances[i] = near_distance(self.maximum[i], logits[i], targets[i]);
        }
        distances
    }
}

/// Labels without smoothing.
#[inline(always)]
fn group_of_labels<F: Float>(group: &mut Group<'_, F>, labels: &[usize; ROWS]) -> [bool; ROWS] {
    let zero = F::zero();
    let panel = &mut group.panel[..group.classes];
    transpose(group.scores, panel);
    let logits = scores_of_labels(group.scores, group.classes, labels);
    let summary = softmax::group(panel, Maxima::of(panel));
    let mut losses = [zero; ROWS];
    for i in 0..ROWS {
        let row = summary.row(i);
        losses[i] = (row.maximum - logits[i]) + row.log;
    }
    *group.losses = losses;
    if let Some(gradient) = group.gradient.as_deref_mut() {
        let own = as_floats::<F>(labels);
        let own_terms = summary.terms(&logits);
        let mut at_label = [zero; ROWS];
        for i in 0..ROWS {
            let is_maximal = summary.maximal[i] == own[i];
            let g = summary.row(i).derivative_at_label(own_terms[i], is_maximal);
            at_label[i] = g * group.coefficients[i];
        }
        let mut class = zero;
        for out in panel.iter_mut() {
            for i in 0..ROWS {
                let elsewhere = out[i] * summary.row(i).inverse * group.coefficients[i];
                out[i] = if own[i] == class {
                    at_label[i]
                } else {
                    elsewhere
                };
            }
            class += F::one();
        }
        transpose_back(panel, gradient);
    }
    summary.wide
}

impl<F: Float> ItemwiseLoss<F> for CategoricalCrossentropyWithLogits<F> {}

/// Categorical cross-entropy of p = softmax(x), from the logits x: what classifiers and language models are trained
/// with.
///
/// ```text
/// loss = −Σⱼ tⱼ ln pⱼ          (−ln p_t for a label t),          pⱼ = e^xⱼ / Σₖ e^xₖ
/// ```
///
/// Loss and gradient keep their full relative accuracy at the confident end, where `p_t` rounds to 1. The option
/// [`CategoricalCrossentropyWithLogits::label_smoothing`] ε makes the targets (1 − ε)·t + ε/K.
///
/// # Domain
///
/// All logits; −∞ masks a class, which then adds nothing unless it is aimed at. Targets are labels, distributions or
/// counts, which are not checked for sign or sum. Where a class's probability itself is subnormal, a Σt above 1
/// multiplies its rounding error in the gradient; a Σ|t| above 10¹⁸ (`f32`) or 10¹⁵⁰ (`f64`) may make it overflow.
///
/// # Shapes
///
/// Predictions (…, K), with the classes along the last axis. Targets: integer labels (…), or (…, K). The result has
/// the shape (…).
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange);
/// [`TooFewClasses`](LossError::TooFewClasses) for none; [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`categorical_crossentropy_with_logits_gradient`]: `(Σt)·pⱼ − tⱼ`; at a label minus the sum of the other pⱼ.
///
/// # Limits
///
/// Of a label with logit x, beside one other class with logit y:
///
/// | x | y | loss | gradient at x |
/// |---|---|---|---|
/// | 0 | 0 | 0.6931471805599453 | -0.5 |
/// | 0 | -∞ | 0 | 0 |
/// | -∞ | 0 | ∞ | -1 |
/// | 0 | 1000 | 1000 | -1 |
/// | 1e30 | 1e30 | 0.6931471805599453 | -0.5 |
/// | -∞ | -∞ | NaN | NaN |
/// | ∞ | 0 | NaN | NaN |
/// | 0 | ∞ | NaN | NaN |
/// | NaN | 0 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{categorical_crossentropy_with_logits, categorical_crossentropy_with_logits_gradient};
///
/// let x = array![[0.0_f64, 3.0_f64.ln()]]; // softmax: ¼, ¾
/// let loss = categorical_crossentropy_with_logits(&x, &[0])?;
/// assert!((loss[0] - -0.25_f64.ln()).abs() < 1e-15);
/// let gradient = categorical_crossentropy_with_logits_gradient(&x, &[0])?;
/// assert!((gradient[[0, 0]] - (0.25 - 1.0)).abs() < 1e-15);
/// assert!((gradient[[0, 1]] - 0.75).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// `torch.nn.functional.cross_entropy`; the form that never rounds x − max x is this crate's.
pub fn categorical_crossentropy_with_logits<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D::Smaller>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    CategoricalCrossentropyWithLogits::default().loss(predictions, targets)
}

/// The gradient of [`categorical_crossentropy_with_logits`] with respect to the logits: `(Σt)·softmax(x)ⱼ − tⱼ`.
///
/// # Errors
///
/// As [`categorical_crossentropy_with_logits`].
pub fn categorical_crossentropy_with_logits_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    CategoricalCrossentropyWithLogits::default().gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// The loss of the largest logit, beside others so far below that each alone would add nothing.
    fn beside_many<F: Float>(classes: usize, distance: f64) -> Result<f64, LossError> {
        let mut x = Array2::from_elem((1, classes), F::zero());
        x[[0, 1]] = F::narrow(distance);
        let loss = categorical_crossentropy_with_logits(&x, &[1])?;
        let gradient = categorical_crossentropy_with_logits_gradient(&x, &[1])?;
        assert_eq!(-gradient[[0, 1]], loss[0]);
        Ok(loss[0].widen())
    }

    #[test]
    fn targets_that_are_lost_beside_a_large_one_add_up() -> Result<(), LossError> {
        let x = Array2::<f64>::zeros((1, 100));
        let mut t = Array2::from_elem((1, 100), 0.75);
        t[[0, 0]] = 2.0_f64.powi(53);
        let exact = (t[[0, 0]] + 99.0 * 0.75) * 100.0_f64.ln();
        let loss = categorical_crossentropy_with_logits(&x, &t)?[0];
        assert!((loss / exact - 1.0).abs() <= 4.0 * f64::EPSILON, "{loss}");
        Ok(())
    }

    #[test]
    fn classes_that_are_lost_beside_a_large_one_add_up() -> Result<(), LossError> {
        let mut x = Array2::from_elem((1, 128), -38.5_f64);
        (x[[0, 0]], x[[0, 1]]) = (0.0, -1.0);
        let exact = ((-1.0_f64).exp() + 126.0 * (-38.5_f64).exp()).ln_1p();
        let loss = categorical_crossentropy_with_logits(&x, &[0])?[0];
        assert!((loss / exact - 1.0).abs() <= 4.0 * f64::EPSILON, "{loss}");
        Ok(())
    }

    #[test]
    fn many_classes_far_below_add_up() -> Result<(), LossError> {
        for classes in [100, 1000, 20_000] {
            let others = (classes as f64 - 1.0).ln();
            for distance in [103.0, 106.0, 110.0] {
                let exact = (others - distance).exp();
                let loss = beside_many::<f32>(classes, distance)?;
                let smallest = f64::from(f32::from_bits(1));
                assert!((loss - exact).abs() <= smallest, "{loss:e}, {exact:e}");
            }
            for distance in [744.0, 748.0, 752.0] {
                let exact = (others - distance).exp();
                let loss = beside_many::<f64>(classes, distance)?;
                assert!(
                    (loss - exact).abs() <= 1e-11 * exact + f64::from_bits(1),
                    "{loss:e}, {exact:e}"
                );
            }
        }
        Ok(())
    }
}
