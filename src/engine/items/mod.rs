//! Item-wise work: any layout in; a kernel sees short rows in batches and long rows part by part.

mod aims;
mod ignored;
mod long;
mod one_hot;
mod operands;
mod picked;
mod short;
mod targets;

use ndarray::{ArrayView1, Dimension, Ix1};

pub(crate) use ignored::Ignored;
use long::{long, rows_that_share_lines};
pub(super) use one_hot::are_one_hot_rows;
pub(crate) use one_hot::{are_one_hot, is_one_hot};
pub(crate) use operands::{Operands, Rows, TypedRows};
use picked::picked;
use short::short;
pub(super) use targets::AnyRows;
pub(crate) use targets::Targets;
use targets::{AnyTargets, Divide};

use super::copying::LINE;
use super::elementwise::Weights;
use super::parallel::{self, CHUNK, Divisible};
use super::reduce::{Divisor, Lanes, Pair};
use super::repeated::Repeated;
use super::rows::{AnyRowKernel, BLOCK, Dense, ItemKernel, ROWS, rows_across};
use super::shape::distinct;
use super::simd::{self, Lines};
use super::span::{Job, unzip};
use crate::float::{Float, Target};

/// How many short rows a kernel gets at once, where they lie one after the other.
const BATCH: usize = 256;

/// A rough number of nanoseconds for reading the score of a label, and its logarithm or the like.
const PICKED: f32 = 2.5;
/// The same for an element of the gradient that is only filled.
const FILLED: f32 = 0.1;

/// What the traversal knows of the work.
#[derive(Clone, Copy)]
pub(crate) struct Work<'k, F> {
    kernel: &'k dyn AnyRowKernel<F>,
    classes: usize,
    /// Whether nothing but the scores of the labels is read.
    picks: bool,
    dense: Dense,
    ignored: Ignored<'k, F>,
    reduce: bool,
    scale: F,
    divisor: Divisor,
    /// The number of items from which on they are shared among threads.
    grain: usize,
    /// Whether rows come in groups, one lane a row.
    in_groups: bool,
    /// Whether what they share is sections of rows.
    in_sections: bool,
    /// Nanoseconds for an item.
    cost: f32,
}

/// Fills the outputs and returns the (weighted) sum of the losses. The shapes fit; labels are checked.
pub(crate) fn run<'a, F: Float, T: Target<F>, R: Dimension, I: Dimension>(
    operands: Operands<'a, F, T, R, I>,
    classes: usize,
    item_kernel: &dyn ItemKernel<F>,
    job: Job<F>,
) -> Pair
where
    Operands<'a, F, T, R, I>: Traverse<F>,
{
    if classes == 0 {
        // Nothing to read, and nothing to add up: however many items there are, their loss is 0.
        if let Some(mut loss) = operands.loss {
            loss.fill(F::zero());
        }
        return match operands.weights {
            // ∞·0
            Weights::Floats(weights)
                if !distinct(&weights.view().into_dyn(), 0)
                    .iter()
                    .all(|w| w.is_finite()) =>
            {
                Pair::from(f64::NAN)
            }
            _ => Pair::ZERO,
        };
    }
    let kernel = item_kernel.arithmetic();
    let picks = kernel.picks() && !matches!(operands.targets, Targets::Dense(_));
    let work = Work {
        kernel,
        classes,
        picks,
        dense: item_kernel.dense(),
        ignored: Ignored::by(item_kernel),
        reduce: job.reduce,
        scale: job.scale,
        divisor: job.divisor,
        grain: usize::MAX,
        in_groups: false,
        in_sections: false,
        cost: match (picks, &operands.gradient) {
            (false, _) => item_kernel.cost() * classes as f32,
            (true, None) => PICKED,
            (true, Some(_)) => PICKED + FILLED * classes as f32,
        },
    };
    operands.traverse(work)
}

/// The arrays of all items, with any axes or with one for the items.
pub(crate) trait Traverse<F> {
    /// Fills the outputs and returns the (weighted) sum of the losses.
    fn traverse(self, work: Work<'_, F>) -> Pair;
}

impl<F: Float, T: Target<F>> Traverse<F> for Operands<'_, F, T> {
    fn traverse(mut self, work: Work<'_, F>) -> Pair {
        let repeated = self.take_repeated();
        if self.mergeable() {
            return match self.into_rows() {
                Some(rows) => of_any_targets(rows, repeated, work),
                None => Pair::ZERO,
            };
        }
        let length = self.items_shape().first().copied().unwrap_or(1);
        if length == 1 {
            return self.first().traverse(work);
        }
        let (left, right) = self.divide(length.next_power_of_two() / 2);
        let (left, right) = parallel::join(|| left.traverse(work), || right.traverse(work));
        left.join(right)
    }
}

impl<F: Float, T: Target<F>> Traverse<F> for TypedRows<'_, F, T> {
    fn traverse(self, work: Work<'_, F>) -> Pair {
        of_any_targets(self, None, work)
    }
}

