//! Bit for bit: all methods, all forms of targets and all places in an array agree.

use crate::catalogue::{
    By, Edges, Entry, Form, Loss, Number, Raw, Targets, aggregates, catalogue, check, expected,
    map_targets, raw, raw_strategy, same_bits, weights,
};
use ndarray::{ArrayD, Axis, IxDyn, Zip};
use ndarray_loss::{Aggregate, LossError, aggregate, aggregate_gradient};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

const CASES: u32 = 40;

for_both_types! {
    methods_agree
    objectives_agree
    forms_of_targets_agree
    elements_do_not_depend_on_their_place
    rows_do_not_depend_on_their_place
    permuted_rows_permute_losses
    ignored_items_do_not_matter
}

/// A loss with predictions and targets.
#[derive(Debug)]
struct Case<F> {
    loss: Loss<F>,
    p: ArrayD<F>,
    t: Targets<F>,
    by: Vec<By<F>>,
}

const SHAPES: [&[usize]; 17] = [
    &[],
    &[0],
    &[1],
    &[5],
    &[17],
    &[65],
    &[600],
    &[3, 4],
    &[1, 1],
    &[0, 3],
    &[33, 7],
    &[2, 128],
    &[2, 129],
    &[40, 200],
    &[3, 300],
    &[2, 3, 5],
    &[2, 2, 3, 2],
];

fn shapes<F: Number>(entry: &Entry<F>) -> BoxedStrategy<Vec<usize>> {
    let fitting = SHAPES.iter().filter(|shape| entry.fits(shape));
    select(fitting.map(|shape| shape.to_vec()).collect::<Vec<_>>()).boxed()
}

/// Checks a property of the whole catalogue, in all forms of targets.
fn for_all<F: Number>(property: impl Fn(&Case<F>) -> TestCaseResult) {
    for entry in catalogue::<F>() {
        for &form in entry.aim.forms() {
            let name = format!("{}, {form:?}", entry.name);
            let raws = (raw_strategy(211), raw_strategy(211), raw_strategy(97));
            let strategy = (entry.any.clone(), shapes(&entry), any::<bool>(), raws);
            check(
                file!(),
                &name,
                CASES,
                &strategy,
                |(loss, shape, has_edges, (scores, aims, weights))| {
                    // Without edges sums are finite, and say something of every element.
                    let edges = if has_edges {
                        entry.edges(&shape)
                    } else {
                        Edges::Never
                    };
                    let case = Case {
                        p: entry.predictions(&shape, &scores, edges),
                        t: entry.targets(&loss, form, &shape, &aims),
                        by: all_aggregates(loss.loss_shape(&shape), &weights),
                        loss,
                    };
                    property(&case)
                },
            );
        }
    }
}

/// By weights of the losses' shape, and by such as are broadcast to it.
fn all_aggregates<F: Number>(shape: &[usize], raw: &[Raw]) -> Vec<By<F>> {
    let mut all = aggregates(shape, raw);
    if shape.len() > 1 {
        let mut column = vec![1; shape.len()];
        column[0] = shape[0];
        for part in [&shape[shape.len() - 1..], &shape[1..], &column] {
            all.extend(aggregates(part, raw));
        }
    }
    all
}

impl<F: Number> Case<F> {
    fn losses(&self) -> Result<ArrayD<F>, TestCaseError> {
        expected("loss", self.loss.loss(self.p.view(), self.t.view()))
    }

    fn gradient(&self) -> Result<ArrayD<F>, TestCaseError> {
        expected("gradient", self.loss.gradient(self.p.view(), self.t.view()))
    }

    /// Which items are left out because of their label.
    fn ignored(&self) -> Option<ArrayD<bool>> {
        let (label, labels) = (self.loss.ignored()?, self.t.labels()?);
        // Only labels can be ignored, not rows.
        (labels.ndim() < self.p.ndim()).then(|| labels.mapv(|l| l == label))
    }
}

fn unset<F: Number>(shape: &[usize]) -> ArrayD<F> {
    ArrayD::from_elem(IxDyn(shape), F::of(-77.0))
}

