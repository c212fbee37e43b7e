//! The layout of an operand changes no element, and an aggregate by at most 1 ULP.

use crate::catalogue::{
    Aim, AnyLoss, By, Edges, Entry, Form, Number, Targets, TargetsView, aggregates, catalogue,
    map_targets, raw, same_bits,
};
use ndarray::{ArrayBase, ArrayD, ArrayViewD, Axis, IxDyn, RawData, Slice};
use ndarray_loss::LossError;
use proptest::test_runner::{TestCaseError, TestCaseResult};

/// How the elements lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    RowMajor,
    ColumnMajor,
    /// The last axis first.
    Rotated,
    Reversed,
    /// Every second element of each axis.
    Strided,
    /// A part of a larger array.
    Sliced,
}

const LAYOUTS: [Layout; 6] = [
    Layout::RowMajor,
    Layout::ColumnMajor,
    Layout::Rotated,
    Layout::Reversed,
    Layout::Strided,
    Layout::Sliced,
];

impl Layout {
    /// The shape of the array in memory.
    fn stored(self, shape: &[usize]) -> Vec<usize> {
        let mut stored = shape.to_vec();
        match self {
            Layout::RowMajor | Layout::Reversed => {}
            Layout::ColumnMajor => stored.reverse(),
            Layout::Rotated => stored.rotate_right(usize::from(!shape.is_empty())),
            Layout::Strided => stored.iter_mut().for_each(|n| *n *= 2),
            Layout::Sliced => stored.iter_mut().for_each(|n| *n += 3),
        }
        stored
    }

    /// The elements of the array in memory, as they are meant.
    fn project<S: RawData>(self, mut stored: ArrayBase<S, IxDyn>) -> ArrayBase<S, IxDyn> {
        let axes: Vec<usize> = (0..stored.ndim()).collect();
        match self {
            Layout::RowMajor => stored,
            Layout::ColumnMajor => stored.reversed_axes(),
            Layout::Rotated => {
                let mut rotated = axes;
                rotated.rotate_left(usize::from(stored.ndim() > 0));
                stored.permuted_axes(rotated)
            }
            Layout::Reversed => {
                axes.iter().for_each(|&axis| stored.invert_axis(Axis(axis)));
                stored
            }
            Layout::Strided => {
                for &axis in &axes {
                    let first = stored.len_of(Axis(axis)).min(1) as isize;
                    stored.slice_axis_inplace(Axis(axis), Slice::new(first, None, 2));
                }
                stored
            }
            Layout::Sliced => {
                for &axis in &axes {
                    stored.slice_axis_inplace(Axis(axis), Slice::new(1, Some(-2), 1));
                }
                stored
            }
        }
    }
}

/// An array in a layout.
struct Laid<A> {
    stored: ArrayD<A>,
    layout: Layout,
}

impl<A: Clone> Laid<A> {
    /// `gap` is what lies between the elements.
    fn new(array: &ArrayD<A>, layout: Layout, gap: A) -> Self {
        let mut stored = ArrayD::from_elem(IxDyn(&layout.stored(array.shape())), gap);
        layout.project(stored.view_mut()).assign(array);
        Self { stored, layout }
    }

    fn view(&self) -> ArrayViewD<'_, A> {
        self.layout.project(self.stored.view())
    }
}

/// Targets in a layout.
enum LaidTargets<F> {
    Floats(Laid<F>),
    Bools(Laid<bool>),
    Signed(Laid<i64>),
    Words(Laid<u16>),
}

impl<F: Number> LaidTargets<F> {
    fn new(targets: &Targets<F>, layout: Layout) -> Self {
        match targets {
            Targets::Floats(array) => Self::Floats(Laid::new(array, layout, F::nan())),
            Targets::Bools(array) => Self::Bools(Laid::new(array, layout, true)),
            // no label of any class: it must not be looked at
            Targets::Signed(array) => Self::Signed(Laid::new(array, layout, 1_000_000)),
            Targets::Words(array) => Self::Words(Laid::new(array, layout, u16::MAX)),
        }
    }

