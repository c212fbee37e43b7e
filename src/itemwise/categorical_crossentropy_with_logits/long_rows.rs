//! Long rows: part by part, and several by their columns.

use std::ops::Range;

use super::{CategoricalCrossentropyWithLogits, Smoothed, distance, near_distance};
use crate::Float;
use crate::engine::reduce::{Lanes, Pair};
use crate::engine::rows::{
    ABREAST, Abreast, Block, Columns, Item, LanesAcross, Part, Piece, Present, abreast,
    each_in_lines, offsets, spans, update,
};
use crate::itemwise::softmax::{self, Beside, NarrowScale, Scales, summaries_across};

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
#[derive(Clone)]
pub(crate) struct LongRow<F: Float> {
    /// `None` for a row of targets.
    label: Option<usize>,
    /// The label's.
    logit: F,
    coefficient: F,
    /// Absent without smoothing.
    smoothed: Option<Smoothed<F>>,
    softmax: softmax::LongRow<F>,
    /// The sum of t·(m − x).
    distances: Pair,
    /// The sum of the targets as given.
    totals: Pair,
    /// The sum of the targets, of a label 1.
    total: F,
}

impl<F: Float> LongRow<F> {
    /// Before its first part; `logit` is that of the label.
    #[inline(always)]
    pub(super) fn new(item: Item<F>, logit: F, smoothed: Option<Smoothed<F>>) -> Self {
        Self {
            label: item.label,
            logit,
            coefficient: item.coefficient,
            smoothed,
            softmax: softmax::LongRow::new(),
            distances: Pair::ZERO,
            totals: Pair::ZERO,
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
    pub(super) fn adopt_maximum(&mut self, section: &Self) {
        self.softmax.adopt_maximum(&section.softmax);
    }

    /// A part of the pass for the terms.
    #[inline(always)]
    pub(super) fn terms(&mut self, sums: &mut [Lanes; 3], mut piece: Piece<'_, F>) {
        if self.aims_at_all() {
            for part in piece.part.each() {
                self.terms_and_distances(sums, piece.block(part));
            }
            return;
        }
        let [others, ..] = sums;
        self.softmax.terms(piece, others);
    }

    /// The same of a block where every class is aimed at.
    #[inline(always)]
    fn terms_and_distances(&mut self, sums: &mut [Lanes; 3], piece: Piece<'_, F>) {
        let [others, distances_so_far, totals] = sums;
        let Piece {
            part,
            within,
            scores,
            targets,
            gradient,
            wants_gradient,
            order,
            work,
            ..
        } = piece;
        let aimed_at = self.targets(part, targets, &mut work.values);
        let distances = &mut work.sums[..part.len];
        let terms = if wants_gradient {
            gradient
        } else {
            &mut work.terms[..part.len]
        };
        let maximum = self.softmax.maximum();
        if let Some(scale) = self.softmax.narrow_scale() {
            // With the terms, whose operations hide that the targets are far away.
            let inputs = [scores, aimed_at];
            let (most, last) = spans(part.len);
            if let Some(last) = last {
                each_term_and_distance(last, scale, maximum, inputs, terms, distances);
            }
            each_term_and_distance(most, scale, maximum, inputs, terms, distances);
        } else {
            self.softmax.each_term(scores, terms);
            let pairs = scores.iter().zip(aimed_at);
            for (to, (&x, &t)) in distances.iter_mut().zip(pairs) {
                *to = distance(maximum, x, t);
            }
        }
        distances_so_far.add_row(&distances[..within], order);
        if self.label.is_none() {
            totals.add_row(targets, order);
        }
        self.softmax.add_terms(part, scores, terms, (others, order));
    }

    /// Adds the sums of a section: of the terms, of the distances and of the targets.
    #[inline(always)]
    pub(super) fn close(&mut self, [others, distances, totals]: &[Lanes; 3]) {
        self.softmax.add_others(others);
        self.add(distances, totals);
    }

    /// Adds the sums of a section that concern the targets, as far as there are any.
    #[inline(always)]
    fn add(&mut self, distances: &Lanes, totals: &Lanes) {
        if self.aims_at_all() {
            F::add_section(&mut self.distances, F::total_of_section(distances));
        }
        if self.label.is_none() {
            F::add_section(&mut self.totals, F::total_of_section(totals));
        }
    }

    #[inline(always)]
    pub(super) fn adopt_terms(&mut self, section: &Self) {
        self.softmax.adopt_terms(&section.softmax);
        F::add_section(&mut self.distances, section.distances);
        F::add_section(&mut self.totals, section.totals);
    }

    #[inline(always)]
    pub(super) fn with_terms(&mut self) {
        self.softmax.with_terms();
        if self.label.is_none() {
            let total = F::narrow(self.totals.value());
            self.total = self
                .smoothed
                .map_or(total, |smoothed| smoothed.total(total));
        }
    }

    #[inline(always)]
    pub(super) fn gradient(&self, mut piece: Piece<'_, F>) {
        self.softmax.recall(&mut piece);
        if !self.softmax.is_defined() {
            return;
        }
        let Some(label) = self.label else {
            for part in piece.part.each() {
                self.gradient_of_targets(piece.block(part));
            }
            return;
        };
        let Piece { part, gradient, .. } = piece;
        let summary = self.softmax.summary();
        let (total, coefficient) = (self.total, self.coefficient);
        match self.smoothed {
            None => each_in_lines(gradient, |term| (term * summary.inverse) * coefficient),
            Some(smoothed) => each_in_lines(gradient, |term| {
                summary.derivative(term, smoothed.uniform, total, false) * coefficient
            }),
        }
        let [of_maximum, of_label] = self.exceptions(label);
        part.write(of_maximum, gradient);
        part.write(of_label, gradient);
    }

    /// The same of a block of a row of targets.
    #[inline(always)]
    fn gradient_of_targets(&self, piece: Piece<'_, F>) {
        let Piece {
            part,
            targets,
            gradient,
            work,
            ..
        } = piece;
        let summary = self.softmax.summary();
        let (total, coefficient) = (self.total, self.coefficient);
        let targets = self.targets(part, targets, &mut work.values);
        for (g, &t) in gradient.iter_mut().zip(targets) {
            *g = summary.derivative(*g, t, total, false) * coefficient;
        }
        if let Some(offset) = self.softmax.maximal_in(part) {
            gradient[offset] = self.at_maximum(targets[offset]);
        }
    }

    /// The gradient at the largest logit, of a row of targets.
    #[inline(always)]
    fn at_maximum(&self, target: F) -> F {
        let term = self.softmax.maximal_term;
        let summary = self.softmax.summary();
        summary.derivative(term, target, self.total, true) * self.coefficient
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
        let coefficient = self.coefficient;
        let maximal = self.softmax.maximal();
        [
            maximal.map(|class| (class, of_maximal * coefficient)),
            Some((label, of_label * coefficient)),
        ]
    }

    #[inline(always)]
    pub(super) fn loss(&self) -> F {
        let summary = self.softmax.summary();
        match self.label {
            Some(_) if self.smoothed.is_none() => (summary.maximum - self.logit) + summary.log,
            _ => F::narrow(self.distances.value()) + self.total * summary.log,
        }
    }

    /// Whether every class is aimed at.
    #[inline(always)]
    fn aims_at_all(&self) -> bool {
        self.label.is_none() || self.smoothed.is_some()
    }

    /// The targets of a part, smoothed where they have to be; what stands behind the end is unspecified.
    #[inline(always)]
    fn targets<'b>(&self, part: Part, given: &'b [F], buffer: &'b mut Block<F>) -> &'b [F] {
        let Some(smoothed) = self.smoothed else {
            return given;
        };
        let targets = &mut buffer[..part.len];
        match self.label {
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

/// The terms of a span of logits, and how far from the maximum these are, times their targets.
#[inline(always)]
fn each_term_and_distance<F: Float>(
    span: Range<usize>,
    scale: NarrowScale<F>,
    maximum: F,
    [logits, targets]: [&[F]; 2],
    terms: &mut [F],
    distances: &mut [F],
) {
    let pairs = logits[span.clone()].iter().zip(&targets[span.clone()]);
    let outputs = terms[span.clone()].iter_mut().zip(&mut distances[span]);
    for ((term, to), (&x, &t)) in outputs.zip(pairs) {
        *term = scale.term(x);
        *to = near_distance(maximum, x, t);
    }
}

/// That of all rows.
#[inline(always)]
fn smoothed_of<F: Float>(known: &[Option<LongRow<F>>]) -> Option<Smoothed<F>> {
    known.iter().flatten().find_map(|row| row.smoothed)
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
        let (mut targets, mut distances) = ([zero; ABREAST], [zero; ABREAST]);
        let labels: Abreast<F> = offsets(&self.labels, part, |&label| Some(label));
        for (stretch, columns) in columns.stretches() {
            for (place, column) in columns.each().enumerate() {
                let offset = stretch.start - part.start + place;
                let class = F::narrow(offset as f64);
                let scores = column.scores();
                let rows = scores.len();
                let targets = &mut targets[..rows];
                if are_dense {
                    targets.copy_from_slice(column.targets);
                    self.totals.add(offset, targets);
                } else {
                    for i in 0..rows {
                        targets[i] = if labels[i] == class { one } else { zero };
                    }
                }
                if let Some(smoothed) = self.smoothed {
                    for t in targets.iter_mut() {
                        *t = smoothed.target(*t);
                    }
                }
                let distances = &mut distances[..rows];
                let maximum = &scales.maximum[..rows];
                for i in 0..rows {
                    distances[i] = near_distance(maximum[i], scores[i], targets[i]);
                }
                if scales.any_wide() {
                    for i in 0..rows {
                        let of_wide = distance(maximum[i], scores[i], targets[i]);
                        distances[i] = update(scales.is_wide(i), of_wide, distances[i]);
                    }
                }
                self.distances.add(offset, distances);
            }
        }
    }
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
        let mut labels = [None; ABREAST];
        for (label, row) in labels.iter_mut().zip(&*known) {
            *label = row.as_ref().and_then(|row| row.label);
        }
        let mut aims = Aims {
            labels,
            smoothed: smoothed_of(known),
            totals,
            distances,
        };
        softmax::terms_across(known, columns, terms, &mut aims);
        for (index, row) in known.iter_mut().enumerate() {
            if let Some(row) = row {
                row.add(
                    &aims.distances.of_row::<F>(index),
                    &aims.totals.of_row::<F>(index),
                );
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
        let summaries = summaries_across(known);
        let totals = abreast(known, zero, |row| row.total);
        let coefficients = abreast(known, zero, |row| row.coefficient);
        let present = Present::of(known);
        let smoothed = smoothed_of(known);
        let are_dense = columns.has_targets();
        let elsewhere = smoothed.map_or(zero, |smoothed| smoothed.uniform);
        let mut targets = [elsewhere; ABREAST];
        for (_, columns) in columns.stretches() {
            for column in columns.each() {
                let gradient = column.gradient;
                let rows = gradient.len().min(ABREAST);
                if are_dense {
                    for (to, &t) in targets.iter_mut().zip(column.targets) {
                        *to = smoothed.map_or(t, |smoothed| smoothed.target(t));
                    }
                }
                for i in 0..rows {
                    let g = summaries
                        .row(i)
                        .derivative(gradient[i], targets[i], totals[i], false);
                    gradient[i] = present.only(i, g * coefficients[i]);
                }
            }
        }
        for (index, row) in known.iter().enumerate() {
            let Some(row) = row else {
                continue;
            };
            if let Some(label) = row.label {
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
