//! The passes over several long rows that lie along columns.

use std::array::from_fn;

use super::{LongRow, Scale, Summaries};
use crate::Float;
use crate::engine::reduce::{LANES, STRIPE};
use crate::engine::rows::{
    ABREAST, Abreast, Column, Columns, LanesAcross, LargestAcross, Part, abreast, offsets,
};
use crate::math::{Elementary, exp_difference, exp_scaled, exponent_offset};

/// The pass for the maximum, over several rows.
#[inline(always)]
pub(crate) fn look_across<F: Float, K: AsMut<LongRow<F>>>(
    known: &mut [Option<K>],
    mut logits: Columns<'_, F>,
) {
    for (part, logits) in logits.stretches() {
        let largest = LargestAcross::of(logits, None);
        for (row, (value, class, _)) in known.iter_mut().zip(largest.of_rows(part)) {
            if let Some(row) = row {
                let row = row.as_mut();
                if row.largest.look_at(part, value) {
                    row.maximal = value.is_finite().then_some(class);
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
    let rows = known.len().min(ABREAST);
    let scales = Scales::of(known);
    let mut rooms = [[F::zero(); ABREAST]; 4];
    sums.clear();
    for part in columns.parts() {
        let maximal: Abreast<F> = offsets(known, part, |row| row.as_ref().maximal());
        let mut columns = columns.split_off(part.len);
        beside.look(part, columns.reborrow(), &scales);
        let maximal = &maximal[..rows];
        // In the order of `Lanes::add_stripes`.
        for start in (0..part.len).step_by(STRIPE) {
            let mut stripe = columns.split_off(STRIPE.min(part.len - start));
            stripe.fetch();
            let mut quarters: [_; STRIPE / LANES] = from_fn(|_| stripe.split_off(LANES).each());
            for lane in 0..LANES {
                let mut terms: [&[F]; STRIPE / LANES] = [&[]; _];
                for ((terms, room), quarter) in terms.iter_mut().zip(&mut rooms).zip(&mut quarters)
                {
                    *terms = scales.terms_of(quarter.next().unwrap_or_default(), room);
                }
                let classes = from_fn(|q| F::narrow((start + q * LANES + lane) as f64));
                sums.add_others(lane, terms, maximal, classes);
            }
        }
    }
    for (index, row) in known.iter_mut().enumerate() {
        if let Some(row) = row {
            row.as_mut().add_others(&sums.of_row::<F>(index));
        }
    }
}

/// How the terms of several rows are computed.
pub(crate) struct Scales<F: Float> {
    pub(crate) maximum: Abreast<F>,
    floor: Abreast<F>,
    offset: Abreast<<F as Elementary>::Exponent>,
    /// 1 for a wide row.
    wide: Abreast<F>,
    any_wide: bool,
}

impl<F: Float> Scales<F> {
    #[inline(always)]
    fn of<K: AsRef<LongRow<F>>>(known: &[Option<K>]) -> Self {
        let (zero, one) = (F::zero(), F::one());
        let wide = abreast(known, zero, |row| match row.as_ref().scale {
            Some(Scale::Wide { .. }) => one,
            _ => zero,
        });
        Self {
            maximum: abreast(known, zero, |row| row.as_ref().maximum()),
            floor: abreast(known, zero, |row| match row.as_ref().scale {
                Some(Scale::Narrow(scale)) => scale.floor,
                _ => zero,
            }),
            offset: abreast(known, exponent_offset(zero), |row| {
                match row.as_ref().scale {
                    Some(Scale::Narrow(scale)) => scale.offset,
                    _ => exponent_offset(zero),
                }
            }),
            any_wide: wide.contains(&one),
            wide,
        }
    }

    /// The terms of a class, in its gradient if there is one; 0 where there is no such class, and unspecified for a row
    /// without a finite maximum.
    #[inline(always)]
    fn terms_of<'t>(&self, column: Column<'t, F>, room: &'t mut Abreast<F>) -> &'t [F] {
        if !column.gradient.is_empty() {
            let (logits, terms) = column.scores_and_gradient(room);
            self.terms(logits, terms);
            return terms;
        }
        match column.scores() {
            [] => room.fill(F::zero()),
            logits => self.terms(logits, &mut room[..logits.len()]),
        }
        room
    }

    #[inline(always)]
    fn terms(&self, logits: &[F], terms: &mut [F]) {
        // All rows in one loop: for a few at a time, all that is the same for them would be loaded anew.
        let rows = terms.len();
        let (logits, floors) = (&logits[..rows], &self.floor[..rows]);
        let offsets = &self.offset[..rows];
        if !self.any_wide {
            for i in 0..rows {
                terms[i] = exp_scaled(logits[i], floors[i], offsets[i]);
            }
            return;
        }
        let (maxima, wide) = (&self.maximum[..rows], &self.wide[..rows]);
        for i in 0..rows {
            let of_narrow = exp_scaled(logits[i], floors[i], offsets[i]);
            let of_wide = exp_difference(logits[i], maxima[i]);
            terms[i] = if wide[i] == F::one() {
                of_wide
            } else {
                of_narrow
            };
        }
    }

    #[inline(always)]
    pub(crate) fn any_wide(&self) -> bool {
        self.any_wide
    }

    #[inline(always)]
    pub(crate) fn is_wide(&self, row: usize) -> bool {
        self.wide[row] == F::one()
    }
}

/// The summaries of several long rows.
#[inline(always)]
pub(crate) fn summaries_across<F: Float, K: AsRef<LongRow<F>>>(
    known: &[Option<K>],
) -> Summaries<F, ABREAST> {
    let mut summaries = Summaries::nan();
    for (index, row) in known.iter().enumerate().take(ABREAST) {
        if let Some(row) = row {
            summaries.set(index, row.as_ref().summary());
        }
    }
    summaries
}
