//! Rows of which all that is made use of lies along columns: all of a pass at a time.

use std::iter::once;

use super::RowKernel;
use super::band::{Access, Band, begin, finish};
use super::columns::{ABREAST, LanesAcross};
use super::parts::sections;
use crate::engine::simd;
use crate::float::Float;

/// The passes over at most [`ABREAST`] rows whose operands all lie along columns.
#[inline(never)] // its frame is large
pub(super) fn across<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    losses: &mut [F],
) {
    let mut known: [_; ABREAST] = [const { None }; _];
    let known = &mut known[..band.items.len()];
    let passes = K::PASSES
        .iter()
        .flat_map(|&(pass, access)| [Stage::Pass(pass, access), Stage::After(pass)]);
    for stage in once(Stage::Begin).chain(passes).chain([Stage::Finish]) {
        across_stage(kernel, stage, band, known, losses);
    }
}

/// A stage at a band; all that a pass makes use of lies along columns.
pub(super) fn across_stage<F: Float, K: RowKernel<F>>(
    kernel: K,
    stage: Stage<K::Pass>,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    losses: &mut [F],
) {
    let adds_up = matches!(stage, Stage::Pass(_, access) if access.adds_up);
    let across = Across {
        kernel,
        stage,
        sums: &mut [],
        band,
        known,
        losses,
    };
    // No more sums than there is use for.
    match kernel.sums_across(across.band.targets.is_some()) {
        sums if sums == 0 || !adds_up => simd::dispatch(across),
        1 => adding_across::<F, K, 1>(across),
        _ => adding_across::<F, K, 3>(across),
    }
}

#[inline(never)] // its frame is large
fn adding_across<F: Float, K: RowKernel<F>, const SUMS: usize>(across: Across<'_, '_, '_, F, K>) {
    let mut sums = [const { LanesAcross::ZERO }; SUMS];
    let sums = &mut sums;
    simd::dispatch(Across { sums, ..across });
}

/// A kernel at a band whose operands all lie along columns.
struct Across<'a, 'b, 's, F: Float, K: RowKernel<F>> {
    kernel: K,
    stage: Stage<K::Pass>,
    band: &'s mut Band<'a, 'b, F>,
    /// Room for what is known of each row.
    known: &'s mut [Option<K::Known>],
    /// As many as the kernel needs.
    sums: &'s mut [LanesAcross],
    losses: &'s mut [F],
}

/// What is done at a time: all passes in one frame would need more stack than a thread may have.
#[derive(Clone, Copy)]
pub(super) enum Stage<P> {
    Begin,
    Pass(P, Access),
    /// What follows from all parts of a pass.
    After(P),
    Finish,
}

impl<F: Float, K: RowKernel<F>> simd::Work for Across<'_, '_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        match self.stage {
            Stage::Begin => begin(self.kernel, self.band, 0..self.known.len(), self.known),
            Stage::Pass(pass, access) => self.pass(pass, access),
            Stage::After(pass) => {
                for known in self.known.iter_mut().flatten() {
                    self.kernel.after(pass, known);
                }
            }
            Stage::Finish => finish(self.kernel, self.known, self.losses),
        }
    }
}

impl<F: Float, K: RowKernel<F>> Across<'_, '_, '_, F, K> {
    #[inline(always)]
    fn pass(&mut self, pass: K::Pass, access: Access) {
        if self.band.leaves_out(access) {
            return;
        }
        let mut columns = self.band.columns(access);
        for section in sections(columns.classes) {
            let section = columns.split_off(section.len());
            self.kernel.across(pass, self.known, section, self.sums);
        }
    }
}
