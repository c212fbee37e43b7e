//! Short rows: in groups, one lane a row.

use super::RowKernel;
use crate::engine::simd::{PATCH_COLUMNS, PATCH_ROWS, Rows, Shuffles, covers};
use crate::float::Float;

/// How many short rows a group has at most.
pub(crate) const ROWS: usize = 32;
/// A group of short rows, one class after the other: `panel[class][row]`.
pub(crate) type Panel<F> = [[F; ROWS]];

/// Short rows, one after the other.
#[doc(hidden)]
pub struct Batch<'a, F> {
    pub(crate) classes: usize,
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) scores: Option<&'a [F]>,
    pub(crate) targets: BatchTargets<'a, F>,
    pub(crate) coefficients: Coefficients<'a, F>,
    pub(crate) losses: &'a mut [F],
    pub(crate) gradient: Option<&'a mut [F]>,
    /// Room for three panels.
    pub(in crate::engine) scratch: &'a mut Panel<F>,
}

/// The targets of a batch.
#[derive(Clone, Copy)]
pub(crate) enum BatchTargets<'a, F> {
    /// One valid label for each row.
    Labels(&'a [usize]),
    /// Rows like the scores.
    Dense(&'a [F]),
}

/// Factors of the gradients.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Coefficients<'a, F> {
    /// One for all rows.
    Same(F),
    /// One for each row.
    Each(&'a [F]),
}

impl<F: Float> Coefficients<'_, F> {
    /// Multiplies one value of each row by its factor.
    #[inline(always)]
    pub(super) fn scale(self, values: &mut [F]) {
        match self {
            Self::Same(factor) => {
                for value in values {
                    *value *= factor;
                }
            }
            Self::Each(factors) => {
                for (value, &factor) in values.iter_mut().zip(factors) {
                    *value *= factor;
                }
            }
        }
    }

    /// Those of at most [`ROWS`] rows from `start` on; unspecified behind the last.
    #[inline(always)]
    pub(crate) fn of_rows(self, start: usize) -> [F; ROWS] {
        match self {
            Self::Same(factor) => [factor; ROWS],
            Self::Each(factors) => {
                let mut of_rows = [F::one(); ROWS];
                for (to, &factor) in of_rows.iter_mut().zip(&factors[start..]) {
                    *to = factor;
                }
                of_rows
            }
        }
    }
}

/// At most [`ROWS`] short rows.
pub(crate) struct Group<'a, F> {
    pub(crate) classes: usize,
    pub(crate) scores: &'a [F],
    pub(crate) targets: GroupTargets<'a, F>,
    /// Factors of the gradients, one a row.
    pub(crate) coefficients: &'a [F; ROWS],
    /// To be written as a whole: one by one, they would keep a loop from being vectorised.
    pub(crate) losses: &'a mut [F; ROWS],
    pub(crate) gradient: Option<&'a mut [F]>,
    /// Two panels of as many classes to work in; what they hold is unspecified.
    pub(crate) panel: &'a mut Panel<F>,
    pub(crate) target_panel: &'a mut Panel<F>,
}

#[derive(Clone, Copy)]
pub(crate) enum GroupTargets<'a, F> {
    /// One valid label for each of [`ROWS`] rows.
    Labels(&'a [usize; ROWS]),
    /// Rows like the scores.
    Dense(&'a [F]),
}

impl<F: Float> Batch<'_, F> {
    /// Hands the rows to the kernel in groups.
    #[inline(always)]
    pub(crate) fn each_group<K: RowKernel<F>>(&mut self, kernel: K) {
        let classes = self.classes;
        let (panel, rest) = self.scratch.split_at_mut(classes);
        let (target_panel, copy) = rest.split_at_mut(classes);
        let copy = copy.as_flattened_mut();
        let gradient = &mut self.gradient;
        let mut labels = [0; ROWS];
        let mut spare = [F::zero(); ROWS];
        let rows = self.losses.len();
        let mut start = 0;
        while start < rows {
            let end = (start + ROWS).min(rows);
            let span = start * classes..end * classes;
            let gradient = gradient.as_deref_mut().map(|all| &mut all[span.clone()]);
            let scores = match (self.scores, &gradient) {
                (Some(scores), _) => &scores[span.clone()],
                (None, Some(gradient)) => {
                    let copy = &mut copy[..gradient.len()];
                    copy.copy_from_slice(gradient);
                    copy
                }
                (None, None) => &[],
            };
            let targets = match self.targets {
                BatchTargets::Dense(targets) => GroupTargets::Dense(&targets[span]),
                BatchTargets::Labels(all) => match all[start..].first_chunk() {
                    Some(labels) => GroupTargets::Labels(labels),
                    None => {
                        for (to, &label) in labels.iter_mut().zip(&all[start..]) {
                            *to = label;
                        }
                        GroupTargets::Labels(&labels)
                    }
                },
            };
            let coefficients = self.coefficients.of_rows(start);
            let rest = &mut self.losses[start..];
            let (losses, few) = match rest.first_chunk_mut() {
                Some(losses) => (losses, None),
                None => (&mut spare, Some(start)),
            };
            kernel.group(Group {
                classes,
                scores,
                targets,
                coefficients: &coefficients,
                losses,
                gradient,
                panel: &mut *panel,
                target_panel: &mut *target_panel,
            });
            if let Some(start) = few {
                self.losses[start..].copy_from_slice(&spare[..rows - start]);
            }
            start = end;
        }
    }
}

