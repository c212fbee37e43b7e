//! Lanes of elements at any distance.

use ndarray::{ArrayView1, ArrayViewMut1, Axis, Zip};

use crate::BinaryLabels;
use crate::float::{Float, Target};

/// Copies a lane to one of the same length.
#[inline(always)]
pub(super) fn copy_lane<F: Float, T: Target<F>>(
    mut from: ArrayView1<'_, T>,
    mut to: ArrayViewMut1<'_, F>,
    pair: Option<BinaryLabels>,
) {
    const AXIS: Axis = Axis(0);
    let is_turned = (from.stride_of(AXIS) < 0) != (to.stride_of(AXIS) < 0);
    // A loop over distances of which the compiler knows that none is negative is made of vector instructions.
    if from.stride_of(AXIS) < 0 {
        from.invert_axis(AXIS);
    }
    if to.stride_of(AXIS) < 0 {
        to.invert_axis(AXIS);
    }
    match (from.to_slice(), to.as_slice_mut(), is_turned) {
        (Some(from), Some(to), false) => {
            for (to, &x) in to.iter_mut().zip(from) {
                *to = x.to_float(pair);
            }
        }
        (Some(from), Some(to), true) => {
            for (to, &x) in to.iter_mut().rev().zip(from) {
                *to = x.to_float(pair);
            }
        }
        _ => {
            if is_turned {
                to.invert_axis(AXIS);
            }
            let lanes = Zip::from(to).and(from);
            lanes.for_each(|to, &x| *to = x.to_float(pair));
        }
    }
}
