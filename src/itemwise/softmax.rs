//! The terms of a softmax, for the loss and for the activations that rest on it.
//!
//! A row of logits x with its maximum m at class j gives terms eₓ = e^(x − m'), with m' = ln 2 · round(m·log₂ e), times
//! a fixed power of two: x − m, which would round, is never formed (see [`exp_scaled`]). The sum of all terms but that
//! of the maximum is kept apart, since it is what a confident row depends on:
//!
//! ```text
//! ln Σ e^x − m = log1p(others / e_m)          softmax(x)ⱼ − 1 = −(sum of the others) / Σ
//! ```

mod across;
mod scale;

pub(crate) use across::{Beside, Scales, look_across, summaries_across, terms_across};
pub(crate) use scale::NarrowScale;
use scale::Scale;

use crate::Float;
use crate::engine::reduce::{Lanes, Order, Pair};
use crate::engine::rows::{
    Access, AnyRowKernel, BLOCK, Band, Gradient, Group, GroupTargets, Item, Largest, Maxima, Part,
    Piece, ROWS, Rooms, RowKernel, SECTION, Sink, Source, Way, sums_of_others,
};
use crate::math::{Elementary, exp_difference, exp_scaled, exponent_offset, ln_1p};

/// What is known of a row once all its terms are.
#[derive(Clone, Copy)]
pub(crate) struct Summary<F> {
    /// The largest logit.
    pub(crate) maximum: F,
    /// The sum of the terms but one of the largest.
    pub(crate) others: F,
    /// The sum of all.
    pub(crate) sum: F,
    pub(crate) inverse: F,
    /// ln Σ e^(x − m)
    pub(crate) log: F,
}

impl<F: Float> Summary<F> {
    #[inline(always)]
    fn nan() -> Self {
        let nan = F::nan();
        Self {
            maximum: nan,
            others: nan,
            sum: nan,
            inverse: nan,
            log: nan,
        }
    }

    /// The sum of all terms but this one, of which `is_maximal` says whether it is that of the maximum.
    #[inline(always)]
    fn others_of(&self, term: F, is_maximal: bool) -> F {
        let rest = self.sum - term;
        if is_maximal { self.others } else { rest }
    }

    /// −softmax(x) of the others: ∂(−ln softmax(x)ⱼ)/∂xⱼ.
    #[inline(always)]
    pub(crate) fn derivative_at_label(&self, term: F, is_maximal: bool) -> F {
        (F::zero() - self.others_of(term, is_maximal)) * self.inverse
    }

    /// ∂/∂xⱼ of −Σ t ln softmax(x), for the total T of the targets: T·softmax(x)ⱼ − tⱼ.
    #[inline(always)]
    pub(crate) fn derivative(&self, term: F, target: F, total: F, is_maximal: bool) -> F {
        ((total - target) * term - target * self.others_of(term, is_maximal)) * self.inverse
    }
}

/// The summaries of several rows, one lane a row.
#[derive(Clone, Copy)]
pub(crate) struct Summaries<F, const N: usize = ROWS> {
    maximum: [F; N],
    others: [F; N],
    sum: [F; N],
    inverse: [F; N],
    log: [F; N],
}

impl<F: Float, const N: usize> Summaries<F, N> {
    #[inline(always)]
    fn nan() -> Self {
        let nan = [F::nan(); N];
        Self {
            maximum: nan,
            others: nan,
            sum: nan,
            inverse: nan,
            log: nan,
        }
    }

    #[inline(always)]
    fn new(maximum: [F; N], others: [f64; N], maximal_terms: [F; N]) -> Self {
        let mut rows = Self::nan();
        rows.maximum = maximum;
        // The logarithms apart: twice as many lanes of `f32` as of `f64` are computed at once.
        let mut ratios = [F::zero(); N];
        for i in 0..N {
            let maximal_term = maximal_terms[i].widen();
            // No finite maximum: all −∞, or one +∞.
            let others = if maximum[i].is_finite() {
                others[i]
            } else {
                f64::NAN
            };
            let sum = others + maximal_term;
            rows.others[i] = F::narrow(others);
            rows.sum[i] = F::narrow(sum);
            rows.inverse[i] = F::narrow(1.0 / sum);
            ratios[i] = F::narrow(others / maximal_term);
        }
        for i in 0..N {
            rows.log[i] = ln_1p(ratios[i]);
        }
        rows
    }

