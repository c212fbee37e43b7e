//! Every check and alignment, before the first element is computed.

use ndarray::{Array, ArrayView, ArrayViewD, Axis, Dimension, IxDyn, ShapeBuilder, Slice};

use super::simd;
use crate::error::{not_of_pair, output_shape_mismatch, shape_mismatch, too_large};
use crate::float::{Float, Target};
use crate::{BinaryLabels, LossError};

/// Results above this many bytes are asked for once in a way that can fail, before they are asked for in the way that
/// cannot.
const SURELY_AVAILABLE: usize = 1 << 26;

/// Targets in the shape of the predictions: as they are, a column for predictions of shape (n, 1), or one for all.
pub(crate) fn align<'t, T>(
    predictions: &[usize],
    targets: ArrayViewD<'t, T>,
) -> Result<ArrayViewD<'t, T>, LossError> {
    if targets.shape() == predictions {
        return Ok(targets);
    }
    match (targets.ndim(), predictions) {
        (0, _) => match targets.to_slice() {
            Some(single) => {
                let zeros = IxDyn::zeros(predictions.len());
                ArrayView::from_shape(IxDyn(predictions).strides(zeros), single)
                    .map_err(|_| too_large(predictions))
            }
            None => Err(shape_mismatch(predictions, targets.shape())),
        },
        (1, &[items, 1]) if targets.len() == items => Ok(targets.insert_axis(Axis(1))),
        _ => Err(shape_mismatch(predictions, targets.shape())),
    }
}

/// Refuses integer labels outside the pair that a binary loss declares.
pub(crate) fn check_pair<F: Float, T: Target<F>>(
    targets: &ArrayViewD<'_, T>,
    pair: BinaryLabels,
) -> Result<(), LossError> {
    let fits = Fits::new(pair);
    let once = distinct(targets, 0);
    let all_fit = match once.to_slice_memory_order() {
        Some(targets) => simd::dispatch(AllFit { targets, fits }),
        None => once.iter().all(|&t| fits.holds(t)),
    };
    if all_fit {
        return Ok(());
    }
    match targets.iter().enumerate().find(|&(_, &t)| !fits.holds(t)) {
        Some((index, t)) => Err(not_of_pair(index, t.label(), pair)),
        None => Ok(()),
    }
}

/// The two values that integer labels may have.
#[derive(Clone, Copy)]
struct Fits<F> {
    pair: BinaryLabels,
    low: F,
    high: F,
}

impl<F: Float> Fits<F> {
    fn new(pair: BinaryLabels) -> Self {
        let low = match pair {
            BinaryLabels::ZeroOne => F::zero(),
            BinaryLabels::PlusMinusOne => -F::one(),
        };
        Self {
            pair,
            low,
            high: F::one(),
        }
    }

    #[inline(always)]
    fn holds<T: Target<F>>(self, t: T) -> bool {
        let t = t.to_float(Some(self.pair));
        t == self.low || t == self.high
    }
}

struct AllFit<'a, F, T> {
    targets: &'a [T],
    fits: Fits<F>,
}

impl<F: Float, T: Target<F>> simd::Work for AllFit<'_, F, T> {
    type Output = bool;

    /// Without an early exit, so that it vectorises.
    #[inline(always)]
    fn run(&mut self) -> bool {
        let mut all = true;
        for &t in self.targets {
            all &= self.fits.holds(t);
        }
        all
    }
}

pub(crate) fn check_output(expected: &[usize], output: &[usize]) -> Result<(), LossError> {
    if expected == output {
        Ok(())
    } else {
        Err(output_shape_mismatch(expected, output))
    }
}

/// One index for each axis along which all elements are the same one: what is checked need not be checked again.
///
/// The last `kept` axes stay whole.
pub(crate) fn distinct<'a, T>(view: &ArrayViewD<'a, T>, kept: usize) -> ArrayViewD<'a, T> {
    let mut view = view.clone();
    for axis in 0..view.ndim().saturating_sub(kept) {
        if view.strides()[axis] == 0 && view.shape()[axis] > 1 {
            view = view.slice_axis_move(Axis(axis), Slice::from(..1));
        }
    }
    view
}

/// Zeros of this shape, or the error that says that there is no room for them.
pub(crate) fn allocate<F: Float, D: Dimension>(
    shape: D,
    column_major: bool,
) -> Result<Array<F, D>, LossError> {
    let bytes = shape
        .slice()
        .iter()
        .try_fold(size_of::<F>(), |bytes, &n| bytes.checked_mul(n));
    // An overflow before a factor of 0 is no overflow.
    let bytes = if shape.slice().contains(&0) {
        Some(0)
    } else {
        bytes.filter(|&bytes| isize::try_from(bytes).is_ok())
    };
    let available = bytes.is_some_and(|bytes| {
        bytes <= SURELY_AVAILABLE || Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
    });
    if available {
        Ok(Array::zeros(shape.set_f(column_major)))
    } else {
        Err(too_large(shape.slice()))
    }
}

/// Whether the elements lie contiguously in column-major order, and in no other.
pub(crate) fn is_column_major<F, D: Dimension>(view: &ArrayView<'_, F, D>) -> bool {
    !view.is_standard_layout() && view.t().is_standard_layout()
}