    fn view(&self) -> TargetsView<'_, F> {
        map_targets!(self, LaidTargets => TargetsView, laid => laid.view())
    }
}

/// A buffer for results in a layout, which notices what is written beside it.
struct Buffer<F>(Laid<F>);

impl<F: Number> Buffer<F> {
    /// What no kernel computes.
    fn unset() -> F {
        F::of(-77.125)
    }

    fn new(shape: &[usize], layout: Layout) -> Self {
        let unset = ArrayD::from_elem(IxDyn(shape), Self::unset());
        Self(Laid::new(&unset, layout, Self::unset()))
    }

    fn fill(
        &mut self,
        fill: impl FnOnce(&mut ndarray::ArrayRef<F, IxDyn>) -> Result<F, LossError>,
    ) -> Result<F, LossError> {
        fill(&mut self.0.layout.project(self.0.stored.view_mut()))
    }

    fn check(&self, what: &str, want: &ArrayD<F>) -> TestCaseResult {
        let got = self.0.view();
        same_bits(what, &got, want)?;
        // Nothing else was written.
        let want = Laid::new(want, self.0.layout, Self::unset());
        same_bits(&format!("{what}, gaps"), &self.0.stored, &want.stored)
    }
}

/// The same within one unit in the last place.
fn near<F: Number>(what: &str, got: F, want: F) -> TestCaseResult {
    let ulp = want.abs() * F::epsilon();
    if got.bits() == want.bits() || (got - want).abs() <= ulp {
        Ok(())
    } else {
        let message = format!("{what}: {got:e} is not within 1 ULP of {want:e}");
        Err(TestCaseError::fail(message))
    }
}

/// Predictions, targets and weights, and what they give in row-major order.
struct Reference<'e, F> {
    loss: &'e dyn AnyLoss<F>,
    p: ArrayD<F>,
    t: Targets<F>,
    by: By<F>,
    losses: ArrayD<F>,
    gradient: ArrayD<F>,
    objective: F,
    objective_gradient: ArrayD<F>,
}

impl<'e, F: Number> Reference<'e, F> {
    fn new(
        entry: &'e Entry<F>,
        form: Form,
        shape: &[usize],
        edges: Edges,
    ) -> Result<Self, LossError> {
        let loss = &*entry.fixed;
        let count = shape.iter().product();
        let p = entry.predictions(shape, &raw(11, count), edges);
        let t = entry.targets(&entry.fixed, form, shape, &raw(12, count));
        let all_by = aggregates(loss.loss_shape(shape), &raw(13, count.max(1)));
        let by = all_by.into_iter().nth(2).unwrap_or(By::Mean);
        let (losses, gradient) = loss.loss_and_gradient(p.view(), t.view())?;
        let (objective, objective_gradient) =
            loss.objective_and_gradient(p.view(), t.view(), &by.aggregate())?;
        Ok(Self {
            loss,
            p,
            t,
            by,
            losses,
            gradient,
            objective,
            objective_gradient,
        })
    }

    /// Loss and gradient with operands in layouts.
    fn check_elements(&self, p: Layout, t: Layout, out: Layout) -> TestCaseResult {
        let laid = Laid::new(&self.p, p, F::nan());
        let targets = LaidTargets::new(&self.t, t);
        let mut losses = Buffer::new(self.losses.shape(), out);
        let mut gradient = Buffer::new(self.p.shape(), out);
        losses.fill(|losses| {
            gradient.fill(|gradient| {
                let (loss, p, t) = (self.loss, laid.view(), targets.view());
                loss.loss_and_gradient_into(p, t, losses, gradient)?;
                Ok(F::zero())
            })
        })?;
        losses.check("loss", &self.losses)?;
        gradient.check("gradient", &self.gradient)?;
        if out == Layout::RowMajor {
            let new = self.loss.loss_and_gradient(laid.view(), targets.view())?;
            same_bits("new loss", &new.0, &self.losses)?;
            same_bits("new gradient", &new.1, &self.gradient)?;
        }
        Ok(())
    }