fn methods_agree<F: Number>() {
    for_all(|case: &Case<F>| {
        let (loss, p) = (&case.loss, case.p.view());
        let (want_loss, want_gradient) = (case.losses()?, case.gradient()?);
        prop_assert_eq!(want_loss.shape(), loss.loss_shape(p.shape()));
        prop_assert_eq!(want_gradient.shape(), p.shape());

        let both = loss.loss_and_gradient(p.view(), case.t.view());
        let (losses, gradient) = expected("loss_and_gradient", both)?;
        same_bits("loss_and_gradient, loss", &losses, &want_loss)?;
        same_bits("loss_and_gradient, gradient", &gradient, &want_gradient)?;

        let mut losses = unset(want_loss.shape());
        expected(
            "loss_into",
            loss.loss_into(p.view(), case.t.view(), &mut losses),
        )?;
        same_bits("loss_into", &losses, &want_loss)?;
        let mut gradient = unset(p.shape());
        let filled = loss.gradient_into(p.view(), case.t.view(), &mut gradient);
        expected("gradient_into", filled)?;
        same_bits("gradient_into", &gradient, &want_gradient)?;
        let (mut losses, mut gradient) = (unset(want_loss.shape()), unset(p.shape()));
        let filled =
            loss.loss_and_gradient_into(p.view(), case.t.view(), &mut losses, &mut gradient);
        expected("loss_and_gradient_into", filled)?;
        same_bits("loss_and_gradient_into, loss", &losses, &want_loss)?;
        same_bits(
            "loss_and_gradient_into, gradient",
            &gradient,
            &want_gradient,
        )
    });
}

/// Both fail alike, or have the same bits.
fn same_result<F: Number>(
    what: &str,
    got: &Result<F, LossError>,
    want: &Result<F, LossError>,
) -> TestCaseResult {
    match (got, want) {
        (Ok(got), Ok(want)) => same_bits(what, [got], [want]),
        _ => {
            prop_assert_eq!(got, want, "{}", what);
            Ok(())
        }
    }
}

/// The aggregate of all losses that says the same of those that are not ignored.
fn over_the_rest<F: Number>(by: &By<F>, ignored: &ArrayD<bool>) -> By<F> {
    let rest = ignored.mapv(|ignored| !ignored);
    match by {
        By::Mean => By::MaskedMean(rest),
        By::MaskedMean(mask) => By::MaskedMean(&rest & mask),
        By::Sum | By::WeightedMean(_) | By::WeightedSum(_) | By::NormalizedSum(_) => by.clone(),
    }
}

fn objectives_agree<F: Number>() {
    for_all(|case: &Case<F>| {
        let (loss, p) = (&case.loss, case.p.view());
        let (losses, gradient) = (case.losses()?, case.gradient()?);
        let ignored = case.ignored();
        for by in &case.by {
            let rest = ignored
                .as_ref()
                .map_or(by.clone(), |out| over_the_rest(by, out));
            let want = aggregate(&losses, rest.aggregate());
            let by_aggregate = by.aggregate();
            let got = loss.objective(p.view(), case.t.view(), &by_aggregate);
            same_result(&format!("objective by {by:?}"), &got, &want)?;

            let got = loss.objective_and_gradient(p.view(), case.t.view(), &by_aggregate);
            let mut into = unset(p.shape());
            let into_value =
                loss.objective_and_gradient_into(p.view(), case.t.view(), &by_aggregate, &mut into);
            let mut in_place = case.p.clone();
            let in_place_value =
                loss.objective_and_gradient_in_place(&mut in_place, case.t.view(), &by_aggregate);
            same_result("objective_and_gradient_into", &into_value, &want)?;
            same_result("objective_and_gradient_in_place", &in_place_value, &want)?;
            let Ok(aggregated) = aggregate_gradient(&losses, rest.aggregate()) else {
                prop_assert!(got.is_err());
                same_bits("untouched", &in_place, &case.p)?;
                continue;
            };
            let (value, got) = expected("objective_and_gradient", got)?;
            same_result("objective_and_gradient", &Ok(value), &want)?;

            let left_out = left_out(&by.left_out(), &ignored, losses.raw_dim());
            let factor = spread(&aggregated, &case.p);
            let left_out = spread(&left_out, &case.p);
            let want = Zip::from(&gradient)
                .and(&factor)
                .map_collect(|&g, &a| g * a);
            for (what, got) in [("new", &got), ("into", &into), ("in place", &in_place)] {
                let what = format!("{what} gradient by {by:?}");
                // where nothing counts, exactly 0 of either sign
                let zeros = got.iter().zip(&left_out).filter(|&(_, &out)| out);
                let mut zeros = zeros.map(|(g, _)| *g);
                prop_assert!(
                    zeros.all(|g| g == F::zero()),
                    "{what}: {got} where {left_out}"
                );
                let counting = |array: &ArrayD<F>| -> Vec<F> {
                    let elements = array.iter().zip(&left_out);
                    elements
                        .filter(|&(_, &out)| !out)
                        .map(|(&x, _)| x)
                        .collect()
                };
                same_bits(&what, &counting(got), &counting(&want))?;
            }
        }
        Ok(())
    });
}

/// Which losses count nothing, for their weight or for their label.
fn left_out(
    weighted: &Option<ArrayD<bool>>,
    ignored: &Option<ArrayD<bool>>,
    shape: IxDyn,
) -> ArrayD<bool> {
    let mut left_out = ArrayD::from_elem(shape, false);
    for part in [weighted, ignored].into_iter().flatten() {
        left_out |= part;
    }
    left_out
}

