//! A pass over contiguous elements that begins where a line of the cache does.

use crate::engine::copying::LINE as BYTES;
use crate::float::Float;

/// The elements of a line, or of two.
const LINE: usize = 16;

/// Replaces each element by a function of it: in whole lines, since of elements in registers as wide as a line each access
/// would otherwise be to two of them. Where it reads other elements as well, they lie otherwise, and nothing is gained.
#[inline(always)]
pub(crate) fn each_in_lines<F: Float>(values: &mut [F], of: impl Fn(F) -> F + Copy) {
    let len = values.len();
    let ends = (values.first_chunk().copied(), values.last_chunk().copied());
    let (Some(mut first), Some(mut last)): (Option<[F; LINE]>, Option<[F; LINE]>) = ends else {
        each(values, of);
        return;
    };
    let before = values.as_ptr().align_offset(BYTES);
    let start = if before < LINE { before } else { 0 };
    let end = len - (len - start) % LINE;
    each(&mut values[start..end], of);
    // What these share with the lines is the same there.
    each(&mut first, of);
    each(&mut last, of);
    values[..LINE].copy_from_slice(&first);
    values[len - LINE..].copy_from_slice(&last);
}

#[inline(always)]
fn each<F: Float>(values: &mut [F], of: impl Fn(F) -> F) {
    for value in values {
        *value = of(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_is_replaced_once_wherever_it_lies() {
        for len in 0..5 * LINE {
            for start in 0..LINE {
                let whole: Vec<f64> = (0..start + len + 1).map(|i| i as f64 + 2.0).collect();
                let mut values = whole.clone();
                each_in_lines(&mut values[start..start + len], |x| x * x);
                for (place, (&value, &before)) in values.iter().zip(&whole).enumerate() {
                    let is_replaced = (start..start + len).contains(&place);
                    let expected = if is_replaced { before * before } else { before };
                    assert_eq!(value, expected, "{place} of {len} from {start}");
                }
            }
        }
    }
}