    #[inline(always)]
    fn set(&mut self, i: usize, row: Summary<F>) {
        self.maximum[i] = row.maximum;
        self.others[i] = row.others;
        self.sum[i] = row.sum;
        self.inverse[i] = row.inverse;
        self.log[i] = row.log;
    }

    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> Summary<F> {
        Summary {
            maximum: self.maximum[i],
            others: self.others[i],
            sum: self.sum[i],
            inverse: self.inverse[i],
            log: self.log[i],
        }
    }
}

/// How the terms of a group of short rows are computed.
struct GroupScale<F: Float> {
    floors: [F; ROWS],
    offsets: [<F as Elementary>::Exponent; ROWS],
}

impl<F: Float> GroupScale<F> {
    #[inline(always)]
    fn of(maxima: &[F; ROWS]) -> Self {
        let zero = F::zero();
        let mut scale = Self {
            floors: [zero; ROWS],
            offsets: [exponent_offset(zero); ROWS],
        };
        for i in 0..ROWS {
            let fits = maxima[i].abs() < F::SCALED_LIMIT;
            scale.offsets[i] = exponent_offset(if fits { maxima[i] } else { zero });
            scale.floors[i] = maxima[i] - F::SCALED_FLOOR;
        }
        scale
    }

    /// The terms of a logit of each row; unspecified for a wide row.
    #[inline(always)]
    fn terms(&self, logits: &[F; ROWS]) -> [F; ROWS] {
        let mut terms = [F::zero(); ROWS];
        for i in 0..ROWS {
            terms[i] = exp_scaled(logits[i], self.floors[i], self.offsets[i]);
        }
        terms
    }
}

/// The summaries of a group of short rows.
pub(crate) struct GroupSummary<F: Float> {
    rows: Summaries<F>,
    scale: GroupScale<F>,
    /// The first class with the largest logit.
    pub(crate) maximal: [F; ROWS],
    /// Whether the row has to go the way of long rows, alone.
    pub(crate) wide: [bool; ROWS],
}

impl<F: Float> GroupSummary<F> {
    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> Summary<F> {
        self.rows.row(i)
    }

    /// The terms of a logit of each row; unspecified for a wide row.
    #[inline(always)]
    pub(crate) fn terms(&self, logits: &[F; ROWS]) -> [F; ROWS] {
        self.scale.terms(logits)
    }
}

/// Sums up a group, and turns its scores into terms.
#[inline(always)]
pub(crate) fn group<F: Float>(panel: &mut [[F; ROWS]], maxima: Maxima<F>) -> GroupSummary<F> {
    let Maxima { maximum, maximal } = maxima;
    let mut wide = [false; ROWS];
    for i in 0..ROWS {
        wide[i] = maximum[i].is_finite() && maximum[i].abs() >= F::SCALED_LIMIT;
    }
    let scale = GroupScale::of(&maximum);
    let maximal_terms = scale.terms(&maximum);
    // Each pass with few operations, so that the processor has many lanes under way at once.
    for scores in panel.iter_mut() {
        *scores = scale.terms(scores);
    }
    let others = sums_of_others(panel, &maximal);
    GroupSummary {
        rows: Summaries::new(maximum, others, maximal_terms),
        scale,
        maximal,
        wide,
    }
}

/// The passes over a long row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pass {
    Maximum,
    Terms,
    /// What else has to be added up.
    Sum,
    Gradient,
}

/// See [`RowKernel::rows_like_a_group`].
pub(crate) fn rows_like_a_group<F>(classes: usize) -> usize {
    if size_of::<F>() <= size_of::<f32>() {
        2 + classes / 9
    } else {
        3 + classes / 6
    }
}

/// What [`LongRow::look`] needs.
pub(crate) const MAXIMUM: Access = Access {
    scores: true,
    across: true,
    ..Access::NONE
};

/// What [`LongRow::terms`] needs.
pub(crate) const TERMS: Access = Access {
    scores: true,
    gradient: Gradient::Kept,
    adds_up: true,
    across: true,
    ..Access::NONE
};