/// What belongs to losses, for each of the predictions.
fn spread<A: Copy, F: Number>(of_losses: &ArrayD<A>, p: &ArrayD<F>) -> ArrayD<A> {
    let each = if of_losses.ndim() == p.ndim() {
        1
    } else {
        p.shape().last().copied().unwrap_or(1)
    };
    let mut elements = of_losses.iter().flat_map(|&x| std::iter::repeat_n(x, each));
    p.map(|_| elements.next())
        .mapv(|x| x.unwrap_or_else(|| unreachable!("one loss a row")))
}

/// Weights of every sign, some not finite.
fn any_weights<F: Number>(shape: &[usize], raw: &[Raw]) -> ArrayD<F> {
    let mut raws = raw.iter().cycle();
    weights::<F>(shape, raw).mapv(|weight| match raws.next().map(|raw| raw % 16) {
        Some(0) => F::infinity(),
        Some(1) => F::nan(),
        _ => weight,
    })
}

fn forms_of_targets_agree<F: Number>() {
    for entry in catalogue::<F>() {
        let strategy = (
            entry.any.clone(),
            shapes(&entry),
            raw_strategy(211),
            raw_strategy(211),
            raw_strategy(97),
        );
        check(
            file!(),
            &entry.name,
            CASES,
            &strategy,
            |(loss, shape, scores, aims, weights)| {
                let p = entry.predictions(&shape, &scores, entry.edges(&shape));
                // Rows are never ignored.
                let forms = entry.aim.forms().iter().filter(|&&form| {
                    form != Form::Soft && (loss.ignored().is_none() || form == Form::Labels)
                });
                let mut want = None;
                for form in forms {
                    let t = entry.targets(&loss, *form, &shape, &aims);
                    let both = loss.loss_and_gradient(p.view(), t.view());
                    let (losses, gradient) = expected("loss_and_gradient", both)?;
                    let sum = loss.objective(p.view(), t.view(), &Aggregate::Sum);
                    let sum = expected("objective", sum)?;
                    let weights = any_weights(losses.shape(), &weights);
                    let by = Aggregate::weighted_sum(&weights);
                    let weighted = loss.objective_and_gradient(p.view(), t.view(), &by);
                    let (_, weighted) = expected("objective_and_gradient", weighted)?;
                    let all = (losses.clone(), gradient.clone(), sum, weighted.clone());
                    let (want_losses, want_gradient, want_sum, want_weighted) =
                        want.get_or_insert(all);
                    let what = format!("{form:?}, gradient by {weights}");
                    same_bits(&what, &weighted, &*want_weighted)?;
                    same_bits(&format!("{form:?}, loss"), &losses, &*want_losses)?;
                    same_bits(&format!("{form:?}, gradient"), &gradient, &*want_gradient)?;
                    same_bits(&format!("{form:?}, sum"), [&sum], [&*want_sum])?;
                }
                Ok(())
            },
        );
    }
}

/// Part of the targets: some items along the first axis.
fn select_items<F: Number>(t: &Targets<F>, items: &[usize]) -> Targets<F> {
    map_targets!(t, Targets => Targets, array => array.select(Axis(0), items))
}

/// Each chosen item alone gives what it gives in the array.
fn check_alone<F: Number>(entry: &Entry<F>, form: Form, shape: &[usize], chosen: &[usize]) {
    let loss = &entry.fixed;
    let seed = shape
        .iter()
        .fold(7, |seed: u64, &n| seed * 10_007 + n as u64);
    let count: usize = shape.iter().product();
    let p = entry.predictions(shape, &raw(seed, count), entry.edges(shape));
    let t = entry.targets(loss, form, shape, &raw(seed + 1, count));
    let check = || -> TestCaseResult {
        let all = expected("all", loss.loss_and_gradient(p.view(), t.view()))?;
        for &item in chosen.iter().filter(|&&item| item < shape[0]) {
            let alone = p.select(Axis(0), &[item]);
            let t = select_items(&t, &[item]);
            let both = loss.loss_and_gradient(alone.view(), t.view());
            let (l, g) = expected("alone", both)?;
            let what = format!("item {item}");
            same_bits(&what, &all.0.select(Axis(0), &[item]), &l)?;
            same_bits(&what, &all.1.select(Axis(0), &[item]), &g)?;
        }
        Ok(())
    };
    let checked = check();
    assert!(
        checked.is_ok(),
        "{}, {form:?}, {shape:?}: {checked:?}",
        entry.name
    );
}

