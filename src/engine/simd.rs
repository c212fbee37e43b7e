//! Run-time dispatch on the processor, and what the compiler does not find by itself.

use pulp::{Arch, NullaryFnOnce};

/// Runs the work compiled for the widest instruction set of this processor.
///
/// The work has to be a struct whose `call` is `#[inline(always)]`, and all that it calls likewise: a closure, or a
/// function left out of line, would be compiled for the baseline.
#[inline]
pub(crate) fn dispatch<W: NullaryFnOnce>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// The side of a tile that is transposed in registers.
pub(crate) const TILE: usize = 8;

/// Columns of a square of rows.
#[inline(always)]
pub(crate) fn transpose_f32(rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE] {
    #[cfg(target_arch = "x86_64")]
    if let Some((avx, _)) = x86::avx() {
        return x86::transpose_f32(avx, rows);
    }
    transpose(rows)
}

/// As [`transpose_f32`].
#[inline(always)]
pub(crate) fn transpose_f64(rows: [&[f64; TILE]; TILE]) -> [[f64; TILE]; TILE] {
    #[cfg(target_arch = "x86_64")]
    if let Some((avx, _)) = x86::avx() {
        return x86::transpose_f64(avx, rows);
    }
    transpose(rows)
}

#[inline(always)]
fn transpose<F: Copy + Default>(rows: [&[F; TILE]; TILE]) -> [[F; TILE]; TILE] {
    let mut columns = [[F::default(); TILE]; TILE];
    for r in 0..TILE {
        for c in 0..TILE {
            columns[c][r] = rows[r][c];
        }
    }
    columns
}

/// Shuffles, which no loop becomes.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m256d};

    use pulp::cast;
    use pulp::core_arch::x86::{Avx, Avx2};

    use super::TILE;

    /// Where AVX2 is there: then the caller is compiled for it as well.
    #[inline(always)]
    pub(super) fn avx() -> Option<(Avx, Avx2)> {
        Avx::try_new().zip(Avx2::try_new())
    }

    #[inline(always)]
    pub(super) fn transpose_f32(avx: Avx, rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE] {
        let [a, b, c, d, e, f, g, h] = rows;
        let (a, b, c, d): (__m256, __m256, __m256, __m256) =
            (cast(*a), cast(*b), cast(*c), cast(*d));
        let (e, f, g, h): (__m256, __m256, __m256, __m256) =
            (cast(*e), cast(*f), cast(*g), cast(*h));
        // Pairs of rows, then fours, each within halves of a register; then the halves.
        let [ac0, ac1, ac2, ac3] = quarter(avx, a, b, c, d);
        let [eg0, eg1, eg2, eg3] = quarter(avx, e, f, g, h);
        [
            cast(avx._mm256_permute2f128_ps::<0x20>(ac0, eg0)),
            cast(avx._mm256_permute2f128_ps::<0x20>(ac1, eg1)),
            cast(avx._mm256_permute2f128_ps::<0x20>(ac2, eg2)),
            cast(avx._mm256_permute2f128_ps::<0x20>(ac3, eg3)),
            cast(avx._mm256_permute2f128_ps::<0x31>(ac0, eg0)),
            cast(avx._mm256_permute2f128_ps::<0x31>(ac1, eg1)),
            cast(avx._mm256_permute2f128_ps::<0x31>(ac2, eg2)),
            cast(avx._mm256_permute2f128_ps::<0x31>(ac3, eg3)),
        ]
    }

    #[inline(always)]
    fn quarter(avx: Avx, a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256; 4] {
        let (ab_low, ab_high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d));
        [
            avx._mm256_shuffle_ps::<0x44>(ab_low, cd_low),
            avx._mm256_shuffle_ps::<0xee>(ab_low, cd_low),
            avx._mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            avx._mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ]
    }

    #[inline(always)]
    pub(super) fn transpose_f64(avx: Avx, rows: [&[f64; TILE]; TILE]) -> [[f64; TILE]; TILE] {
        let [a, b, c, d, e, f, g, h] = rows;
        let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (halves(a), halves(b), halves(c), halves(d));
        let ((e0, e1), (f0, f1), (g0, g1), (h0, h1)) = (halves(e), halves(f), halves(g), halves(h));
        let (upper_left, lower_left) = (square(avx, a0, b0, c0, d0), square(avx, e0, f0, g0, h0));
        let (upper_right, lower_right) = (square(avx, a1, b1, c1, d1), square(avx, e1, f1, g1, h1));
        [
            cast([upper_left[0], lower_left[0]]),
            cast([upper_left[1], lower_left[1]]),
            cast([upper_left[2], lower_left[2]]),
            cast([upper_left[3], lower_left[3]]),
            cast([upper_right[0], lower_right[0]]),
            cast([upper_right[1], lower_right[1]]),
            cast([upper_right[2], lower_right[2]]),
            cast([upper_right[3], lower_right[3]]),
        ]
    }

    #[inline(always)]
    fn halves(row: &[f64; TILE]) -> (__m256d, __m256d) {
        let [a, b, c, d, e, f, g, h] = *row;
        (cast([a, b, c, d]), cast([e, f, g, h]))
    }

    #[inline(always)]
    fn square(avx: Avx, a: __m256d, b: __m256d, c: __m256d, d: __m256d) -> [[f64; 4]; 4] {
        let (ab_even, ab_odd) = (avx._mm256_unpacklo_pd(a, b), avx._mm256_unpackhi_pd(a, b));
        let (cd_even, cd_odd) = (avx._mm256_unpacklo_pd(c, d), avx._mm256_unpackhi_pd(c, d));
        [
            cast(avx._mm256_permute2f128_pd::<0x20>(ab_even, cd_even)),
            cast(avx._mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd)),
            cast(avx._mm256_permute2f128_pd::<0x31>(ab_even, cd_even)),
            cast(avx._mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_rows() {
        let of = |r: usize, c: usize| (TILE * r + c) as f32;
        let rows: [[f32; TILE]; TILE] = std::array::from_fn(|r| std::array::from_fn(|c| of(r, c)));
        let wide = rows.map(|row| row.map(f64::from));
        let columns = transpose_f32(rows.each_ref());
        let wide_columns = transpose_f64(wide.each_ref());
        for r in 0..TILE {
            for c in 0..TILE {
                assert_eq!(columns[c][r], of(r, c));
                assert_eq!(wide_columns[c][r], f64::from(of(r, c)));
            }
        }
        assert_eq!(transpose(rows.each_ref()), columns);
    }
}
