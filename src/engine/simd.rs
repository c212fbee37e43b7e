//! Run-time dispatch on the processor, and what the compiler does not find by itself.

#[cfg(target_arch = "x86_64")]
use pulp::core_arch::x86::Avx;
use pulp::{Arch, NullaryFnOnce};

/// Work that is compiled for every instruction set.
///
/// `run` has to be `#[inline(always)]`, and all that it calls likewise: a closure, or a function left out of line, would
/// be compiled for the baseline.
pub(crate) trait Work {
    type Output;
    fn run(&mut self) -> Self::Output;
}

/// Runs the work compiled for the widest instruction set of this processor.
#[inline]
pub(crate) fn dispatch<W: Work>(mut work: W) -> W::Output {
    let work = ByReference(&mut work);
    #[cfg(test)]
    if let Some(arch) = tests::FORCED.get() {
        return arch.dispatch(work);
    }
    Arch::new().dispatch(work)
}

/// What is handed over: moved itself, the work would be copied by registers wider than what was just written to it,
/// which the processor holds up until that has left for the cache.
struct ByReference<'w, W>(&'w mut W);

impl<W: Work> NullaryFnOnce for ByReference<'_, W> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run()
    }
}

/// Aligned to the lines of the cache: of registers as wide as a line, each would otherwise lie in two.
#[repr(align(64))]
pub(crate) struct Lines<T>(pub(crate) T);

/// The rows of a patch: what is transposed at once in registers.
pub(crate) const PATCH_ROWS: usize = 8;
/// The columns of a patch.
pub(crate) const PATCH_COLUMNS: usize = 4;

/// Where the pieces of a size start that cover a length of at least as much; the last overlaps the one before it.
#[inline(always)]
pub(crate) fn covers(length: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..length.div_ceil(size)).map(move |index| (index * size).min(length - size))
}

/// A type of which patches are transposed in registers.
#[doc(hidden)]
pub trait Transposed: Copy + Default {
    #[cfg(target_arch = "x86_64")]
    fn columns_of(avx: Avx, rows: [&[Self; PATCH_COLUMNS]; PATCH_ROWS]) -> Columns<Self>;
    /// The inverse of [`columns_of`](Self::columns_of).
    #[cfg(target_arch = "x86_64")]
    fn rows_of(avx: Avx, columns: [&[Self; PATCH_ROWS]; PATCH_COLUMNS]) -> Rows<Self>;
}

#[cfg(not(target_arch = "x86_64"))]
impl Transposed for f32 {}
#[cfg(not(target_arch = "x86_64"))]
impl Transposed for f64 {}

pub(crate) type Rows<F> = [[F; PATCH_COLUMNS]; PATCH_ROWS];
pub(crate) type Columns<F> = [[F; PATCH_ROWS]; PATCH_COLUMNS];

/// What this processor has to transpose patches; to be made before a loop, not within.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shuffles {
    #[cfg(target_arch = "x86_64")]
    avx: Option<Avx>,
}

impl Shuffles {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx: x86::avx(),
        }
    }

    /// The columns of a patch.
    #[inline(always)]
    pub(crate) fn columns_of<F: Transposed>(
        self,
        rows: [&[F; PATCH_COLUMNS]; PATCH_ROWS],
    ) -> Columns<F> {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx) = self.avx {
            return F::columns_of(avx, rows);
        }
        transpose(rows)
    }

    /// The inverse of [`columns_of`](Self::columns_of).
    #[inline(always)]
    pub(crate) fn rows_of<F: Transposed>(
        self,
        columns: [&[F; PATCH_ROWS]; PATCH_COLUMNS],
    ) -> Rows<F> {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx) = self.avx {
            return F::rows_of(avx, columns);
        }
        transpose(columns)
    }
}

