//! Categorical cross-entropy from logits.

use ndarray::{Array, ArrayView, Dimension};

use super::softmax::{self, Beside, Maxima, Pass, Scales, SummariesAcross};
use super::{ClassTargetShape, ItemwiseLoss};
use crate::elementwise::binary_crossentropy_with_logits::check_smoothing;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    Access, AnyRowKernel, Block, Columns, Dense, Gradient, Group, GroupTargets, Item, ItemKernel,
    LanesAcross, Part, Piece, ROWS, RowKernel, Strips, WIDE, as_floats, offsets, strips, transpose,
    transpose_back,
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
    const MIN_CLASSES: usize = 1;
    const DENSE: Dense = Dense::Distribution;

    fn cost(&self) -> f32 {
        0.8
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        self
    }
}

impl<F: Float> RowKernel<F> for CategoricalCrossentropyWithLogits<F> {
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

    #[inline(always)]
    fn begin(self, item: Item<F>, score: impl Fn(usize) -> F) -> LongRow<F> {
        let smooth = self.smoothing != F::zero();
        LongRow {
            item,
            logit: item.label.map_or_else(F::nan, score),
            smoothed: smooth.then(|| self.smoothed(item.classes)),
            softmax: softmax::LongRow::new(),
            distances: Lanes::ZERO,
            totals: Lanes::ZERO,
            total: F::one(),
        }
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
    fn part(self, pass: Pass, known: &mut LongRow<F>, piece: Piece<'_, F>) {
        match pass {
            Pass::Maximum => known.softmax.look(piece.part, piece.scores),
            Pass::Terms => known.terms(piece),
            Pass::Sum => {}
            Pass::Gradient => known.gradient(piece),
        }
    }

    #[inline(always)]
    fn after(self, pass: Pass, known: &mut LongRow<F>) {
        match pass {
            Pass::Maximum => known.softmax.with_maximum(),
            Pass::Terms => known.with_terms(),
            Pass::Sum | Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        known.loss()
    }
}

impl<F: Float> AsRef<softmax::LongRow<F>> for LongRow<F> {
    #[inline(always)]
    fn as_ref(&self) -> &softmax::LongRow<F> {
        &self.softmax
    }
}

impl<F: Float> AsMut<softmax::LongRow<F>> for LongRow<F> {
    #[inline(always)]
    fn as_mut(&mut self) -> &mut softmax::LongRow<F> {
        &mut self.softmax
    }
}

/// A long row between its parts.
pub(crate) struct LongRow<F: Float> {
    item: Item<F>,
    /// That of the label.
    logit: F,
    /// Absent without smoothing.
    smoothed: Option<Smoothed<F>>,
    softmax: softmax::LongRow<F>,
    /// The sum of t·(m − x).
    distances: Lanes,
    /// The sum of the targets as given.
    totals: Lanes,
    /// The sum of the targets, of a label 1.
    total: F,
}

impl<F: Float> LongRow<F> {
    #[inline(always)]
    fn terms(&mut self, piece: Piece<'_, F>) {
        let Piece {
            part,
            within,
            scores,
            targets,
            gradient,
            work,
            ..
        } = piece;
        if self.item.label.is_none() {
            F::accumulate(self.totals.in_memory(), targets);
        }
        if self.aims_at_all() {
            let targets = &self.targets(part, targets, &mut work.values)[..within];
            let distances = &mut work.sums[..within];
            let maximum = self.softmax.maximum();
            let pairs = scores.iter().zip(targets);
            if self.softmax.is_narrow() {
                for (to, (&x, &t)) in distances.iter_mut().zip(pairs) {
                    *to = near_distance(maximum, x, t);
                }
            } else {
                for (to, (&x, &t)) in distances.iter_mut().zip(pairs) {
                    *to = distance(maximum, x, t);
                }
            }
            F::accumulate(self.distances.in_memory(), distances);
        }
        self.softmax.terms(part, scores, gradient, &mut work.sums);
    }

    #[inline(always)]
    fn with_terms(&mut self) {
        self.softmax.with_terms();
        if self.item.label.is_none() {
            let total = F::narrow(self.totals.total().value());
            self.total = self
                .smoothed
                .map_or(total, |smoothed| smoothed.total(total));
        }
    }

    #[inline(always)]
    fn gradient(&self, mut piece: Piece<'_, F>) {
        self.softmax.recall(&mut piece);
        let Piece {
            part,
            targets,
            gradient,
            work,
            ..
        } = piece;
        if !self.softmax.is_defined() {
            return;
        }
        let summary = self.softmax.summary();
        let (total, coefficient) = (self.total, self.item.coefficient);
        let Some(label) = self.item.label else {
            let targets = self.targets(part, targets, &mut work.values);
            for (g, &t) in gradient.iter_mut().zip(targets) {
                *g = summary.derivative(*g, t, total, false) * coefficient;
            }
            if let Some(offset) = self.softmax.maximal_in(part) {
                gradient[offset] = self.at_maximum(targets[offset]);
            }
            return;
        };
        match self.smoothed {
            None => {
                for g in gradient.iter_mut() {
                    *g = (*g * summary.inverse) * coefficient;
                }
            }
            Some(smoothed) => {
                for g in gradient.iter_mut() {
                    *g = summary.derivative(*g, smoothed.uniform, total, false) * coefficient;
                }
            }
        }
        let [of_maximum, of_label] = self.exceptions(label);
        part.write(of_maximum, gradient);
        part.write(of_label, gradient);
    }

    /// The gradient at the largest logit, of a row of targets.
    #[inline(always)]
    fn at_maximum(&self, target: F) -> F {
        let term = self.softmax.maximal_term;
        let summary = self.softmax.summary();
        summary.derivative(term, target, self.total, true) * self.item.coefficient
    }

    /// The classes of a row with a label whose gradient is not as elsewhere; the label's last, which may be that of the
    /// maximum.
    #[inline(always)]
    fn exceptions(&self, label: usize) -> [Option<(usize, F)>; 2] {
        let (summary, total) = (self.softmax.summary(), self.total);
        let maximal_term = self.softmax.maximal_term;
        let is_maximal = self.softmax.is_maximal(label);
        let label_term = self.softmax.term(self.logit);
        let (of_maximal, of_label) = match self.smoothed {
            None => (
                maximal_term * summary.inverse,
                summary.derivative_at_label(label_term, is_maximal),
            ),
            Some(smoothed) => {
                let (elsewhere, own) = (smoothed.uniform, smoothed.target(F::one()));
                (
                    summary.derivative(maximal_term, elsewhere, total, true),
                    summary.derivative(label_term, own, total, is_maximal),
                )
            }
        };
        let coefficient = self.item.coefficient;
        let maximal = self.softmax.maximal();
        [
            maximal.map(|class| (class, of_maximal * coefficient)),
            Some((label, of_label * coefficient)),
        ]
    }

    #[inline(always)]
    fn loss(&self) -> F {
        let summary = self.softmax.summary();
        match self.item.label {
            Some(_) if self.smoothed.is_none() => (summary.maximum - self.logit) + summary.log,
            _ => F::narrow(self.distances.total().value()) + self.total * summary.log,
        }
    }

    /// Whether every class is aimed at.
    #[inline(always)]
    fn aims_at_all(&self) -> bool {
        self.item.label.is_none() || self.smoothed.is_some()
    }

    /// The targets of a part, smoothed where they have to be; what stands behind the end is unspecified.
    #[inline(always)]
    fn targets<'b>(&self, part: Part, given: &'b [F], buffer: &'b mut Block<F>) -> &'b [F] {
        let Some(smoothed) = self.smoothed else {
            return given;
        };
        let targets = &mut buffer[..part.len];
        match self.item.label {
            Some(label) => {
                targets.fill(smoothed.uniform);
                if let Some(offset) = part.offset_of(label) {
                    targets[offset] = smoothed.target(F::one());
                }
            }
            None => {
                for (to, &t) in targets.iter_mut().zip(given) {
                    *to = smoothed.target(t);
                }
            }
        }
        targets
    }
}

/// What several rows aim at, and what is added up of it.
struct Aims<'s, F> {
    /// `None` for a row of targets.
    labels: [Option<usize>; WIDE],
    smoothed: Option<Smoothed<F>>,
    totals: &'s mut LanesAcross,
    distances: &'s mut LanesAcross,
}

impl<F: Float> Beside<F> for Aims<'_, F> {
    #[inline(always)]
    fn look(&mut self, part: Part, mut columns: Columns<'_, F>, scales: &Scales<F>) {
        let (zero, one) = (F::zero(), F::one());
        let are_dense = columns.has_targets();
        let labels: Strips<F> = offsets(&self.labels, part, |&label| Some(label));
        for (stretch, columns) in columns.stretches() {
            for (place, column) in columns.each().enumerate() {
                let offset = stretch.start + place;
                let class = F::narrow(offset as f64);
                for strip in column.strips() {
                    let index = strip.index;
                    let mut targets = strip.targets();
                    if are_dense {
                        self.totals.add(offset, index, &targets);
                    } else {
                        for i in 0..ROWS {
                            targets[i] = if labels[index][i] == class { one } else { zero };
                        }
                    }
                    let targets = smoothed_targets(self.smoothed, &targets);
                    let (maximum, x) = (&scales.maximum[index], strip.scores());
                    let mut distances = [zero; ROWS];
                    for i in 0..ROWS {
                        distances[i] = near_distance(maximum[i], x[i], targets[i]);
                    }
                    if scales.any_wide() {
                        for i in 0..ROWS {
                            let of_wide = distance(maximum[i], x[i], targets[i]);
                            let is_wide = scales.is_wide(index, i);
                            distances[i] = if is_wide { of_wide } else { distances[i] };
                        }
                    }
                    self.distances.add(offset, index, &distances);
                }
            }
        }
    }
}