/// From here on, the type of the targets does not matter.
fn of_any_targets<'a, F: Float, T: Target<F>>(
    rows: TypedRows<'a, F, T>,
    repeated: Option<Repeated<'a, F>>,
    work: Work<'_, F>,
) -> Pair {
    let targets = rows.targets.clone();
    let rows = rows.with_targets(|_| AnyTargets::of(&targets));
    F::leaves(rows, repeated, work)
}

/// Rows in leaves.
pub(super) fn leaves<'a, F: Float>(
    rows: Rows<'a, '_, F>,
    repeated: Option<Repeated<'a, F>>,
    work: Work<'_, F>,
) -> Pair {
    if rows.items() == 0 {
        return Pair::ZERO;
    }
    let mut work = Work {
        in_groups: come_in_groups(&rows, &work),
        ..work
    };
    let mut grain = parallel::grain(rows.items(), work.cost);
    let in_sections = rows.are_worth_sections(&work);
    if in_sections {
        grain = rows_across::<F>();
    } else if !work.in_groups && rows.share_lines() {
        // Whole lines to a thread.
        let of_thread = rows.items() / parallel::threads();
        let most = if rows.go_across(&work) {
            rows_across::<F>()
        } else {
            rows_that_share_lines::<F>(work.classes)
        };
        grain = grain.max(of_thread.clamp(LINE / size_of::<F>(), most));
    }
    work.grain = grain;
    work.in_sections = in_sections;
    let leaves = Leaves {
        rows,
        repeated,
        work,
    };
    parallel::run(leaves, work.cost)
}

/// Whether rows come in groups, one lane a row.
fn come_in_groups<F: Float>(rows: &Rows<'_, '_, F>, work: &Work<'_, F>) -> bool {
    #[cfg(test)]
    if let Some(in_groups) = tests::FORCED.get() {
        return in_groups;
    }
    let has_targets = matches!(rows.targets, Targets::Dense(_));
    let by_columns = work.kernel.prefers_columns(work.classes, has_targets) && rows.go_across(work);
    !by_columns && work.kernel.are_worth_groups(rows.items(), work.classes)
}

/// Items in leaves of [`CHUNK`], whose losses are added up together.
struct Leaves<'a, 't, 'k, F> {
    rows: Rows<'a, 't, F>,
    /// The weights, where they do not merge as the rest does.
    repeated: Option<Repeated<'a, F>>,
    work: Work<'k, F>,
}

impl<F: Float> Divisible for Leaves<'_, '_, '_, F> {
    fn size(&self) -> usize {
        self.rows.items()
    }

    fn divide(self) -> Result<(Self, Self), Self> {
        let items = self.rows.items();
        if items <= CHUNK {
            return Err(self);
        }
        let middle = CHUNK * (items.div_ceil(CHUNK).next_power_of_two() / 2);
        let work = self.work;
        let (left, right) = self.rows.divide(middle);
        let (left_repeated, right_repeated) =
            unzip(self.repeated.map(|weights| weights.split_at(middle)));
        Ok((
            Self {
                rows: left,
                repeated: left_repeated,
                work,
            },
            Self {
                rows: right,
                repeated: right_repeated,
                work,
            },
        ))
    }

    fn run(mut self) -> Pair {
        match self.repeated.take() {
            None => self.sized(),
            Some(repeated) => self.weighted(&repeated),
        }
    }
}

impl<F: Float> Leaves<'_, '_, '_, F> {
    /// A leaf whose weights are copied.
    #[inline(never)] // its frame is large
    fn weighted(self, repeated: &Repeated<'_, F>) -> Pair {
        let mut copy = Lines([F::zero(); CHUNK]);
        let weights = &mut copy.0[..self.rows.items()];
        repeated.fill(weights);
        let weights = Weights::Floats(ArrayView1::from(&*weights));
        let leaf = Leaves {
            rows: self.rows.with_weights(weights),
            repeated: None,
            work: self.work,
        };
        leaf.sized()
    }

    fn sized(self) -> Pair {
        match self.rows.items() {
            few @ ..=BATCH => self.leaf(&mut Lines([F::zero(); BATCH]).0[..few]),
            many => self.leaf(&mut Lines([F::zero(); CHUNK]).0[..many]),
        }
    }

    fn leaf(self, losses: &mut [F]) -> Pair {
        let Self { mut rows, work, .. } = self;
        let loss_out = rows.loss.take();
        let weights = rows.weights.clone();
        fill(rows, losses, work);
        if let Some(mut out) = loss_out {
            out.assign(&ArrayView1::from(&*losses));
        }
        if work.reduce {
            simd::dispatch(Adding { losses, weights })
        } else {
            Pair::ZERO
        }
    }
}

/// The (weighted) losses of a leaf, that are added up.
struct Adding<'a, 'b, F> {
    losses: &'b [F],
    weights: Weights<'a, F, Ix1>,
}

impl<F: Float> simd::Work for Adding<'_, '_, F> {
    type Output = Pair;

