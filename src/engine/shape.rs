//! Every check and alignment, before the first element is computed.

use std::marker::PhantomData;

use ndarray::{
    Array, ArrayView, ArrayViewD, ArrayViewMut1, Axis, Dimension, IxDyn, ShapeBuilder, Slice, Zip,
};

use super::simd;
use crate::error::{not_of_pair, output_shape_mismatch, shape_mismatch, too_large};
use crate::float::{Float, Target};
use crate::{BinaryLabels, LossError};

/// Results above this many bytes are asked for once in a way that can fail, before they are asked for in the way that
/// cannot.
const SURELY_AVAILABLE: usize = 1 << 26;

/// How many elements are copied at once, to be looked at.
const AT_ONCE: usize = 256;

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
    let all_fit = |targets: &[T]| {
        simd::dispatch(AllFit {
            targets,
            pair,
            floats: PhantomData,
        })
    };
    if all(&distinct(targets, 0), all_fit) {
        return Ok(());
    }
    match targets.iter().enumerate().find(|&(_, &t)| !t.is_of(pair)) {
        Some((index, t)) => Err(not_of_pair(index, t.label(), pair)),
        None => Ok(()),
    }
}

struct AllFit<'a, F, T> {
    targets: &'a [T],
    pair: BinaryLabels,
    floats: PhantomData<F>,
}

impl<F: Float, T: Target<F>> simd::Work for AllFit<'_, F, T> {
    type Output = bool;

    /// Without an early exit, so that it vectorises.
    #[inline(always)]
    fn run(&mut self) -> bool {
        let mut all = true;
        for &t in self.targets {
            all &= t.is_of(self.pair);
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

/// Whether it holds of all elements, some of which it is told at a time, in no order. Where they are not contiguous it is
/// told of copies: one by one, along several axes, they would take many times as long.
pub(crate) fn all<T: Copy>(view: &ArrayViewD<'_, T>, mut holds: impl FnMut(&[T]) -> bool) -> bool {
    if let Some(slice) = view.to_slice_memory_order() {
        return holds(slice);
    }
    let Some(&first) = view.first() else {
        return true;
    };
    let mut copy = [first; AT_ONCE];
    let longest = (0..view.ndim()).max_by_key(|&axis| view.shape()[axis]);
    let mut lanes = view.lanes(Axis(longest.unwrap_or(0))).into_iter();
    lanes.all(|lane| match lane.to_slice() {
        Some(slice) => holds(slice),
        None => lane.axis_chunks_iter(Axis(0), AT_ONCE).all(|piece| {
            let copy = &mut copy[..piece.len()];
            Zip::from(ArrayViewMut1::from(&mut *copy))
                .and(piece)
                .for_each(|to, &x| *to = x);
            holds(copy)
        }),
    })
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

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// The elements that [`all`] tells of until one is wrong, and whether there was one.
    fn look(view: &ArrayViewD<'_, u16>) -> (usize, bool) {
        let mut seen = 0;
        let right = all(view, |some| {
            seen += some.len();
            !some.contains(&1)
        });
        (seen, right)
    }

    #[test]
    fn all_elements_are_looked_at() {
        // Longer than a copy in one direction, and in none.
        for shape in [(3, 1400, 2), (5, 8, 3), (1, 1, 1), (2, 0, 3)] {
            for (order, step) in [
                ([0, 1, 2], 1),
                ([0, 1, 2], 2),
                ([2, 0, 1], 2),
                ([1, 2, 0], 1),
            ] {
                let mut array = Array3::zeros(shape);
                let mut view = array.view_mut().permuted_axes(order);
                view.slice_axis_inplace(Axis(1), Slice::from(..).step_by(step));
                let mut view = view.into_dyn();
                assert_eq!(look(&view.view()), (view.len(), true), "{shape:?}");
                for wrong in (0..view.len()).step_by(13) {
                    view.iter_mut().skip(wrong).take(1).for_each(|x| *x = 1);
                    assert!(
                        !look(&view.view()).1,
                        "{wrong} of {shape:?} in order {order:?}"
                    );
                    view.fill(0);
                }
            }
        }
    }
}