#[inline(always)]
fn transpose<F: Copy + Default, const M: usize, const N: usize>(rows: [&[F; N]; M]) -> [[F; M]; N] {
    let mut columns = [[F::default(); M]; N];
    for r in 0..M {
        for c in 0..N {
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

    use super::{Columns, PATCH_COLUMNS, PATCH_ROWS, Rows, Transposed};

    /// Where AVX2 is there: then the caller is compiled for it as well.
    #[inline(always)]
    pub(super) fn avx() -> Option<Avx> {
        #[cfg(test)]
        if let Some(super::Arch::Scalar) = super::tests::FORCED.get() {
            return None;
        }
        Avx2::try_new().and_then(|_| Avx::try_new())
    }

    impl Transposed for f32 {
        /// The halves of each register come from two rows: to load and to store them is cheaper than to shuffle.
        #[inline(always)]
        fn columns_of(avx: Avx, rows: [&[f32; PATCH_COLUMNS]; PATCH_ROWS]) -> Columns<f32> {
            let [a, b, c, d, e, f, g, h] = rows;
            let (ae, bf, cg, dh) = ([*a, *e], [*b, *f], [*c, *g], [*d, *h]);
            cast(turn_fours(avx, cast([ae, bf, cg, dh])))
        }

        #[inline(always)]
        fn rows_of(avx: Avx, columns: [&[f32; PATCH_ROWS]; PATCH_COLUMNS]) -> Rows<f32> {
            let [p, q, r, s] = columns;
            let [[a, e], [b, f], [c, g], [d, h]] = cast(turn_fours(avx, cast([*p, *q, *r, *s])));
            [a, b, c, d, e, f, g, h]
        }
    }

    impl Transposed for f64 {
        #[inline(always)]
        fn columns_of(avx: Avx, rows: [&[f64; PATCH_COLUMNS]; PATCH_ROWS]) -> Columns<f64> {
            let [a, b, c, d, e, f, g, h] = rows;
            let [p, q, r, s] = turn_square(avx, [halves(a), halves(b), halves(c), halves(d)]);
            let [t, u, v, w] = turn_square(avx, [halves(e), halves(f), halves(g), halves(h)]);
            [cast([p, t]), cast([q, u]), cast([r, v]), cast([s, w])]
        }

        #[inline(always)]
        fn rows_of(avx: Avx, columns: [&[f64; PATCH_ROWS]; PATCH_COLUMNS]) -> Rows<f64> {
            let [p, q, r, s] = columns;
            let ([p, t], [q, u]) = (quarters(p), quarters(q));
            let ([r, v], [s, w]) = (quarters(r), quarters(s));
            cast([
                turn_square(avx, [p, q, r, s]),
                turn_square(avx, [t, u, v, w]),
            ])
        }
    }

    /// Transposes four by four, in each half.
    #[inline(always)]
    fn turn_fours(avx: Avx, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
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
    fn halves(row: &[f64; PATCH_COLUMNS]) -> [[f64; 2]; 2] {
        let [a, b, c, d] = *row;
        [[a, b], [c, d]]
    }

    #[inline(always)]
    fn quarters(column: &[f64; PATCH_ROWS]) -> [[[f64; 2]; 2]; 2] {
        cast(*column)
    }

    /// Transposes four by four, of which the halves are given.
    #[inline(always)]
    fn turn_square(avx: Avx, [a, b, c, d]: [[[f64; 2]; 2]; 4]) -> [__m256d; 4] {
        let (ac_left, bd_left): (__m256d, __m256d) = (cast([a[0], c[0]]), cast([b[0], d[0]]));
        let (ac_right, bd_right): (__m256d, __m256d) = (cast([a[1], c[1]]), cast([b[1], d[1]]));
        [
            avx._mm256_unpacklo_pd(ac_left, bd_left),
            avx._mm256_unpackhi_pd(ac_left, bd_left),
            avx._mm256_unpacklo_pd(ac_right, bd_right),
            avx._mm256_unpackhi_pd(ac_right, bd_right),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;
    use std::cell::Cell;

    use ndarray::{Array1, Array2};

    use super::*;
    use crate::{
        Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss,
        CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ElementwiseLoss, Float,
        HuberLoss, ItemwiseLoss, LossError, MulticlassHingeLoss, SquaredError, aggregate,
        categorical_accuracy, log_softmax, sigmoid, softmax,
    };

    thread_local! {
        /// The instruction set to use on this thread instead of the widest.
        pub(super) static FORCED: Cell<Option<Arch>> = const { Cell::new(None) };
    }

    /// Every instruction set that this processor has.
    fn levels() -> Vec<Arch> {
        let mut levels = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(pulp::x86::V3::try_new().map(Arch::V3));
            levels.extend(pulp::x86::V4::try_new().map(Arch::V4));
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Arch::new());
        levels
    }

    /// Numbers that spread over signs and orders of magnitude, the same everywhere.
    fn numbers(n: usize, seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        (0..n).map(move |_| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        })
    }

    fn elementwise<F: Float>(
        loss: impl ElementwiseLoss<F>,
        p: &Array1<F>,
        t: &Array1<F>,
    ) -> Result<Vec<F>, LossError> {
        let (losses, gradient) = loss.loss_and_gradient(p, t)?;
        let weights = p.mapv(|p| p.abs());
        let by = Aggregate::normalized_sum(&weights);
        let (value, weighted) = loss.objective_and_gradient(p, t, by)?;
        let alone = loss.loss(p, t)?.into_iter().chain(loss.gradient(p, t)?);
        Ok(losses
            .into_iter()
            .chain(gradient)
            .chain(weighted)
            .chain(alone)
            .chain([value])
            .collect())
    }

    fn itemwise<F: Float>(
        loss: impl ItemwiseLoss<F>,
        p: &Array2<F>,
        t: &Array1<usize>,
    ) -> Result<Vec<F>, LossError> {
        let (losses, gradient) = loss.loss_and_gradient(p, t)?;
        let value = loss.objective(p, t, Aggregate::Mean)?;
        Ok(losses.into_iter().chain(gradient).chain([value]).collect())
    }

    /// What every loss makes of the same numbers.
    fn results<F: Float>() -> Result<Vec<(&'static str, Vec<F>)>, LossError> {
        let n = 4133;
        let p: Array1<F> = numbers(n, 1).map(F::narrow).collect();
        let t: Array1<F> = numbers(n, 2).map(F::narrow).collect();
        let x = p.mapv(|p| F::narrow(40.0) * p - F::narrow(20.0));
        let mut results = vec![
            ("squared_error", elementwise(SquaredError, &x, &t)?),
            ("huber_loss", elementwise(HuberLoss::default(), &x, &t)?),
            (
                "binary_hinge_loss",
                elementwise(BinaryHingeLoss::default(), &x, &t)?,
            ),
            (
                "binary_crossentropy",
                elementwise(BinaryCrossentropy, &p, &t)?,
            ),
            (
                "binary_crossentropy_with_logits",
                elementwise(BinaryCrossentropyWithLogits::default(), &x, &t)?,
            ),
            ("sigmoid", sigmoid(&x)?.to_vec()),
            ("aggregate", vec![aggregate(&x, Aggregate::Sum)?]),
        ];
        for (items, classes) in [(33, 10), (70, 3), (35, 128), (64, 150), (3, 1021)] {
            let shape = (items, classes);
            let labels = numbers(items, 3)
                .map(|u| (u * classes as f64) as usize)
                .collect();
            let p = Array2::from_shape_fn(shape, |(i, j)| p[(i * classes + j) % n]);
            let t = Array2::from_shape_fn(shape, |(i, j)| t[(i * classes + j) % n]);
            let x = Array2::from_shape_fn(shape, |(i, j)| x[(i * classes + j) % n]);
            let softmax_loss = CategoricalCrossentropyWithLogits::default();
            let dense = softmax_loss.loss_and_gradient(&x, &t)?;
            let of_rows = CategoricalCrossentropy.loss_and_gradient(&p, &t)?;
            results.extend([
                (
                    "categorical_crossentropy",
                    itemwise(CategoricalCrossentropy, &p, &labels)?,
                ),
                (
                    "categorical_crossentropy of rows",
                    of_rows.0.into_iter().chain(of_rows.1).collect(),
                ),
                (
                    "multiclass_hinge_loss",
                    itemwise(MulticlassHingeLoss::default(), &x, &labels)?,
                ),
                (
                    "categorical_crossentropy_with_logits",
                    itemwise(softmax_loss, &x, &labels)?,
                ),
                (
                    "categorical_crossentropy_with_logits, smoothed",
                    itemwise(softmax_loss.label_smoothing(F::narrow(0.1))?, &x, &labels)?,
                ),
                (
                    "categorical_crossentropy_with_logits of rows",
                    dense.0.into_iter().chain(dense.1).collect(),
                ),
                ("softmax", softmax(&x)?.into_iter().collect()),
                ("log_softmax", log_softmax(&x)?.into_iter().collect()),
                (
                    "categorical_accuracy",
                    categorical_accuracy(&x, &labels, 2)?.to_vec(),
                ),
            ]);
        }
        Ok(results)
    }

    fn same_bits<F: Float>() -> Result<(), LossError> {
        let mut expected: Option<Vec<(&str, Vec<u64>)>> = None;
        for level in levels() {
            FORCED.set(Some(level));
            let results = results::<F>();
            FORCED.set(None);
            let bits: Vec<_> = results?
                .into_iter()
                .map(|(name, values)| {
                    let bits = values.into_iter().map(|x| x.widen().to_bits()).collect();
                    (name, bits)
                })
                .collect();
            let expected = expected.get_or_insert_with(|| bits.clone());
            for ((name, expected), (_, bits)) in expected.iter().zip(&bits) {
                assert!(expected == bits, "{name} on {level:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() -> Result<(), LossError> {
        same_bits::<f32>()?;
        same_bits::<f64>()
    }

    #[test]
    fn columns_of_rows_and_back() {
        let of = |r: usize, c: usize| (PATCH_COLUMNS * r + c) as f32;
        let rows: Rows<f32> = from_fn(|r| from_fn(|c| of(r, c)));
        let wide = rows.map(|row| row.map(f64::from));
        let expected: Columns<f32> = from_fn(|c| from_fn(|r| of(r, c)));
        for level in levels() {
            FORCED.set(Some(level));
            let shuffles = Shuffles::new();
            FORCED.set(None);
            let columns = shuffles.columns_of(rows.each_ref());
            let wide_columns = shuffles.columns_of(wide.each_ref());
            assert_eq!(columns, expected, "{level:?}");
            assert_eq!(wide_columns, expected.map(|column| column.map(f64::from)));
            assert_eq!(shuffles.rows_of(columns.each_ref()), rows, "{level:?}");
            assert_eq!(shuffles.rows_of(wide_columns.each_ref()), wide);
        }
    }
}
