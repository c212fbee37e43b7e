//! Long rows: pass after pass, part by part. Contiguous rows take turns in each pass; rows that are not are treated
//! together, a part of each at a time, since a line of memory may hold an element of each of them.

use std::ops::Range;

use ndarray::{Axis, Slice};

use super::across::{Stage, across_stage};
use super::band::{Access, Band, Gradient, Lines, Piece, Sink, Sums, begin, finish};
use super::copies::{Copies, Room, copy_of, copy_part, copy_part_back, pad, part_of};
use super::parts::{Part, Parts, sections};
use super::{ABREAST, IN_TURN, RowKernel, TOGETHER};
use crate::engine::reduce::Order;
use crate::engine::simd;
use crate::float::Float;

/// What a core's own cache holds of each operand.
const OWN_CACHE: usize = 64 << 10;

/// How many contiguous rows take turns in each pass: as many as it leaves in the cache for the next one.
pub(crate) fn rows_in_turn<F>(classes: usize) -> usize {
    (OWN_CACHE / (classes * size_of::<F>()).max(1)).clamp(1, IN_TURN)
}

/// All passes over a band, with room for what is known of each row.
pub(super) fn by_rows<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    losses: &mut [F],
    mut room: Room<'_, F>,
) {
    let rows = band.items.len();
    let known = &mut known[..rows];
    let are_lines = band.are_lines();
    if are_lines.all() {
        let passes = 0..K::PASSES.len();
        simd::dispatch(InTurn {
            kernel,
            band,
            known,
            rows: 0..rows,
            passes,
            losses,
            room,
        });
        return;
    }
    let in_turn = are_lines.passes::<F, K>();
    if in_turn > 0 {
        let at_once = rows_in_turn::<F>(band.classes);
        for start in (0..rows).step_by(at_once) {
            simd::dispatch(InTurn {
                kernel,
                band,
                known,
                rows: start..rows.min(start + at_once),
                passes: 0..in_turn,
                losses: &mut [],
                room: room.reborrow(),
            });
        }
    } else {
        across_stage(kernel, Stage::Begin, band, known, &mut []);
    }
    // Not a loop: each is compiled for what it makes use of.
    pass::<F, K, 0>(kernel, band, known, in_turn, room.reborrow());
    pass::<F, K, 1>(kernel, band, known, in_turn, room.reborrow());
    pass::<F, K, 2>(kernel, band, known, in_turn, room.reborrow());
    pass::<F, K, 3>(kernel, band, known, in_turn, room.reborrow());
    across_stage(kernel, Stage::Finish, band, known, losses);
}

/// A pass over rows of which some are not contiguous, unless it is among the first, which are done.
fn pass<F: Float, K: RowKernel<F>, const PASS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    done: usize,
    room: Room<'_, F>,
) {
    let Some(&(pass, access)) = K::PASSES.get(PASS) else {
        return;
    };
    if PASS < done || band.leaves_out(access) {
        return;
    }
    if access.goes_across_alone() && band.is_by_columns(access) {
        across_stage(kernel, Stage::Pass(pass, access), band, known, &mut []);
    } else if band.are_lines().serve(access) {
        simd::dispatch(InTurn {
            kernel,
            rows: 0..band.items.len(),
            band,
            known,
            passes: PASS..PASS + 1,
            losses: &mut [],
            room,
        });
        return;
    } else {
        part_by_part::<F, K, PASS>(kernel, band, known, room);
    }
    across_stage(kernel, Stage::After(pass), band, known, &mut []);
}

/// Passes over rows of a band, as far as they make use of contiguous ones alone.
pub(super) struct InTurn<'a, 'b, 'r, 's, F: Float, K: RowKernel<F>> {
    pub(super) kernel: K,
    pub(super) band: &'s mut Band<'a, 'b, F>,
    /// What is known of all rows of the band.
    pub(super) known: &'s mut [Option<K::Known>],
    pub(super) rows: Range<usize>,
    pub(super) passes: Range<usize>,
    /// Of these rows, after the last pass.
    pub(super) losses: &'s mut [F],
    pub(super) room: Room<'r, F>,
}