/// The largest scores of a group, one lane a row.
pub(crate) struct Maxima<F> {
    pub(crate) maximum: [F; ROWS],
    /// The first class that has it, 0 where there is no number above −∞.
    pub(crate) maximal: [F; ROWS],
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

/// What a lane that is kept in memory becomes: the new value where the condition holds, else what it was (−0 as 0).
///
/// Without the addition the compiler would store only where the condition holds: a masked store, which takes tens of
/// cycles on some processors.
#[inline(always)]
pub(crate) fn update<F: Float>(condition: bool, new: F, old: F) -> F {
    (if condition { new } else { old }) + F::zero()
}

/// Labels in the lanes' own type; exact for short rows.
#[inline(always)]
pub(crate) fn as_floats<F: Float>(labels: &[usize; ROWS]) -> [F; ROWS] {
    let mut floats = [F::zero(); ROWS];
    for i in 0..ROWS {
        // by way of 32 bits, for which there are vector instructions
        floats[i] = F::narrow(f64::from(labels[i] as i32));
    }
    floats
}

/// The score of each row's label; NaN for rows that are not there.
#[inline(always)]
pub(crate) fn scores_of_labels<F: Float>(
    scores: &[F],
    classes: usize,
    labels: &[usize; ROWS],
) -> [F; ROWS] {
    let mut of_labels = [F::nan(); ROWS];
    let mut first = 0;
    for (score, &label) in of_labels.iter_mut().zip(labels) {
        *score = scores.get(first + label).copied().unwrap_or_else(F::nan);
        first += classes;
    }
    of_labels
}

/// Rows of scores, one class after the other; what the panel holds for rows that are not there is unspecified.
#[inline(always)]
pub(crate) fn transpose<F: Float>(scores: &[F], panel: &mut Panel<F>) {
    let shuffles = Shuffles::new();
    let classes = panel.len();
    let mut done = 0;
    if classes >= PATCH_COLUMNS {
        for rows in scores.chunks_exact(PATCH_ROWS * classes) {
            let Some(rows) = PatchRows::of(rows, classes) else {
                continue;
            };
            for class in covers(classes, PATCH_COLUMNS) {
                let Some(patch) = rows.patch(class) else {
                    continue;
                };
                let columns = shuffles.columns_of(patch);
                for (lanes, column) in panel[class..].iter_mut().zip(&columns) {
                    if let Some(lanes) = lanes[done..].first_chunk_mut() {
                        *lanes = *column;
                    }
                }
            }
            done += PATCH_ROWS;
        }
    } else if all_columns::<F, 2>(scores, panel) || all_columns::<F, 3>(scores, panel) {
        return;
    }
    for (row, r) in scores[done * classes..]
        .chunks_exact(classes)
        .zip(done..ROWS)
    {
        for (lanes, &x) in panel.iter_mut().zip(row) {
            lanes[r] = x;
        }
    }
}

/// The inverse of [`transpose`].
#[inline(always)]
pub(crate) fn transpose_back<F: Float>(panel: &Panel<F>, rows: &mut [F]) {
    let shuffles = Shuffles::new();
    let classes = panel.len();
    let mut done = 0;
    if classes >= PATCH_COLUMNS {
        for rows in rows.chunks_exact_mut(PATCH_ROWS * classes) {
            let Some(mut rows) = PatchRows::of(rows, classes) else {
                continue;
            };
            for class in covers(classes, PATCH_COLUMNS) {
                let Some(columns) = lanes_of(&panel[class..], done) else {
                    continue;
                };
                rows.set(class, shuffles.rows_of(columns));
            }
            done += PATCH_ROWS;
        }
    } else if all_rows::<F, 2>(panel, rows) || all_rows::<F, 3>(panel, rows) {
        return;
    }
    for (row, r) in rows[done * classes..]
        .chunks_exact_mut(classes)
        .zip(done..ROWS)
    {
        for (lanes, to) in panel.iter().zip(row) {
            *to = lanes[r];
        }
    }
}

/// [`transpose`] for all rows of so many classes, of which the compiler then knows how many: whether that is what there is.
#[inline(always)]
fn all_columns<F: Float, const CLASSES: usize>(scores: &[F], panel: &mut Panel<F>) -> bool {
    let rows: Option<&[[F; CLASSES]; ROWS]> = scores.as_chunks().0.first_chunk();
    let (Some(rows), Ok(panel)) = (rows, <&mut [_; CLASSES]>::try_from(panel)) else {
        return false;
    };
    for class in 0..CLASSES {
        for r in 0..ROWS {
            panel[class][r] = rows[r][class];
        }
    }
    true
}

/// The inverse of [`all_columns`].
#[inline(always)]
fn all_rows<F: Float, const CLASSES: usize>(panel: &Panel<F>, rows: &mut [F]) -> bool {
    let rows: Option<&mut [[F; CLASSES]; ROWS]> = rows.as_chunks_mut().0.first_chunk_mut();
    let (Some(rows), Ok(panel)) = (rows, <&[_; CLASSES]>::try_from(panel)) else {
        return false;
    };
    for r in 0..ROWS {
        for class in 0..CLASSES {
            rows[r][class] = panel[class][r];
        }
    }
    true
}

/// A slice, to be read or to be written.
trait Slice: Sized {
    fn split(self, middle: usize) -> Option<(Self, Self)>;
}

impl<F> Slice for &[F] {
    #[inline(always)]
    fn split(self, middle: usize) -> Option<(Self, Self)> {
        self.split_at_checked(middle)
    }
}

impl<F> Slice for &mut [F] {
    #[inline(always)]
    fn split(self, middle: usize) -> Option<(Self, Self)> {
        self.split_at_mut_checked(middle)
    }
}

/// Rows of patches, each a slice of the same length: one check serves for all.
struct PatchRows<S>([S; PATCH_ROWS]);

impl<S: Slice> PatchRows<S> {
    #[inline(always)]
    fn of(rows: S, classes: usize) -> Option<Self> {
        let (a, rows) = rows.split(classes)?;
        let (b, rows) = rows.split(classes)?;
        let (c, rows) = rows.split(classes)?;
        let (d, rows) = rows.split(classes)?;
        let (e, rows) = rows.split(classes)?;
        let (f, rows) = rows.split(classes)?;
        let (g, rows) = rows.split(classes)?;
        let (h, _) = rows.split(classes)?;
        Some(Self([a, b, c, d, e, f, g, h]))
    }
}

impl<'r, F> PatchRows<&'r [F]> {
    /// The patch from a class on.
    #[inline(always)]
    fn patch(&self, class: usize) -> Option<[&'r [F; PATCH_COLUMNS]; PATCH_ROWS]> {
        let [a, b, c, d, e, f, g, h] = self.0;
        Some([
            a.get(class..)?.first_chunk()?,
            b.get(class..)?.first_chunk()?,
            c.get(class..)?.first_chunk()?,
            d.get(class..)?.first_chunk()?,
            e.get(class..)?.first_chunk()?,
            f.get(class..)?.first_chunk()?,
            g.get(class..)?.first_chunk()?,
            h.get(class..)?.first_chunk()?,
        ])
    }
}

impl<F: Copy> PatchRows<&mut [F]> {
    #[inline(always)]
    fn set(&mut self, class: usize, patch: Rows<F>) {
        for (row, part) in self.0.iter_mut().zip(patch) {
            if let Some(to) = row.get_mut(class..).and_then(<[F]>::first_chunk_mut) {
                *to = part;
            }
        }
    }
}

/// The first classes' lanes of the rows from `first` on.
#[inline(always)]
fn lanes_of<F>(panel: &Panel<F>, first: usize) -> Option<[&[F; PATCH_ROWS]; PATCH_COLUMNS]> {
    let [a, b, c, d]: &[_; PATCH_COLUMNS] = panel.first_chunk()?;
    Some([
        a.get(first..)?.first_chunk()?,
        b.get(first..)?.first_chunk()?,
        c.get(first..)?.first_chunk()?,
        d.get(first..)?.first_chunk()?,
    ])
}