/// Sizes around those of lanes, blocks, tiles and chunks.
fn sizes() -> impl Iterator<Item = usize> {
    let sizes = [16, 32, 64, 256, 512, 1024, 4096];
    sizes.into_iter().flat_map(|n| [n - 1, n, n + 1])
}

fn positions(n: usize) -> Vec<usize> {
    let ends = [
        0,
        1,
        n / 3,
        n / 2,
        n.saturating_sub(3),
        n.saturating_sub(2),
        n - 1,
    ];
    let scattered = raw(n as u64, 9)
        .into_iter()
        .map(|r| (r % n as u64) as usize);
    ends.into_iter().chain(scattered).collect()
}

fn elements_do_not_depend_on_their_place<F: Number>() {
    for entry in catalogue::<F>()
        .iter()
        .filter(|entry| !entry.aim.is_itemwise())
    {
        for n in sizes() {
            for &form in entry.aim.forms() {
                check_alone(entry, form, &[n], &positions(n));
            }
        }
    }
}

fn rows_do_not_depend_on_their_place<F: Number>() {
    let classes = (1..=70).chain([100, 128, 129, 200]).chain(255..=259);
    let classes = classes.chain([511, 512, 513, 1000]);
    let shapes = classes
        .map(|classes| [35, classes])
        .chain(sizes().map(|items| [items, 3]));
    for shape in shapes {
        let entries = catalogue::<F>();
        for entry in entries
            .iter()
            .filter(|entry| entry.aim.is_itemwise() && entry.fits(&shape))
        {
            for &form in entry.aim.forms() {
                check_alone(entry, form, &shape, &positions(shape[0]));
            }
        }
    }
}

fn permuted_rows_permute_losses<F: Number>() {
    for_all(|case: &Case<F>| {
        let Some(&rows) = case.t.shape().first() else {
            return Ok(());
        };
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|&row| raw(row as u64, 1));
        let permuted = Case {
            loss: case.loss.clone(),
            p: case.p.select(Axis(0), &order),
            t: select_items(&case.t, &order),
            by: Vec::new(),
        };
        let is_single = case.loss.loss_shape(case.p.shape()).is_empty();
        if is_single {
            return Ok(()); // one row: nothing to permute
        }
        same_bits(
            "loss",
            &permuted.losses()?,
            &case.losses()?.select(Axis(0), &order),
        )?;
        same_bits(
            "gradient",
            &permuted.gradient()?,
            &case.gradient()?.select(Axis(0), &order),
        )?;
        if case.ignored().is_some() {
            return Ok(()); // a mean over none may be refused
        }
        let mean = |of: &Case<F>| {
            let by = Aggregate::Mean;
            of.loss.objective(of.p.view(), of.t.view(), &by)
        };
        match (mean(case), mean(&permuted)) {
            (Ok(mean), Ok(moved)) => {
                let steps = mean.bits().abs_diff(moved.bits());
                prop_assert!(steps <= 1, "mean {mean:?} becomes {moved:?}");
                Ok(())
            }
            (mean, moved) => same_refusal(mean, moved),
        }
    });
}

fn same_refusal<F: Number>(
    one: Result<F, LossError>,
    other: Result<F, LossError>,
) -> TestCaseResult {
    prop_assert_eq!(one.err(), other.err());
    Ok(())
}

fn ignored_items_do_not_matter<F: Number>() {
    for_all(|case: &Case<F>| {
        let Some(ignored) = case.ignored() else {
            return Ok(());
        };
        let fill = |value: F| {
            let mut p = case.p.clone();
            Zip::from(&mut p)
                .and(&spread(&ignored, &case.p))
                .for_each(|p, &out| {
                    if out {
                        *p = value;
                    }
                });
            Case {
                loss: case.loss.clone(),
                p,
                t: case.t.clone(),
                by: Vec::new(),
            }
        };
        let zero = fill(F::zero());
        let is_out = spread(&ignored, &case.p);
        for value in [F::nan(), F::infinity(), F::neg_infinity()] {
            let other = fill(value);
            let (losses, gradient) = (other.losses()?, other.gradient()?);
            same_bits("loss", &losses, &zero.losses()?)?;
            same_bits("gradient", &gradient, &zero.gradient()?)?;
            for (l, _) in losses.iter().zip(&ignored).filter(|&(_, &out)| out) {
                prop_assert_eq!(*l, F::zero(), "loss of an ignored item");
            }
            for (g, _) in gradient.iter().zip(&is_out).filter(|&(_, &out)| out) {
                prop_assert_eq!(*g, F::zero(), "gradient of an ignored item");
            }
            for by in &case.by {
                let [got, want] = [&other, &zero]
                    .map(|c| c.loss.objective(c.p.view(), c.t.view(), &by.aggregate()));
                same_result(&format!("objective by {by:?}"), &got, &want)?;
            }
        }
        Ok(())
    });
}