impl<F: Float, K: RowKernel<F>> simd::Work for InTurn<'_, '_, '_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let rows = self.rows.clone();
        if self.passes.start == 0 {
            begin(self.kernel, self.band, rows.clone(), self.known);
        }
        // Not a loop: each is compiled for what it makes use of.
        self.pass::<0>();
        self.pass::<1>();
        self.pass::<2>();
        self.pass::<3>();
        finish(self.kernel, &self.known[rows], self.losses);
    }
}

impl<F: Float, K: RowKernel<F>> InTurn<'_, '_, '_, '_, F, K> {
    #[inline(always)]
    fn pass<const PASS: usize>(&mut self) {
        let Some(&(pass, access)) = K::PASSES.get(PASS) else {
            return;
        };
        if !self.passes.contains(&PASS) || self.band.leaves_out(access) {
            return;
        }
        // Nothing is read that was not kept.
        let keeps = true;
        self.in_turn(Turn::of(self.kernel, (pass, access), self.band, keeps));
        for known in self.known[self.rows.clone()].iter_mut().flatten() {
            self.kernel.after(pass, known);
        }
    }

    #[inline(always)]
    fn in_turn(&mut self, turn: Turn<K, K::Pass>) {
        let Self {
            band,
            known,
            room,
            rows,
            ..
        } = self;
        let classes = band.classes;
        let Some(mut copies) = room.of_row(0) else {
            return;
        };
        // Scores that the gradient takes the place of are copied, and what is written to one that is not contiguous.
        let is_view = matches!(band.gradient, Some(Sink::View(_)));
        let is_copied = is_view && turn.access.gradient != Gradient::Unused;
        let at_once = if turn.in_place || is_copied {
            1
        } else {
            K::AT_ONCE
        };
        for (row, known) in rows.clone().zip(&mut known[rows.clone()]) {
            let mut lines = band.lines(row, turn.access);
            if turn.sees_gradient_alone() {
                turn.whole(classes, known.as_mut(), &mut lines, &mut copies);
                continue;
            }
            for section in sections(classes) {
                let mut sums = K::Sums::ZERO;
                for part in Parts::of_line(section, at_once) {
                    turn.step(
                        part,
                        classes,
                        known.as_mut(),
                        &mut sums,
                        &mut lines,
                        &mut copies,
                    );
                }
                if let (true, Some(known)) = (turn.access.adds_up, known.as_mut()) {
                    self.kernel.close(turn.pass, known, &sums);
                }
            }
        }
    }
}

/// A kernel in one pass over rows of which some are not contiguous.
pub(super) fn part_by_part<F: Float, K: RowKernel<F>, const PASS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    room: Room<'_, F>,
) {
    let adds_up = K::PASSES
        .get(PASS)
        .is_some_and(|(_, access)| access.adds_up);
    // No more sums than there is use for.
    let parts = PartByPart::<_, _, PASS> {
        kernel,
        band,
        known,
        sums: &mut [],
        room,
    };
    match parts.known.len() {
        _ if !adds_up => simd::dispatch(parts),
        n if n <= IN_TURN => adding_up::<F, K, PASS, IN_TURN>(parts),
        n if n <= TOGETHER => adding_up::<F, K, PASS, TOGETHER>(parts),
        _ => adding_up::<F, K, PASS, ABREAST>(parts),
    }
}

#[inline(never)] // its frame is large
fn adding_up<F: Float, K: RowKernel<F>, const PASS: usize, const ROWS: usize>(
    parts: PartByPart<'_, '_, '_, '_, F, K, PASS>,
) {
    let mut sums: [_; ROWS] = [const { K::Sums::ZERO }; _];
    let sums = &mut sums[..parts.known.len()];
    simd::dispatch(PartByPart { sums, ..parts });
}

