//! Activations along the classes, as kernels: their arithmetic in rows of logits.

use std::hint::black_box;
use std::marker::PhantomData;

use crate::Float;
use crate::compiled::OfItems;
use crate::engine::reduce::{Lanes, Pair};
use crate::engine::rows::{
    ABREAST, Access, AnyRowKernel, Columns, Dense, Gradient, Group, GroupTargets, Item, ItemKernel,
    LanesAcross, Maxima, Panel, Piece, Present, ROWS, RowKernel, Summands, abreast, each_in_lines,
    sums, transpose, transpose_back, update,
};
use crate::itemwise::softmax::{self, GroupSummary, Pass, Summary, summaries_across};

/// What an element of the result needs to know of its row.
#[derive(Clone, Copy)]
pub(crate) struct Known<F> {
    summary: Summary<F>,
    /// Σ softmax(x)·g, or Σ g.
    dot: F,
}

/// A function of a row of logits: its "gradient" is the result, its "targets" the cotangent.
///
/// One type each, no enumeration: what is asked of it element by element would be a jump for each of them. All functions
/// have to be `#[inline(always)]`.
pub(crate) trait Activation: Copy + Send + Sync + 'static {
    /// Whether there is a cotangent, of which something is added up over a row first.
    const SUMS_UP: bool = false;
    /// Whether an element depends on its logit, not on its term.
    const READS_LOGITS: bool = false;

    /// One element of the result, from its term and, where one of them is read, the cotangent or the logit.
    fn element<F: Float>(known: &Known<F>, term: F, other: F) -> F;

    /// What is added up over a row.
    #[inline(always)]
    fn part<F: Float>(_probability: F, _cotangent: F) -> F {
        F::zero()
    }
}

/// The softmax; beside it, as the row's value, the logarithm of the sum of the exponentials.
#[derive(Clone, Copy)]
pub(crate) struct Softmax;

impl Activation for Softmax {
    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, term: F, _other: F) -> F {
        known.probability(term)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct LogSoftmax;

impl Activation for LogSoftmax {
    const READS_LOGITS: bool = true;

    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, _term: F, logit: F) -> F {
        (logit - known.summary.maximum) - known.summary.log
    }
}

#[derive(Clone, Copy)]
pub(crate) struct SoftmaxVjp;

impl Activation for SoftmaxVjp {
    const SUMS_UP: bool = true;

    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, term: F, cotangent: F) -> F {
        known.probability(term) * (cotangent - known.dot)
    }

    #[inline(always)]
    fn part<F: Float>(probability: F, cotangent: F) -> F {
        probability * cotangent
    }
}

#[derive(Clone, Copy)]
pub(crate) struct LogSoftmaxVjp;

impl Activation for LogSoftmaxVjp {
    const SUMS_UP: bool = true;

    #[inline(always)]
    fn element<F: Float>(known: &Known<F>, term: F, cotangent: F) -> F {
        (-known.probability(term)).mul_add(known.dot, cotangent)
    }

    #[inline(always)]
    fn part<F: Float>(_probability: F, cotangent: F) -> F {
        cotangent
    }
}

impl<F: Float> Known<F> {
    #[inline(always)]
    fn probability(&self, term: F) -> F {
        term * self.summary.inverse
    }

    /// ln Σ e^x, the limits included.
    #[inline(always)]
    fn log_sum(&self) -> F {
        let Summary { maximum, log, .. } = self.summary;
        // ±∞ alone determine it; a NaN does not get here as a maximum.
        if maximum.is_finite() {
            maximum + log
        } else {
            maximum
        }
    }
}

/// An activation as a kernel.
#[derive(Clone, Copy)]
pub(crate) struct AlongClasses<A>(pub(super) A);