    /// Objective and gradient with operands in layouts.
    fn check_objective(&self, p: Layout, t: Layout, w: Layout, out: Layout) -> TestCaseResult {
        let laid = Laid::new(&self.p, p, F::nan());
        let targets = LaidTargets::new(&self.t, t);
        let weights = match &self.by {
            By::WeightedMean(weights) => Laid::new(weights, w, F::nan()),
            by => return Err(TestCaseError::fail(format!("not a weighted mean: {by:?}"))),
        };
        let by = ndarray_loss::Aggregate::weighted_mean(weights.view());
        let mut gradient = Buffer::new(self.p.shape(), out);
        let value = gradient.fill(|gradient| {
            self.loss
                .objective_and_gradient_into(laid.view(), targets.view(), &by, gradient)
        })?;
        near("objective_and_gradient_into", value, self.objective)?;
        gradient.check("gradient of the objective", &self.objective_gradient)?;
        if out == Layout::RowMajor {
            let value = self.loss.objective(laid.view(), targets.view(), &by)?;
            near("objective", value, self.objective)?;
            let mut in_place = Buffer(Laid::new(&self.p, p, Buffer::unset()));
            let value = in_place.fill(|p| {
                self.loss
                    .objective_and_gradient_in_place(p, targets.view(), &by)
            })?;
            near("objective_and_gradient_in_place", value, self.objective)?;
            in_place.check("gradient in place", &self.objective_gradient)?;
        }
        Ok(())
    }
}

/// Predictions without edges: a sum of NaN says nothing of the others.
fn no_edges<F>(_: &Entry<F>, _: &[usize]) -> Edges {
    Edges::Never
}