    #[inline(always)]
    fn run(&mut self) -> Pair {
        let mut lanes = Lanes::ZERO;
        if let Weights::None = self.weights {
            F::accumulate(&mut lanes, self.losses);
        } else {
            let mut block = [F::zero(); BLOCK];
            for (index, losses) in self.losses.chunks(BLOCK).enumerate() {
                let block = &mut block[..losses.len()];
                self.weights.copy(index * BLOCK, block);
                F::accumulate_weighted(&mut lanes, losses, block);
            }
        }
        lanes.total()
    }
}

/// Computes the losses, one an item, and the gradients.
fn fill<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    let items = losses.len();
    if items > work.grain {
        let half = items.div_ceil(2);
        // whole groups, where there are several
        let middle = if half > ROWS {
            half.next_multiple_of(ROWS)
        } else {
            half
        };
        if middle < items {
            let (left_losses, right_losses) = losses.split_at_mut(middle);
            let (left, right) = rows.divide(middle);
            let left = || fill(left, left_losses, work);
            let right = || fill(right, right_losses, work);
            if middle <= work.grain {
                parallel::join_undivided(left, right);
            } else {
                parallel::join(left, right);
            }
            return;
        }
    }
    if work.picks {
        picked(rows, losses, work);
    } else if work.in_groups {
        short(rows, losses, work);
    } else {
        long(rows, losses, work);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ndarray::{Array1, Array2};

    use super::*;
    use crate::{
        CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ItemwiseLoss, LossError,
        MulticlassHingeLoss, categorical_accuracy, log_softmax_vjp, log_sum_exp, softmax_vjp,
    };

    thread_local! {
        /// Whether rows come in groups on this thread, instead of where it is quicker.
        pub(super) static FORCED: Cell<Option<bool>> = const { Cell::new(None) };
    }

    /// Numbers that spread, the same everywhere, a few of them special.
    fn numbers<F: Float>(shape: (usize, usize), seed: u64, special: &[f64]) -> Array2<F> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        Array2::from_shape_simple_fn(shape, || {
            let (place, value) = (next() * 300.0, next());
            F::narrow(special.get(place as usize).copied().unwrap_or(value))
        })
    }

    /// The bits of all that is computed of rows, of any NaN the same.
    fn results<F: Float>(
        shape: (usize, usize),
        in_groups: bool,
    ) -> Result<Vec<Vec<u64>>, LossError> {
        FORCED.set(Some(in_groups));
        let (items, classes) = shape;
        let specials = [
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            1e30,
            -1e30,
            0.0,
            -0.0,
        ];
        let t = numbers::<F>(shape, 1, &specials[5..]);
        let p = numbers::<F>(shape, 2, &specials[..3]);
        let x = numbers::<F>(shape, 3, &specials).mapv(|x| F::narrow(40.0) * (x - F::narrow(0.5)));
        let labels: Array1<usize> = (0..items).map(|item| item * 7 % classes).collect();
        let softmax_loss = CategoricalCrossentropyWithLogits::default();
        let smoothed = softmax_loss.label_smoothing(F::narrow(0.1))?;
        let both = [
            CategoricalCrossentropy.loss_and_gradient(&p, &t)?,
            softmax_loss.loss_and_gradient(&x, &labels)?,
            softmax_loss.loss_and_gradient(&x, &t)?,
            smoothed.loss_and_gradient(&x, &labels)?,
            smoothed.loss_and_gradient(&x, &t)?,
            (softmax_loss.loss(&x, &t)?, softmax_vjp(&x, &t)?),
            (log_sum_exp(&x)?, log_softmax_vjp(&x, &t)?),
        ];
        let mut results: Vec<Vec<F>> = both
            .into_iter()
            .map(|(loss, gradient)| loss.into_iter().chain(gradient).collect())
            .collect();
        if classes > 1 {
            let hinge = MulticlassHingeLoss::default().loss_and_gradient(&x, &labels)?;
            results.push(hinge.0.into_iter().chain(hinge.1).collect());
            results.push(categorical_accuracy(&x, &labels, 1)?.to_vec());
            results.push(categorical_accuracy(&x, &labels, 2)?.to_vec());
        }
        FORCED.set(None);
        let bits = |x: F| {
            if x.is_nan() {
                u64::MAX
            } else {
                x.widen().to_bits()
            }
        };
        Ok(results
            .into_iter()
            .map(|values| values.into_iter().map(bits).collect())
            .collect())
    }

    fn either_way<F: Float>() -> Result<(), LossError> {
        for classes in (1..=70).chain([95, 96, 97, 100, 127, 128, 129, 191, 200, 255, 256]) {
            for items in [1, 9, 33] {
                let shape = (items, classes);
                let (grouped, single) = (results::<F>(shape, true)?, results::<F>(shape, false)?);
                for (index, (grouped, single)) in grouped.iter().zip(&single).enumerate() {
                    for (place, (grouped, single)) in grouped.iter().zip(single).enumerate() {
                        let values = [*grouped, *single].map(f64::from_bits);
                        assert_eq!(
                            grouped, single,
                            "{index}: {values:?} at {place} of {shape:?}"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn rows_have_the_same_bits_in_groups_and_singly() -> Result<(), LossError> {
        either_way::<f32>()?;
        either_way::<f64>()
    }
}