impl<F: Float + OfItems<Self>, A: Activation> ItemKernel<F> for AlongClasses<A> {
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

impl<A: Activation> AlongClasses<A> {
    const GRADIENT: (Pass, Access) = (
        Pass::Gradient,
        Access {
            scores: A::READS_LOGITS,
            targets: A::SUMS_UP,
            gradient: Gradient::Updated,
            adds_up: false,
            across: true,
        },
    );
    const SUM: (Pass, Access) = (
        Pass::Sum,
        Access {
            targets: true,
            gradient: Gradient::Read,
            adds_up: true,
            across: true,
            ..Access::NONE
        },
    );
    const MAXIMUM: (Pass, Access) = (Pass::Maximum, softmax::MAXIMUM);
    const TERMS: (Pass, Access) = (Pass::Terms, softmax::TERMS);
    const DIRECT: [(Pass, Access); 3] = [Self::MAXIMUM, Self::TERMS, Self::GRADIENT];
    const SUMMING: [(Pass, Access); 4] = [Self::MAXIMUM, Self::TERMS, Self::SUM, Self::GRADIENT];
}

/// A long row between its parts.
#[derive(Clone)]
pub(crate) struct LongRow<F: Float> {
    coefficient: F,
    /// Whether there is a NaN in a row without a finite maximum. In any other, its term makes one of the sum.
    any_nan: bool,
    softmax: softmax::LongRow<F>,
    sum: Pair,
    /// What the sum comes to.
    dot: F,
}

impl<F: Float> LongRow<F> {
    #[inline(always)]
    fn of_row(&self) -> Known<F> {
        Known {
            summary: self.softmax.summary(),
            dot: self.dot,
        }
    }

    /// A part of the pass for the sum.
    #[inline(always)]
    fn add_products<A: Activation>(&self, mut piece: Piece<'_, F>, sum: &mut Lanes) {
        let inverse = self.softmax.summary().inverse;
        for part in piece.part.each() {
            let Piece {
                gradient: terms,
                targets: cotangents,
                order,
                work,
                ..
            } = piece.block(part);
            let products = &mut work.values[..part.len];
            let inputs = terms.iter().zip(cotangents);
            for (product, (&term, &cotangent)) in products.iter_mut().zip(inputs) {
                *product = A::part(term * inverse, cotangent);
            }
            if let Some(offset) = self.softmax.maximal_in(part) {
                let term = self.softmax.maximal_term;
                products[offset] = A::part(term * inverse, cotangents[offset]);
            }
            sum.add_row(products, order);
        }
    }

    /// A part of the pass for the gradient.
    #[inline(always)]
    fn write_elements<A: Activation>(&self, piece: Piece<'_, F>) {
        let of_row = self.of_row();
        let (zero, coefficient) = (F::zero(), self.coefficient);
        let Piece {
            part,
            scores,
            targets,
            gradient,
            ..
        } = piece;
        let others = if A::READS_LOGITS { scores } else { targets };
        if others.is_empty() {
            each_in_lines(gradient, |term| {
                A::element(&of_row, term, zero) * coefficient
            });
        } else {
            for (out, &other) in gradient.iter_mut().zip(others) {
                *out = A::element(&of_row, *out, other) * coefficient;
            }
        }
        if let Some(offset) = self.softmax.maximal_in(part) {
            let term = self.softmax.maximal_term;
            let other = others.get(offset).copied().unwrap_or(zero);
            gradient[offset] = A::element(&of_row, term, other) * coefficient;
        }
    }