/// Runs a check for the catalogue, in arrays of these shapes.
fn for_all<F: Number>(
    shapes: &[&[usize]],
    forms: impl Fn(&Entry<F>) -> Vec<Form>,
    edges: impl Fn(&Entry<F>, &[usize]) -> Edges,
    check: impl Fn(&Reference<'_, F>) -> TestCaseResult,
) {
    for entry in catalogue::<F>() {
        for shape in shapes.iter().filter(|shape| entry.fits(shape)) {
            for form in forms(&entry) {
                let checked = Reference::new(&entry, form, shape, edges(&entry, shape))
                    .map_err(Into::into)
                    .and_then(|reference| check(&reference));
                assert!(
                    checked.is_ok(),
                    "{}, {form:?}, {shape:?}: {checked:?}",
                    entry.name
                );
            }
        }
    }
}

/// All forms of targets.
fn all_forms<F>(entry: &Entry<F>) -> Vec<Form> {
    entry.aim.forms().to_vec()
}

/// One form that is read in place, and one that is not.
fn two_forms<F>(entry: &Entry<F>) -> Vec<Form> {
    let converted = if entry.aim.is_itemwise() {
        Form::Labels
    } else {
        Form::Signed
    };
    vec![Form::Floats, converted]
}

/// Of each rank, one with an axis of length 1; with rows of few and of many classes; larger than a tile.
const SMALL: &[&[usize]] = &[&[], &[7], &[3, 4], &[1, 5], &[2, 3, 4], &[2, 3, 2, 5]];
const LARGE: &[&[usize]] = &[
    &[67, 70],
    &[40, 33, 3],
    &[1100, 2],
    &[3, 1100],
    &[150, 230],
    &[17, 8200],
];

fn elements<F: Number>() {
    for_all::<F>(SMALL, all_forms, Entry::edges, |reference| {
        for p in LAYOUTS {
            for t in LAYOUTS {
                for out in LAYOUTS {
                    let checked = reference.check_elements(p, t, out);
                    checked.map_err(|e| {
                        TestCaseError::fail(format!("{p:?}, {t:?} -> {out:?}: {e}"))
                    })?;
                }
            }
        }
        Ok(())
    });
}

fn objectives<F: Number>() {
    for_all::<F>(SMALL, two_forms, no_edges, |reference| {
        for p in LAYOUTS {
            for t in LAYOUTS {
                for w in LAYOUTS {
                    for out in LAYOUTS {
                        let checked = reference.check_objective(p, t, w, out);
                        checked.map_err(|e| {
                            TestCaseError::fail(format!("{p:?}, {t:?}, {w:?} -> {out:?}: {e}"))
                        })?;
                    }
                }
            }
        }
        Ok(())
    });
}

/// Each operand in each layout, the others not.
fn large<F: Number>() {
    use Layout::RowMajor;
    let each = |check: &dyn Fn([Layout; 4]) -> TestCaseResult| -> TestCaseResult {
        for layout in LAYOUTS {
            let [a, b] = [layout, RowMajor];
            for layouts in [
                [a, b, b, b],
                [b, a, b, b],
                [b, b, a, b],
                [b, b, b, a],
                [a, a, a, a],
            ] {
                check(layouts).map_err(|e| TestCaseError::fail(format!("{layouts:?}: {e}")))?;
            }
        }
        Ok(())
    };
    for_all::<F>(LARGE, two_forms, Entry::edges, |reference| {
        each(&|[p, t, _, out]| reference.check_elements(p, t, out))
    });
    for_all::<F>(LARGE, two_forms, no_edges, |reference| {
        each(&|[p, t, w, out]| reference.check_objective(p, t, w, out))
    });
}

/// Rows of many classes, and targets of every form.
fn many_classes<F: Number>() {
    for_all::<F>(&[&[18, 300]], all_forms, Entry::edges, |reference| {
        for layout in LAYOUTS {
            for [p, t, out] in [
                [layout, layout, layout],
                [Layout::RowMajor, layout, Layout::ColumnMajor],
            ] {
                let checked = reference.check_elements(p, t, out);
                checked
                    .map_err(|e| TestCaseError::fail(format!("{p:?}, {t:?} -> {out:?}: {e}")))?;
            }
        }
        Ok(())
    });
}

/// Broadcast views (stride 0) of predictions, targets and weights, against what they stand for.
fn broadcast<F: Number>() {
    let shapes: [(&[usize], &[usize]); 5] = [
        (&[4, 5], &[1, 5]),
        (&[4, 5], &[4, 1]),
        (&[3, 70], &[1, 70]),
        (&[2, 3, 4], &[2, 1, 4]),
        (&[1200, 2], &[1, 1]),
    ];
    for entry in catalogue::<F>() {
        for (full, part) in shapes {
            let checked = broadcast_entry(&entry, full, part);
            assert!(
                checked.is_ok(),
                "{}, {part:?} as {full:?}: {checked:?}",
                entry.name
            );
        }
    }
}

fn materialised<A: Clone>(array: &ArrayD<A>, shape: &[usize]) -> Result<ArrayD<A>, TestCaseError> {
    let view = array
        .broadcast(IxDyn(shape))
        .ok_or_else(|| TestCaseError::fail("does not broadcast"))?;
    Ok(view.as_standard_layout().into_owned())
}

fn broadcast_entry<F: Number>(entry: &Entry<F>, full: &[usize], part: &[usize]) -> TestCaseResult {
    let loss = &*entry.fixed;
    let count = full.iter().product();
    let small_p = entry.predictions(part, &raw(31, count), Edges::Never);
    let p = materialised(&small_p, full)?;
    let view = small_p
        .broadcast(IxDyn(full))
        .ok_or_else(|| TestCaseError::fail("predictions"))?;
    let loss_part = loss.loss_shape(part);
    let small_w = crate::catalogue::weights::<F>(loss_part, &raw(33, count));
    let w = materialised(&small_w, loss.loss_shape(full))?;
    for form in two_forms(entry) {
        // The predictions.
        let t = entry.targets(&entry.fixed, form, full, &raw(32, count));
        let want = loss.loss_and_gradient(p.view(), t.view())?;
        let got = loss.loss_and_gradient(view.view(), t.view())?;
        same_bits("loss", &got.0, &want.0)?;
        same_bits("gradient", &got.1, &want.1)?;
        // The weights, broadcast by the crate.
        let (small_by, by) = (By::WeightedSum(small_w.clone()), By::WeightedSum(w.clone()));
        let want = loss.objective_and_gradient(p.view(), t.view(), &by.aggregate())?;
        let got = loss.objective_and_gradient(view.view(), t.view(), &small_by.aggregate())?;
        near("objective", got.0, want.0)?;
        same_bits("gradient of the objective", &got.1, &want.1)?;
        // A one-hot row of one class is none when it is broadcast.
        let is_one_hot = entry.aim == Aim::Class && form != Form::Labels;
        if is_one_hot && part.last() != full.last() {
            continue;
        }
        // The targets, where they have the shape of the predictions.
        let small_t = entry.targets(&entry.fixed, form, part, &raw(34, count));
        let shape = if small_t.shape().len() == full.len() {
            full
        } else {
            &full[..full.len() - 1]
        };
        let t: Targets<F> =
            map_targets!(&small_t, Targets => Targets, t => materialised(t, shape)?);
        let view: TargetsView<'_, F> = map_targets!(&small_t, Targets => TargetsView, t => {
            t.broadcast(IxDyn(shape)).ok_or_else(|| TestCaseError::fail("targets"))?
        });
        let want = loss.loss_and_gradient(p.view(), t.view())?;
        let got = loss.loss_and_gradient(p.view(), view)?;
        same_bits("loss of broadcast targets", &got.0, &want.0)?;
        same_bits("gradient of broadcast targets", &got.1, &want.1)?;
    }
    Ok(())
}