#[inline(always)]
fn smoothed_targets<F: Float>(smoothed: Option<Smoothed<F>>, targets: &[F; ROWS]) -> [F; ROWS] {
    let mut targets = *targets;
    if let Some(smoothed) = smoothed {
        for t in &mut targets {
            *t = smoothed.target(*t);
        }
    }
    targets
}

impl<F: Float> CategoricalCrossentropyWithLogits<F> {
    /// [`Pass::Terms`] over several rows.
    #[inline(always)]
    fn terms_across(
        self,
        known: &mut [Option<LongRow<F>>],
        columns: Columns<'_, F>,
        sums: &mut [LanesAcross],
    ) {
        let (terms, totals, distances) = match sums {
            [terms] => {
                softmax::terms_across(known, columns, terms, &mut ());
                return;
            }
            [terms, totals, distances] => (terms, totals, distances),
            _ => return,
        };
        totals.clear();
        distances.clear();
        let smooth = self.smoothing != F::zero();
        let mut labels = [None; WIDE];
        for (label, row) in labels.iter_mut().zip(&*known) {
            *label = row.as_ref().and_then(|row| row.item.label);
        }
        let mut aims = Aims {
            labels,
            smoothed: smooth.then(|| self.smoothed(columns.classes())),
            totals,
            distances,
        };
        softmax::terms_across(known, columns, terms, &mut aims);
        for (index, row) in known.iter_mut().enumerate() {
            if let Some(row) = row {
                row.totals = aims.totals.of_row::<F>(index);
                row.distances = aims.distances.of_row::<F>(index);
            }
        }
    }