/// How many blocks the passes see [at once](RowKernel::AT_ONCE): all of a section.
pub(crate) const AT_ONCE: usize = SECTION / BLOCK;

/// What is known of a long row between its parts: after the terms, its summary.
#[derive(Clone)]
pub(crate) struct LongRow<F: Float> {
    largest: Largest<F>,
    /// The first class with the largest logit, once its term is known.
    maximal: Option<usize>,
    pub(crate) maximal_term: F,
    /// `None` for a row without a finite maximum.
    scale: Option<Scale<F>>,
    /// The sum of all terms but that of the maximum.
    others: Pair,
    summary: Summary<F>,
}

impl<F: Float> LongRow<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            largest: Largest::new(),
            maximal: None,
            maximal_term: F::nan(),
            scale: None,
            others: Pair::ZERO,
            summary: Summary::nan(),
        }
    }

    /// A part of the pass for the maximum.
    #[inline(always)]
    pub(crate) fn look(&mut self, part: Part, logits: &[F]) {
        self.largest.look(part, logits);
    }

    /// What follows from the maximum.
    #[inline(always)]
    pub(crate) fn with_maximum(&mut self) {
        self.scale = Scale::of(self.largest.value);
    }

    /// A part of the pass for the terms.
    #[inline(always)]
    pub(crate) fn terms(&mut self, mut piece: Piece<'_, F>, others: &mut Lanes) {
        // At one place: a second call would double the code, and without optimisation the room on the stack.
        let at_once = if piece.wants_gradient { AT_ONCE } else { 1 };
        for part in piece.part.several(at_once) {
            let Piece {
                scores,
                gradient,
                wants_gradient,
                order,
                work,
                ..
            } = piece.block(part);
            let terms = if wants_gradient {
                gradient
            } else {
                &mut work.terms[..part.len]
            };
            self.terms_and_sum(part, scores, terms, (&mut *others, order));
        }
    }

    /// The terms of a part, that of the maximum set to 0, and their sum.
    #[inline(always)]
    fn terms_and_sum(
        &mut self,
        part: Part,
        logits: &[F],
        terms: &mut [F],
        (others, order): (&mut Lanes, Order),
    ) {
        let (Some(Scale::Narrow(scale)), Order::ByLanes) = (self.scale, order) else {
            self.each_term(logits, terms);
            self.add_terms(part, logits, terms, (others, order));
            return;
        };
        self.find_maximal(part, logits);
        let maximal = self.maximal_in(part);
        scale.each_term_and_sum(logits, terms, maximal, others.in_memory());
    }

    /// Finds the maximal class, if it is in this part.
    #[inline(always)]
    fn find_maximal(&mut self, part: Part, logits: &[F]) {
        if self.maximal.is_none() {
            self.maximal = self.largest.final_class(part, logits);
        }
    }

    /// Adds up the terms of a part, that of the maximum set to 0.
    #[inline(always)]
    pub(crate) fn add_terms(
        &mut self,
        part: Part,
        logits: &[F],
        terms: &mut [F],
        (others, order): (&mut Lanes, Order),
    ) {
        if !self.is_defined() {
            return;
        }
        self.find_maximal(part, logits);
        self.leave_out_maximal(part, terms);
        others.add_terms(terms, order);
    }

    /// Adds the terms of a section but that of the maximum.
    #[inline(always)]
    pub(crate) fn add_others(&mut self, others: &Lanes) {
        F::add_section(&mut self.others, F::total_of_section(others));
    }

    /// Takes over the largest logit of the next section.
    #[inline(always)]
    pub(crate) fn adopt_maximum(&mut self, section: &Self) {
        if self.largest.adopt(&section.largest) {
            self.maximal = section.maximal;
        }
    }

    /// Takes over the terms of the next section.
    #[inline(always)]
    pub(crate) fn adopt_terms(&mut self, section: &Self) {
        self.maximal = self.maximal.or(section.maximal);
        F::add_section(&mut self.others, section.others);
    }

    /// Sees to it that a piece has the terms in its gradient.
    #[inline(always)]
    pub(crate) fn recall(&self, piece: &mut Piece<'_, F>) {
        if !piece.is_kept {
            self.each_term(piece.scores, piece.gradient);
            self.leave_out_maximal(piece.part, piece.gradient);
        }
    }

    /// The terms of a part, NaN where there is no finite maximum.
    #[inline(always)]
    pub(crate) fn each_term(&self, logits: &[F], terms: &mut [F]) {
        match self.scale {
            Some(Scale::Narrow(scale)) => scale.each_term(logits, terms),
            Some(Scale::Wide { maximum }) => {
                for (term, &x) in terms.iter_mut().zip(logits) {
                    *term = exp_difference(x, maximum);
                }
            }
            None => terms.fill(F::nan()),
        }
    }

    #[inline(always)]
    fn leave_out_maximal(&self, part: Part, terms: &mut [F]) {
        if let Some(offset) = self.maximal_in(part) {
            terms[offset] = F::zero();
        }
    }

    /// What follows from the terms.
    #[inline(always)]
    pub(crate) fn with_terms(&mut self) {
        let maximum = self.maximum();
        let others = self.others.value();
        self.maximal_term = self.term(maximum);
        self.summary = Summaries::new([maximum], [others], [self.maximal_term]).row(0);
    }

    #[inline(always)]
    pub(crate) fn maximum(&self) -> F {
        self.largest.value
    }

    /// The first class with the largest logit.
    #[inline(always)]
    pub(crate) fn maximal(&self) -> Option<usize> {
        self.maximal
    }

    /// Where the first class with the largest logit is in a part, if it is there.
    #[inline(always)]
    pub(crate) fn maximal_in(&self, part: Part) -> Option<usize> {
        part.offset_of(self.maximal?)
    }

    #[inline(always)]
    pub(crate) fn is_maximal(&self, class: usize) -> bool {
        self.maximal == Some(class)
    }

    /// Whether there is a finite maximum.
    #[inline(always)]
    pub(crate) fn is_defined(&self) -> bool {
        self.scale.is_some()
    }

    /// `None` where a difference to the maximum may overflow.
    #[inline(always)]
    pub(crate) fn narrow_scale(&self) -> Option<NarrowScale<F>> {
        match self.scale {
            Some(Scale::Narrow(scale)) => Some(scale),
            _ => None,
        }
    }

    /// NaN before the terms are known, and where there is no finite maximum.
    #[inline(always)]
    pub(crate) fn summary(&self) -> Summary<F> {
        self.summary
    }

    /// The term of a logit of this row.
    #[inline(always)]
    pub(crate) fn term(&self, logit: F) -> F {
        // A closure would be compiled for the baseline.
        match self.scale {
            Some(scale) => scale.term(logit),
            None => F::nan(),
        }
    }
}