    /// Adds the sum of a section.
    #[inline(always)]
    fn add(&mut self, sum: &Lanes) {
        F::add_section(&mut self.sum, F::total_of_section(sum));
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

/// What the rows of a group sum up.
struct Products<'a, F: Float, A> {
    terms: &'a Panel<F>,
    others: &'a Panel<F>,
    summary: &'a GroupSummary<F>,
    activation: PhantomData<A>,
}

impl<F: Float, A: Activation> Summands<F> for Products<'_, F, A> {
    #[inline(always)]
    fn of(&self, class: usize) -> [F; ROWS] {
        let (terms, others) = (&self.terms[class], &self.others[class]);
        let mut products = [F::zero(); ROWS];
        for i in 0..ROWS {
            let probability = terms[i] * self.summary.row(i).inverse;
            products[i] = A::part(probability, others[i]);
        }
        products
    }
}

/// [`Pass::Sum`] over several rows.
#[inline(always)]
fn sum_across<F: Float, A: Activation>(
    known: &mut [Option<LongRow<F>>],
    mut columns: Columns<'_, F>,
    sums: &mut [LanesAcross],
) {
    let [sums, ..] = sums else {
        return;
    };
    let summaries = summaries_across(known);
    let mut products = [F::zero(); ABREAST];
    sums.clear();
    for (_, columns) in columns.stretches() {
        for (offset, column) in columns.each().enumerate() {
            let (terms, cotangents) = (&*column.gradient, column.targets);
            let rows = terms.len();
            let products = &mut products[..rows];
            for i in 0..rows {
                let probability = terms[i] * summaries.row(i).inverse;
                products[i] = A::part(probability, cotangents[i]);
            }
            sums.add(offset, products);
        }
    }
    for (index, row) in known.iter_mut().enumerate() {
        if let Some(row) = row {
            row.add(&sums.of_row::<F>(index));
        }
    }
}

/// [`Pass::Gradient`] over several rows.
#[inline(always)]
fn elements_across<F: Float, A: Activation>(
    known: &mut [Option<LongRow<F>>],
    mut columns: Columns<'_, F>,
) {
    let summaries = summaries_across(known);
    let dots = abreast(known, F::zero(), |row| row.dot);
    let coefficients = abreast(known, F::zero(), |row| row.coefficient);
    let present = Present::of(known);
    let (mut copy, nothing) = ([F::zero(); ABREAST], [F::nan(); ABREAST]);
    for (_, columns) in columns.stretches() {
        for column in columns.each() {
            let cotangents = column.targets;
            let (logits, gradient) = column.scores_and_gradient(&mut copy);
            let others = if A::READS_LOGITS { logits } else { cotangents };
            let rows = gradient.len();
            let others = if others.is_empty() { &nothing } else { others };
            for i in 0..rows {
                let of_row = Known {
                    summary: summaries.row(i),
                    dot: dots[i],
                };
                let value = A::element(&of_row, gradient[i], others[i]) * coefficients[i];
                gradient[i] = present.only(i, value);
            }
        }
    }
}

impl<F: Float, A: Activation> RowKernel<F> for AlongClasses<A> {
    fn rows_like_a_group(classes: usize) -> usize {
        softmax::rows_like_a_group::<F>(classes)
    }

    #[inline(always)]
    fn group(self, mut group: Group<'_, F>) {
        let panel = &mut group.panel[..group.classes];
        let second = &mut group.target_panel[..group.classes];
        transpose(group.scores, panel);
        // The cotangents, or the logits again.
        match group.targets {
            GroupTargets::Dense(cotangents) => transpose(cotangents, second),
            GroupTargets::Labels(_) => second.copy_from_slice(panel),
        }
        // 1 for a row with a NaN: as wide as the lanes.
        let mut has_nan = [F::zero(); ROWS];
        for scores in panel.iter() {
            for i in 0..ROWS {
                has_nan[i] = update(scores[i].is_nan(), F::one(), has_nan[i]);
            }
        }
        let summary = softmax::group(panel, Maxima::of(panel));
        let mut dots = [0.0; ROWS];
        if A::SUMS_UP {
            let products = Products::<F, A> {
                terms: panel,
                others: second,
                summary: &summary,
                activation: PhantomData,
            };
            dots = sums(panel.len(), &products);
        }
        let (mut dot, mut log_sums) = ([F::zero(); ROWS], [F::zero(); ROWS]);
        for i in 0..ROWS {
            dot[i] = F::narrow(dots[i]);
            let known = Known {
                summary: summary.row(i),
                dot: dot[i],
            };
            let log_sum = known.log_sum();
            log_sums[i] = if has_nan[i] > F::zero() {
                F::nan()
            } else {
                log_sum
            };
        }
        *group.losses = log_sums;
        if let Some(out) = group.gradient.as_deref_mut() {
            for (terms, others) in panel.iter_mut().zip(second.iter()) {
                // Otherwise a loop that does so little is made of vectors across classes, gathered one by one.
                let terms = black_box(terms);
                let (mut elements, others) = (*terms, *others);
                for i in 0..ROWS {
                    let known = Known {
                        summary: summary.row(i),
                        dot: dot[i],
                    };
                    let value = A::element(&known, elements[i], others[i]);
                    elements[i] = value * group.coefficients[i];
                }
                *terms = elements;
            }
            transpose_back(panel, out);
        }
        softmax::wide_rows(self, &mut group, &summary.wide);
    }