    /// [`Pass::Gradient`] over several rows.
    #[inline(always)]
    fn gradient_across(self, known: &mut [Option<LongRow<F>>], mut columns: Columns<'_, F>) {
        let zero = F::zero();
        let summaries = SummariesAcross::of(known);
        let totals = strips(known, zero, |row| row.total);
        let coefficients = strips(known, zero, |row| row.item.coefficient);
        let smoothed = (self.smoothing != zero).then(|| self.smoothed(columns.classes()));
        let are_dense = columns.has_targets();
        let elsewhere = smoothed.map_or(zero, |smoothed| smoothed.uniform);
        for (_, columns) in columns.stretches() {
            for column in columns.each() {
                for strip in column.strips() {
                    let (index, terms) = (strip.index, strip.kept());
                    let mut targets = [elsewhere; ROWS];
                    if are_dense {
                        targets = smoothed_targets(smoothed, &strip.targets());
                    }
                    let (totals, coefficients) = (&totals[index], &coefficients[index]);
                    let mut values = [zero; ROWS];
                    for i in 0..ROWS {
                        let row = summaries.rows[index].row(i);
                        let g = row.derivative(terms[i], targets[i], totals[i], false);
                        values[i] = summaries.present(index, i, g * coefficients[i]);
                    }
                    strip.write(&values);
                }
            }
        }
        for (index, row) in known.iter().enumerate() {
            let Some(row) = row else {
                continue;
            };
            if let Some(label) = row.item.label {
                for (class, g) in row.exceptions(label).into_iter().flatten() {
                    columns.put(index, class, g);
                }
            } else if let Some(class) = row.softmax.maximal()
                && let Some(target) = columns.target(index, class)
            {
                let target = smoothed.map_or(target, |smoothed| smoothed.target(target));
                columns.put(index, class, row.at_maximum(target));
            }
        }
    }

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
        let (mut total, mut total_rest) = ([0.0; ROWS], [0.0; ROWS]);
        for lanes in targets.iter() {
            for i in 0..ROWS {
                F::add_to(&mut total[i], &mut total_rest[i], lanes[i]);
            }
        }
        if smooth {
            for lanes in targets.iter_mut() {
                for t in lanes {
                    *t = smoothed.target(*t);
                }
            }
        }
        // Distances need the logits themselves, before they become terms.
        let maxima = Maxima::of(panel);
        let maximum = &maxima.maximum;
        let (mut distances, mut distance_rests) = ([0.0; ROWS], [0.0; ROWS]);
        for (scores, lanes) in panel.iter().zip(targets.iter()) {
            let mut of_class = [zero; ROWS];
            for i in 0..ROWS {
                // A row where that overflows is wide, and computed alone.
                of_class[i] = near_distance(maximum[i], scores[i], lanes[i]);
            }
            for i in 0..ROWS {
                F::add_to(&mut distances[i], &mut distance_rests[i], of_class[i]);
            }
        }
        let summary = softmax::group(panel, maxima);
        let mut totals = [zero; ROWS];
        for i in 0..ROWS {
            let sum = total[i] + total_rest[i];
            let sum = F::narrow(if total[i].is_finite() { sum } else { total[i] });
            totals[i] = if smooth { smoothed.total(sum) } else { sum };
            let settled = distances[i] + distance_rests[i];
            let settled = if distances[i].is_finite() {
                settled
            } else {
                distances[i]
            };
            group.losses[i] = F::narrow(settled) + totals[i] * summary.row(i).log;
        }
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

/// Labels without smoothing.
#[inline(always)]
fn group_of_labels<F: Float>(group: &mut Group<'_, F>, labels: &[usize; ROWS]) -> [bool; ROWS] {
    let zero = F::zero();
    let panel = &mut group.panel[..group.classes];
    transpose(group.scores, panel);
    let mut logits = [zero; ROWS];
    let rows = group.scores.chunks_exact(group.classes.max(1));
    for ((logit, row), &label) in logits.iter_mut().zip(rows).zip(labels) {
        *logit = row.get(label).copied().unwrap_or_else(F::nan);
    }
    let summary = softmax::group(panel, Maxima::of(panel));
    for i in 0..ROWS {
        let row = summary.row(i);
        group.losses[i] = (row.maximum - logits[i]) + row.log;
    }
    if let Some(gradient) = group.gradient.as_deref_mut() {
        let own = as_floats::<F>(labels);
        let mut class = zero;
        for out in panel.iter_mut() {
            for i in 0..ROWS {
                let row = summary.row(i);
                let at_label = row.derivative_at_label(out[i], summary.maximal[i] == class);
                let elsewhere = out[i] * row.inverse;
                let g = if own[i] == class { at_label } else { elsewhere };
                out[i] = g * group.coefficients[i];
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
