//! The passes over several long rows that lie along columns.

use std::array::from_fn;

use super::{LongRow, Scale, Summaries, Summary};
use crate::Float;
use crate::engine::reduce::LANES;
use crate::engine::rows::{
    Column, Columns, LanesAcross, LargestAcross, Part, Parts, ROWS, STRIPS, Strips, offsets, strips,
};
use crate::math::{Elementary, exp_difference, exp_scaled, exponent_offset};

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

/// The summaries of several long rows.
pub(crate) struct SummariesAcross<F>([Summaries<F>; STRIPS]);

impl<F: Float> SummariesAcross<F> {
    #[inline(always)]
    pub(crate) fn of<K: AsRef<LongRow<F>>>(known: &[Option<K>]) -> Self {
        let mut strips = [Summaries::nan(); STRIPS];
        for (index, row) in known.iter().enumerate() {
            if let (Some(row), Some(strip)) = (row, strips.get_mut(index / ROWS)) {
                strip.set(index % ROWS, row.as_ref().summary());
            }
        }
        Self(strips)
    }

    #[inline(always)]
    pub(crate) fn row(&self, strip: usize, i: usize) -> Summary<F> {
        self.0[strip].row(i)
    }
}