/// A kernel in one pass over rows of which some are not contiguous: a part of each at a time, copied of all at once.
struct PartByPart<'a, 'b, 'r, 's, F: Float, K: RowKernel<F>, const PASS: usize> {
    kernel: K,
    band: &'s mut Band<'a, 'b, F>,
    known: &'s mut [Option<K::Known>],
    /// One of each row, or none where nothing is added up.
    sums: &'s mut [K::Sums],
    room: Room<'r, F>,
}

impl<F: Float, K: RowKernel<F>, const PASS: usize> simd::Work
    for PartByPart<'_, '_, '_, '_, F, K, PASS>
{
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let Self {
            kernel,
            band,
            known,
            room,
            ..
        } = self;
        let Some(&pass) = K::PASSES.get(PASS) else {
            return;
        };
        let keeps = !matches!(band.gradient, Some(Sink::View(_)));
        let turn = Turn::of(*kernel, pass, band, keeps);
        let classes = band.classes;
        if turn.sees_gradient_alone() && matches!(band.gradient, Some(Sink::Slices(_))) {
            for (row, known) in known.iter_mut().enumerate() {
                if let Some(mut copies) = room.of_row(0) {
                    let mut lines = band.lines(row, turn.access);
                    turn.whole(classes, known.as_mut(), &mut lines, &mut copies);
                }
            }
            return;
        }
        for section in sections(classes) {
            self.sums.fill(K::Sums::ZERO);
            self.section(turn, section);
            for (known, sums) in self.known.iter_mut().zip(&*self.sums) {
                if let Some(known) = known {
                    self.kernel.close(turn.pass, known, sums);
                }
            }
        }
    }
}

impl<F: Float, K: RowKernel<F>, const PASS: usize> PartByPart<'_, '_, '_, '_, F, K, PASS> {
    #[inline(always)]
    fn section(&mut self, turn: Turn<K, K::Pass>, section: Range<usize>) {
        let (zero, padding) = (F::zero(), K::padding());
        let Self {
            band,
            known,
            sums,
            room,
            ..
        } = self;
        let classes = band.classes;
        let access = turn.access;
        let mut no_sums = K::Sums::ZERO;
        // The room is one row's, or for a part of each.
        let at_once = if known.len() == 1 { room.blocks() } else { 1 };
        let rows_at_once = room.blocks();
        for parts in Parts::several(section, at_once) {
            if known.len() > rows_at_once {
                band.fetch(parts, access, turn.in_place);
            }
            for (index, known) in known.chunks_mut(rows_at_once).enumerate() {
                let start = index * rows_at_once;
                let rows = start..start + known.len();
                if let (true, Some(source)) = (access.targets, &band.targets) {
                    source.copy(rows.clone(), parts, classes, zero, room.targets);
                }
                if let (true, Some(source)) = (access.scores, &band.scores) {
                    source.copy(rows.clone(), parts, classes, padding, room.scores);
                }
                if let Some(Sink::View(view)) = &band.gradient
                    && access.scores
                    && turn.in_place
                {
                    let view = view.slice_axis(Axis(0), Slice::from(rows.clone()));
                    copy_part(&view, parts, room.scores);
                    pad(room.scores, parts, classes, padding);
                }
                for (place, known) in known.iter_mut().enumerate() {
                    let row = start + place;
                    let sums = sums.get_mut(row).unwrap_or(&mut no_sums);
                    let mut lines = band.lines(row, access);
                    for (offset, part) in parts.each().enumerate() {
                        if let Some(mut copies) = room.of_row(place + offset) {
                            let known = known.as_mut();
                            turn.step(part, classes, known, sums, &mut lines, &mut copies);
                        }
                    }
                }
                if let (Some(Sink::View(view)), true) =
                    (&mut band.gradient, access.gradient.is_result())
                {
                    let mut view = view.slice_axis_mut(Axis(0), Slice::from(rows));
                    copy_part_back(room.gradient, parts, &mut view);
                }
            }
        }
    }
}

