//! The terms of a softmax, for the loss and for the activations that rest on it.
//!
//! A row of logits x with its maximum m at class j gives terms eₓ = e^(x − m'), with m' = ln 2 · round(m·log₂ e), times
//! a fixed power of two: x − m, which would round, is never formed (see [`exp_scaled`]). The sum of all terms but that
//! of the maximum is kept apart, since it is what a confident row depends on:
//!
//! ```text
//! ln Σ e^x − m = log1p(others / e_m)          softmax(x)ⱼ − 1 = −(sum of the others) / Σ
//! ```

use std::array::from_fn;

use crate::Float;
use crate::engine::reduce::{LANES, Lanes};
use crate::engine::rows::{
    Access, AnyRowKernel, Band, Block, Column, Columns, Gradient, Group, GroupTargets, Item,
    LanesAcross, Largest, LargestAcross, Part, Parts, Piece, ROWS, Rooms, RowKernel, STRIPS, Sink,
    Source, Strips, offsets, strips, update,
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

    #[inline(always)]
    fn new(maximum: F, others: f64, maximal_term: F) -> Self {
        let maximal_term = maximal_term.widen();
        // No finite maximum: all −∞, or one +∞.
        let others = if maximum.is_finite() {
            others
        } else {
            f64::NAN
        };
        let sum = others + maximal_term;
        Self {
            maximum,
            others: F::narrow(others),
            sum: F::narrow(sum),
            inverse: F::narrow(1.0 / sum),
            log: ln_1p(F::narrow(others / maximal_term)),
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
pub(crate) struct Summaries<F> {
    maximum: [F; ROWS],
    others: [F; ROWS],
    sum: [F; ROWS],
    inverse: [F; ROWS],
    log: [F; ROWS],
}

impl<F: Float> Summaries<F> {
    #[inline(always)]
    fn nan() -> Self {
        let nan = [F::nan(); ROWS];
        Self {
            maximum: nan,
            others: nan,
            sum: nan,
            inverse: nan,
            log: nan,
        }
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

/// The summaries of a group of short rows.
pub(crate) struct GroupSummary<F> {
    rows: Summaries<F>,
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
}

/// The largest logits of a group, one lane a row.
pub(crate) struct Maxima<F> {
    pub(crate) maximum: [F; ROWS],
    /// The first class that has it.
    maximal: [F; ROWS],
}

impl<F: Float> Maxima<F> {
    #[inline(always)]
    pub(crate) fn of(panel: &[[F; ROWS]]) -> Self {
        let mut maximum = [F::neg_infinity(); ROWS];
        let mut maximal = [F::zero(); ROWS];
        let mut class = F::zero();
        for scores in panel {
            for i in 0..ROWS {
                let greater = scores[i] > maximum[i];
                maximum[i] = update(greater, scores[i], maximum[i]);
                maximal[i] = update(greater, class, maximal[i]);
            }
            class += F::one();
        }
        Self { maximum, maximal }
    }
}

/// Sums up a group, and turns its scores into terms.
#[inline(always)]
pub(crate) fn group<F: Float>(panel: &mut [[F; ROWS]], maxima: Maxima<F>) -> GroupSummary<F> {
    let (zero, one) = (F::zero(), F::one());
    let Maxima { maximum, maximal } = maxima;
    let mut wide = [false; ROWS];
    let mut offsets = [exponent_offset(zero); ROWS];
    let mut floors = [zero; ROWS];
    for i in 0..ROWS {
        let fits = maximum[i].abs() < F::SCALED_LIMIT;
        offsets[i] = exponent_offset(if fits { maximum[i] } else { zero });
        floors[i] = maximum[i] - F::SCALED_FLOOR;
    }
    for i in 0..ROWS {
        wide[i] = maximum[i].is_finite() && maximum[i].abs() >= F::SCALED_LIMIT;
    }
    let mut sums = [0.0; ROWS];
    let mut rests = [0.0; ROWS];
    let mut maximal_term = [one; ROWS];
    let mut class = zero;
    for scores in panel.iter_mut() {
        let mut others = [zero; ROWS];
        for i in 0..ROWS {
            let term = exp_scaled(scores[i], floors[i], offsets[i]);
            let is_maximal = maximal[i] == class;
            scores[i] = term;
            maximal_term[i] = update(is_maximal, term, maximal_term[i]);
            others[i] = if is_maximal { zero } else { term };
        }
        for i in 0..ROWS {
            F::add_to(&mut sums[i], &mut rests[i], others[i]);
        }
        class += one;
    }
    let mut rows = Summaries::nan();
    for i in 0..ROWS {
        let others = sums[i] + rests[i];
        rows.set(i, Summary::new(maximum[i], others, maximal_term[i]));
    }
    GroupSummary {
        rows,
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
    across: true,
    ..Access::NONE
};

/// What is known of a long row between its parts: after the terms, its summary.
pub(crate) struct LongRow<F: Float> {
    largest: Largest<F>,
    /// The first class with the largest logit, once its term is known.
    maximal: Option<usize>,
    pub(crate) maximal_term: F,
    /// `None` for a row without a finite maximum.
    scale: Option<Scale<F>>,
    others: Lanes,
    summary: Summary<F>,
}

/// How the terms of a row are computed.
#[derive(Clone, Copy)]
enum Scale<F: Float> {
    Narrow {
        floor: F,
        offset: <F as Elementary>::Exponent,
    },
    Wide {
        maximum: F,
    },
}

impl<F: Float> Scale<F> {
    #[inline(always)]
    fn of(maximum: F) -> Option<Self> {
        if !maximum.is_finite() {
            None
        } else if maximum.abs() < F::SCALED_LIMIT {
            Some(Self::Narrow {
                floor: maximum - F::SCALED_FLOOR,
                offset: exponent_offset(maximum),
            })
        } else {
            Some(Self::Wide { maximum })
        }
    }

    #[inline(always)]
    fn term(self, logit: F) -> F {
        match self {
            Self::Narrow { floor, offset } => exp_scaled(logit, floor, offset),
            Self::Wide { maximum } => exp_difference(logit, maximum),
        }
    }
}

impl<F: Float> LongRow<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            largest: Largest::new(),
            maximal: None,
            maximal_term: F::nan(),
            scale: None,
            others: Lanes::ZERO,
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

    /// A part of the pass for the terms, that of the maximum 0; NaN where there is no finite maximum.
    #[inline(always)]
    pub(crate) fn terms(&mut self, part: Part, logits: &[F], terms: &mut [F], work: &mut Block<F>) {
        if !self.is_defined() {
            terms.fill(F::nan());
            return;
        }
        if let Some(class) = self.largest.class(part, logits) {
            self.maximal = Some(class);
        }
        self.terms_again(part, logits, terms);
        F::accumulate_terms(self.others.in_memory(), terms, work);
    }

    /// Sees to it that a piece has the terms in its gradient.
    #[inline(always)]
    pub(crate) fn recall(&self, piece: &mut Piece<'_, F>) {
        if !piece.is_kept {
            self.terms_again(piece.part, piece.scores, piece.gradient);
        }
    }

    #[inline(always)]
    fn terms_again(&self, part: Part, logits: &[F], terms: &mut [F]) {
        let pairs = terms.iter_mut().zip(logits);
        match self.scale {
            Some(Scale::Narrow { floor, offset }) => {
                for (term, &x) in pairs {
                    *term = exp_scaled(x, floor, offset);
                }
            }
            Some(Scale::Wide { maximum }) => {
                for (term, &x) in pairs {
                    *term = exp_difference(x, maximum);
                }
            }
            None => terms.fill(F::nan()),
        }
        if let Some(offset) = self.maximal_in(part) {
            terms[offset] = F::zero();
        }
    }

    /// What follows from the terms.
    #[inline(always)]
    pub(crate) fn with_terms(&mut self) {
        let maximum = self.maximum();
        let others = self.others.total().value();
        self.maximal_term = self.term(maximum);
        self.summary = Summary::new(maximum, others, self.maximal_term);
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

    /// Whether no difference to the maximum overflows.
    #[inline(always)]
    pub(crate) fn is_narrow(&self) -> bool {
        matches!(self.scale, Some(Scale::Narrow { .. }))
    }

    /// NaN before the terms are known, and where there is no finite maximum.
    #[inline(always)]
    pub(crate) fn summary(&self) -> Summary<F> {
        self.summary
    }

    /// The term of a logit of this row.
    #[inline(always)]
    pub(crate) fn term(&self, logit: F) -> F {
        self.scale.map_or_else(F::nan, |scale| scale.term(logit))
    }
}

/// The pass for the maximum, over several rows.
#[inline(always)]
pub(crate) fn look_across<F: Float, K: AsMut<LongRow<F>>>(
    known: &mut [Option<K>],
    mut logits: Columns<'_, F>,
) {
    for (part, logits) in logits.stretches() {
        let mut largest = LargestAcross::new();
        let mut offset = F::zero();
        for column in logits.each() {
            for (strip, scores) in column.scores() {
                largest.look(offset, strip, &scores);
            }
            offset += F::one();
        }
        for (row, (value, offset)) in known.iter_mut().zip(largest.of_rows()) {
            if let Some(row) = row {
                let row = row.as_mut();
                if row.largest.look_at(part, value) {
                    row.maximal = value.is_finite().then_some(part.start + offset);
                }
            }
        }
    }
}

/// What is found in several rows beside their terms. All functions have to be `#[inline(always)]`.
pub(crate) trait Beside<F: Float> {
    /// A part, before its terms take the place of logits.
    #[inline(always)]
    fn look(&mut self, _part: Part, _columns: Columns<'_, F>, _scales: &Scales<F>) {}
}

impl<F: Float> Beside<F> for () {}

/// The pass for the terms, over several rows: that of the maximum is among those that are kept.
#[inline(always)]
pub(crate) fn terms_across<F: Float, K: AsRef<LongRow<F>> + AsMut<LongRow<F>>>(
    known: &mut [Option<K>],
    mut columns: Columns<'_, F>,
    sums: &mut LanesAcross,
    beside: &mut impl Beside<F>,
) {
    let zero = F::zero();
    let scales = Scales::of(known);
    sums.clear();
    for part in Parts::of(columns.classes()) {
        let maximal: Strips<F> = offsets(known, part, |row| row.as_ref().maximal());
        let mut columns = columns.split_off(part.len);
        beside.look(part, columns.reborrow(), &scales);
        // In the order of `sums_of_four`.
        let quarter = part.len / 4;
        let ahead = (columns.stretch() / 4).max(LANES);
        let mut quarters: [_; 4] = from_fn(|_| columns.split_off(quarter));
        for start in (0..quarter).step_by(ahead) {
            let mut stretch = quarters.each_mut().map(|quarter| {
                let stretch = quarter.split_off(ahead);
                stretch.fetch();
                stretch.each()
            });
            for place in start..quarter.min(start + ahead) {
                let mut of_quarters: [Column<'_, F>; 4] = stretch
                    .each_mut()
                    .map(|columns| columns.next().unwrap_or_default());
                let strips = of_quarters[0].count();
                for index in 0..strips {
                    let mut others = [[zero; ROWS]; 4];
                    for (q, others) in others.iter_mut().enumerate() {
                        let strip = of_quarters[q].next(index);
                        if strip.is_empty() {
                            continue;
                        }
                        let mut terms = [zero; ROWS];
                        scales.terms(index, &strip.scores(), &mut terms);
                        let class = F::narrow((q * quarter + place) as f64);
                        for i in 0..ROWS {
                            let is_maximal = maximal[index][i] == class;
                            others[i] = if is_maximal { zero } else { terms[i] };
                        }
                        strip.write(&terms);
                    }
                    let [a, b, c, d] = &others;
                    let mut sum = [zero; ROWS];
                    for i in 0..ROWS {
                        sum[i] = (a[i] + b[i]) + (c[i] + d[i]);
                    }
                    sums.add(place, index, &sum);
                }
            }
        }
    }
    for (index, row) in known.iter_mut().enumerate() {
        if let Some(row) = row {
            row.as_mut().others = sums.of_row::<F>(index);
        }
    }
}

/// How the terms of several rows are computed.
pub(crate) struct Scales<F: Float> {
    pub(crate) maximum: Strips<F>,
    floor: Strips<F>,
    offset: Strips<<F as Elementary>::Exponent>,
    /// 1 for a wide row.
    wide: Strips<F>,
    any_wide: bool,
}

impl<F: Float> Scales<F> {
    #[inline(always)]
    fn of<K: AsRef<LongRow<F>>>(known: &[Option<K>]) -> Self {
        let (zero, one) = (F::zero(), F::one());
        let wide = strips(known, zero, |row| match row.as_ref().scale {
            Some(Scale::Wide { .. }) => one,
            _ => zero,
        });
        Self {
            maximum: strips(known, zero, |row| row.as_ref().maximum()),
            floor: strips(known, zero, |row| match row.as_ref().scale {
                Some(Scale::Narrow { floor, .. }) => floor,
                _ => zero,
            }),
            offset: strips(known, exponent_offset(zero), |row| {
                match row.as_ref().scale {
                    Some(Scale::Narrow { offset, .. }) => offset,
                    _ => exponent_offset(zero),
                }
            }),
            any_wide: wide.as_flattened().contains(&one),
            wide,
        }
    }

    /// Unspecified for a row without a finite maximum.
    #[inline(always)]
    fn terms(&self, strip: usize, logits: &[F; ROWS], terms: &mut [F; ROWS]) {
        let (floor, offset) = (&self.floor[strip], &self.offset[strip]);
        for i in 0..ROWS {
            terms[i] = exp_scaled(logits[i], floor[i], offset[i]);
        }
        if self.any_wide {
            for i in 0..ROWS {
                let of_wide = exp_difference(logits[i], self.maximum[strip][i]);
                terms[i] = if self.is_wide(strip, i) {
                    of_wide
                } else {
                    terms[i]
                };
            }
        }
    }

    #[inline(always)]
    pub(crate) fn any_wide(&self) -> bool {
        self.any_wide
    }

    #[inline(always)]
    pub(crate) fn is_wide(&self, strip: usize, i: usize) -> bool {
        self.wide[strip][i] == F::one()
    }
}

/// The summaries of several long rows, and which there are: 1, or 0 for those that are left out.
pub(crate) struct SummariesAcross<F> {
    pub(crate) rows: [Summaries<F>; STRIPS],
    present: Strips<F>,
}

impl<F: Float> SummariesAcross<F> {
    #[inline(always)]
    pub(crate) fn of<K: AsRef<LongRow<F>>>(known: &[Option<K>]) -> Self {
        let mut rows = [Summaries::nan(); STRIPS];
        for (index, row) in known.iter().enumerate() {
            if let (Some(row), Some(strip)) = (row, rows.get_mut(index / ROWS)) {
                strip.set(index % ROWS, row.as_ref().summary());
            }
        }
        let present = strips(known, F::zero(), |_| F::one());
        Self { rows, present }
    }

    /// The value, or 0 for a row that is left out.
    #[inline(always)]
    pub(crate) fn present(&self, strip: usize, i: usize, value: F) -> F {
        if self.present[strip][i] == F::one() {
            value
        } else {
            F::zero()
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
        classes,
        items: &[Some(item)],
        scores: Some(Source::Slices(&[scores])),
        targets: targets.as_ref().map(|row| Source::Slices(row)),
        gradient: gradient.as_mut().map(|row| Sink::Slices(row)),
        across: false,
    };
    kernel.band(
        &mut band,
        &mut group.losses[r..=r],
        Rooms::<F, 1>::new().room(),
    );
}
