//! Long rows: part by part, and several by their columns.

use super::{CategoricalCrossentropyWithLogits, Smoothed, distance, near_distance};
use crate::Float;
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    ABREAST, Block, Columns, Item, LanesAcross, Part, Piece, Present, ROWS, Strips, offsets, strips,
};
use crate::itemwise::softmax::{self, Beside, Scales, SummariesAcross};

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
    /// Before its first part; `logit` is that of the label.
    #[inline(always)]
    pub(super) fn new(item: Item<F>, logit: F, smoothed: Option<Smoothed<F>>) -> Self {
        Self {
            item,
            logit,
            smoothed,
            softmax: softmax::LongRow::new(),
            distances: Lanes::ZERO,
            totals: Lanes::ZERO,
            total: F::one(),
        }
    }

    /// A part of the pass for the maximum.
    #[inline(always)]
    pub(super) fn look(&mut self, piece: Piece<'_, F>) {
        self.softmax.look(piece.part, piece.scores);
    }

    /// What follows from the maximum.
    #[inline(always)]
    pub(super) fn with_maximum(&mut self) {
        self.softmax.with_maximum();
    }

    #[inline(always)]
    pub(super) fn terms(&mut self, piece: Piece<'_, F>) {
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
    pub(super) fn with_terms(&mut self) {
        self.softmax.with_terms();
        if self.item.label.is_none() {
            let total = F::narrow(F::total_of_row(&self.totals));
            self.total = self
                .smoothed
                .map_or(total, |smoothed| smoothed.total(total));
        }
    }

    #[inline(always)]
    pub(super) fn gradient(&self, mut piece: Piece<'_, F>) {
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
    pub(super) fn loss(&self) -> F {
        let summary = self.softmax.summary();
        match self.item.label {
            Some(_) if self.smoothed.is_none() => (summary.maximum - self.logit) + summary.log,
            _ => F::narrow(F::total_of_row(&self.distances)) + self.total * summary.log,
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
    labels: [Option<usize>; ABREAST],
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
    pub(super) fn terms_across(
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
        let mut labels = [None; ABREAST];
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
    pub(super) fn gradient_across(
        self,
        known: &mut [Option<LongRow<F>>],
        mut columns: Columns<'_, F>,
    ) {
        let zero = F::zero();
        let summaries = SummariesAcross::of(known);
        let totals = strips(known, zero, |row| row.total);
        let coefficients = strips(known, zero, |row| row.item.coefficient);
        let present = Present::of(known);
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
                        let row = summaries.row(index, i);
                        let g = row.derivative(terms[i], targets[i], totals[i], false);
                        values[i] = present.only(index, i, g * coefficients[i]);
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
}