/// Does the wide rows of a group alone, by the kernel's way for long rows.
#[inline(always)]
pub(crate) fn wide_rows<F: Float, K: RowKernel<F>>(
    kernel: K,
    group: &mut Group<'_, F>,
    wide: &[bool; ROWS],
) {
    // without an early exit, so that it vectorises
    if wide.iter().fold(false, |any, &wide| any | wide) {
        for r in (0..ROWS).filter(|&r| wide[r]) {
            single_row(kernel, group, r);
        }
    }
}

#[cold]
fn single_row<F: Float, K: RowKernel<F>>(kernel: K, group: &mut Group<'_, F>, r: usize) {
    let classes = group.classes;
    let span = r * classes..(r + 1) * classes;
    let scores = group.scores.get(span.clone()).unwrap_or_default();
    let (label, targets) = match group.targets {
        GroupTargets::Labels(labels) => (Some(labels[r]), None),
        GroupTargets::Dense(rows) => (None, Some([rows.get(span.clone()).unwrap_or_default()])),
    };
    let item = Item {
        classes,
        label,
        coefficient: group.coefficients[r],
    };
    let gradient = group.gradient.as_deref_mut();
    let mut gradient = gradient.and_then(|rows| rows.get_mut(span.clone()).map(|row| [row]));
    let mut band = Band {
        first: 0,
        classes,
        items: &[Some(item)],
        scores: Some(Source::Slices(&[scores])),
        targets: targets.as_ref().map(|row| Source::Slices(row)),
        gradient: gradient.as_mut().map(|row| Sink::Slices(row)),
        way: Way::ByRows,
    };
    kernel.band(
        &mut band,
        &mut group.losses[r..=r],
        Rooms::<F, 1>::new().room(),
    );
}