/// Nothing in, nothing out, in any layout.
fn empty<F: Number>() {
    const EMPTY: &[&[usize]] = &[&[0], &[0, 3], &[3, 0], &[0, 0], &[2, 0, 3], &[0, 2, 70]];
    for entry in catalogue::<F>() {
        for shape in EMPTY.iter().filter(|shape| entry.fits(shape)) {
            for form in two_forms(&entry) {
                for layout in LAYOUTS {
                    let checked = empty_entry(&entry, form, shape, layout);
                    let name = &entry.name;
                    assert!(
                        checked.is_ok(),
                        "{name}, {form:?}, {shape:?}, {layout:?}: {checked:?}"
                    );
                }
            }
        }
    }
}

fn empty_entry<F: Number>(
    entry: &Entry<F>,
    form: Form,
    shape: &[usize],
    layout: Layout,
) -> TestCaseResult {
    let loss = &*entry.fixed;
    let p = Laid::new(&ArrayD::zeros(shape), layout, F::nan());
    let t = LaidTargets::new(&entry.targets(&entry.fixed, form, shape, &[]), layout);
    let (losses, gradient) = loss.loss_and_gradient(p.view(), t.view())?;
    if losses.shape() != loss.loss_shape(shape) || gradient.shape() != shape {
        return Err(TestCaseError::fail(format!(
            "shapes {:?} and {:?}",
            losses.shape(),
            gradient.shape()
        )));
    }
    let mut buffer = Buffer::new(shape, layout);
    let sum = buffer.fill(|gradient| {
        let by = ndarray_loss::Aggregate::Sum;
        loss.objective_and_gradient_into(p.view(), t.view(), &by, gradient)
    })?;
    buffer.check("gradient", &gradient)?;
    near("sum", sum, F::zero())?;
    let mean = loss.objective(p.view(), t.view(), &ndarray_loss::Aggregate::Mean);
    match mean {
        Err(LossError::EmptyMean) => Ok(()),
        other => Err(TestCaseError::fail(format!("mean of nothing: {other:?}"))),
    }
}

for_both_types! { elements objectives large many_classes broadcast empty }