    type Known = LongRow<F>;
    type Sums = [Lanes; 1];
    type Pass = Pass;
    const PASSES: &'static [(Pass, Access)] = if A::SUMS_UP {
        &Self::SUMMING
    } else {
        &Self::DIRECT
    };

    const AT_ONCE: usize = softmax::AT_ONCE;

    #[inline(always)]
    fn begin(self, item: Item<F>, _score: impl Fn(usize) -> F) -> LongRow<F> {
        LongRow {
            coefficient: item.coefficient,
            any_nan: false,
            softmax: softmax::LongRow::new(),
            sum: Pair::ZERO,
            dot: F::zero(),
        }
    }

    #[inline(always)]
    fn sums_across(self, _: bool) -> usize {
        1
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
            Pass::Terms => {
                for (index, row) in known.iter_mut().enumerate() {
                    if let Some(row) = row
                        && !row.softmax.is_defined()
                    {
                        row.any_nan |= columns.any_nan(index);
                    }
                }
                // No element needs its term.
                let columns = if A::READS_LOGITS {
                    columns.without_gradient()
                } else {
                    columns
                };
                if let Some(sums) = sums.first_mut() {
                    softmax::terms_across(known, columns, sums, &mut ());
                }
            }
            Pass::Sum => sum_across::<F, A>(known, columns, sums),
            Pass::Gradient => elements_across::<F, A>(known, columns),
        }
    }

    #[inline(always)]
    fn part(
        self,
        pass: Pass,
        known: &mut LongRow<F>,
        [sum]: &mut Self::Sums,
        mut piece: Piece<'_, F>,
    ) {
        match pass {
            Pass::Maximum => known.softmax.look(piece.part, piece.scores),
            Pass::Terms => {
                if !known.softmax.is_defined() {
                    known.any_nan |= piece.scores.iter().fold(false, |any, x| any | x.is_nan());
                }
                known.softmax.terms(piece, sum);
            }
            Pass::Sum | Pass::Gradient => {
                if !A::READS_LOGITS {
                    known.softmax.recall(&mut piece);
                    if !known.softmax.is_defined() {
                        return;
                    }
                }
                match pass {
                    Pass::Sum => known.add_products::<A>(piece, sum),
                    _ => known.write_elements::<A>(piece),
                }
            }
        }
    }

    #[inline(always)]
    fn close(self, pass: Pass, known: &mut LongRow<F>, [sum]: &Self::Sums) {
        match pass {
            Pass::Terms => known.softmax.add_others(sum),
            Pass::Sum => known.add(sum),
            Pass::Maximum | Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn adopt(self, pass: Pass, known: &mut LongRow<F>, section: &LongRow<F>) {
        match pass {
            Pass::Maximum => known.softmax.adopt_maximum(&section.softmax),
            Pass::Terms => {
                known.any_nan |= section.any_nan;
                known.softmax.adopt_terms(&section.softmax);
            }
            Pass::Sum => F::add_section(&mut known.sum, section.sum),
            Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn after(self, pass: Pass, known: &mut LongRow<F>) {
        match pass {
            Pass::Maximum => known.softmax.with_maximum(),
            Pass::Terms => known.softmax.with_terms(),
            Pass::Sum => known.dot = F::narrow(known.sum.value()),
            Pass::Gradient => {}
        }
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        if known.any_nan {
            F::nan()
        } else {
            known.of_row().log_sum()
        }
    }
}