/// A kernel in one of its passes.
#[derive(Clone, Copy)]
struct Turn<K, P> {
    kernel: K,
    pass: P,
    access: Access,
    /// Whether the gradient is contiguous, or none is wanted.
    keeps: bool,
    wants_gradient: bool,
    in_place: bool,
    /// See [`Band`].
    first: usize,
    order: Order,
}

impl<K, P: Copy> Turn<K, P> {
    #[inline(always)]
    fn of<F>(kernel: K, (pass, access): (P, Access), band: &Band<'_, '_, F>, keeps: bool) -> Self {
        Self {
            kernel,
            pass,
            access: Access {
                scores: access.scores || (access.gradient.is_read() && !keeps),
                targets: access.targets && band.targets.is_some(),
                ..access
            },
            keeps,
            wants_gradient: band.gradient.is_some(),
            in_place: band.scores.is_none(),
            first: band.first,
            order: Order::of(band.first + band.classes),
        }
    }

    /// Whether the pass is element by element, so that it may see a contiguous row at once.
    #[inline(always)]
    fn sees_gradient_alone(&self) -> bool {
        !self.access.scores && !self.access.targets
    }

    /// All of a contiguous row, of which only the gradient is made use of.
    #[inline(always)]
    fn whole<F: Float>(
        self,
        classes: usize,
        known: Option<&mut K::Known>,
        lines: &mut Lines<'_, F>,
        copies: &mut Copies<'_, F>,
    ) where
        K: RowKernel<F, Pass = P>,
    {
        let whole = Part::whole(classes);
        let mut no_sums = K::Sums::ZERO;
        self.step(whole, classes, known, &mut no_sums, lines, copies);
    }

    /// A part of a row; `known` is absent for one that is left out.
    #[inline(always)]
    fn step<F: Float>(
        self,
        part: Part,
        classes: usize,
        known: Option<&mut K::Known>,
        sums: &mut K::Sums,
        lines: &mut Lines<'_, F>,
        copies: &mut Copies<'_, F>,
    ) where
        K: RowKernel<F, Pass = P>,
    {
        let Access {
            scores: reads_scores,
            targets: reads_targets,
            gradient: use_of_gradient,
            ..
        } = self.access;
        let (zero, padding) = (F::zero(), K::padding());
        let end = part.start + part.len;
        let targets = match lines.targets {
            Some(row) => part_of(row, part, zero, copies.targets),
            None if reads_targets => &copies.targets[..part.len],
            None => &[],
        };
        let scores = match (lines.scores, &lines.gradient) {
            (Some(row), _) => part_of(row, part, padding, copies.scores),
            _ if !reads_scores => &[],
            // A copy, since the gradient may overwrite them.
            (None, Some(row)) if self.in_place => copy_of(row, part, padding, copies.scores),
            (None, _) => &copies.scores[..part.len],
        };
        let row = lines.gradient.as_deref_mut();
        let is_direct = row.as_ref().is_some_and(|row| row.len() >= end);
        let gradient = match row {
            Some(row) if is_direct => &mut row[part.start..end],
            Some(row) if use_of_gradient.is_read() => {
                copy_of(row, part, zero, copies.gradient);
                &mut copies.gradient[..part.len]
            }
            _ if self.wants_gradient && use_of_gradient != Gradient::Unused => {
                &mut copies.gradient[..part.len]
            }
            _ => &mut [],
        };
        match known {
            Some(known) => self.kernel.part(
                self.pass,
                known,
                sums,
                Piece {
                    part: part.behind(self.first),
                    within: part.len.min(classes - part.start),
                    scores,
                    targets,
                    gradient,
                    is_kept: self.keeps,
                    wants_gradient: self.wants_gradient,
                    order: self.order,
                    work: copies.work,
                },
            ),
            None if use_of_gradient != Gradient::Unused => gradient.fill(zero),
            None => {}
        }
        if let (Some(row), true, false) = (
            &mut lines.gradient,
            use_of_gradient != Gradient::Unused,
            is_direct,
        ) {
            for (to, &g) in row[part.start..].iter_mut().zip(&*copies.gradient) {
                *to = g;
            }
        }
    }
}
