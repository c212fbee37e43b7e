//! The largest error of a function over many inputs.

use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::cases::{Case, Failure};
use crate::judge::{Number, Rule, error};
use crate::real::Real;
use crate::reference::Exact;
use crate::sample::{self, Batch, Region, Targets};

/// The largest error, and where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worst {
    /// In the units of [`error`](fn@error).
    pub(crate) error: f64,
    /// |exact|, which decides between equal errors.
    size: f64,
    pub(crate) at: String,
    pub(crate) got: f64,
    pub(crate) exact: f64,
    /// Whether a subtraction of the formula widened a unit.
    pub(crate) cancels: bool,
    /// Whether a factor did.
    pub(crate) underflows: bool,
    /// Numbers that were judged.
    pub(crate) judged: u64,
}

impl Worst {
    fn update<F: Number>(
        &mut self,
        got: F,
        exact: &Exact<F::Real>,
        rule: Rule,
        at: impl FnOnce() -> String,
    ) {
        self.judged += 1;
        self.cancels |= exact.operands.is_some();
        self.underflows |= exact.factor.is_some() && !rule.strict;
        let error = error(got, exact, rule);
        if error < self.error || error == 0.0 {
            return;
        }
        let wanted = exact.value.to_f64();
        if (error, wanted.abs()) > (self.error, self.size) {
            (self.error, self.size) = (error, wanted.abs());
            (self.got, self.exact) = (got.wide(), wanted);
            self.at = at();
        }
    }

    fn join(self, other: Self) -> Self {
        let (cancels, judged) = (self.cancels || other.cancels, self.judged + other.judged);
        let underflows = self.underflows || other.underflows;
        let worse = if (other.error, other.size) > (self.error, self.size) {
            other
        } else {
            self
        };
        Self {
            cancels,
            underflows,
            judged,
            ..worse
        }
    }
}

/// What was measured of a function in a region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// Of the values and of the gradients.
    pub(crate) worst: [Worst; 2],
    /// Pairs or rows.
    pub(crate) inputs: u64,
}

impl Measured {
    fn join(self, other: Self) -> Self {
        let [values, gradient] = self.worst;
        let [other_values, other_gradient] = other.worst;
        Self {
            worst: [values.join(other_values), gradient.join(other_gradient)],
            inputs: self.inputs + other.inputs,
        }
    }
}

/// Where random numbers come from, and how results are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) seed: u64,
    pub(crate) strict: bool,
    /// The position of the function among the others.
    pub(crate) case: usize,
}

/// Measures over about as many inputs as there should be.
pub(crate) fn measure<F: Number>(
    case: &Case<F>,
    region: Region,
    inputs: usize,
    source: Source,
    progress: &ProgressBar,
) -> Result<Measured, Failure> {
    let shapes = if case.is_itemwise {
        sample::shapes(inputs)
    } else {
        vec![(1, inputs)]
    };
    let batches: Vec<(usize, usize)> = shapes
        .into_iter()
        .flat_map(|(classes, rows)| in_batches::<F>(classes, rows))
        .collect();
    // Streams of their own for every function, region and batch.
    let stream = (source.case as u64) << 40 | (region as u64) << 32;
    batches
        .into_par_iter()
        .enumerate()
        .map(|(i, shape)| {
            let mut random = sample::random(source.seed, stream | i as u64);
            let batch = (case.draw)(region, shape, &mut random);
            let measured = judge(case, &batch, source.strict)?;
            progress.inc(measured.inputs);
            Ok(measured)
        })
        .try_reduce(Measured::default, |a, b| Ok(a.join(b)))
}

/// Measures over every `f32` in [0, 1], for the targets 0 and 1.
pub(crate) fn measure_every_probability(
    case: &Case<f32>,
    progress: &ProgressBar,
) -> Result<Measured, Failure> {
    const BATCH: u64 = 1 << 16;
    (0..sample::probabilities().div_ceil(BATCH))
        .into_par_iter()
        .map(|i| {
            let of_target = |target| {
                let batch = sample::every_probability(i * BATCH, BATCH as usize, target);
                judge(case, &batch, true)
            };
            let measured = of_target(0.0)?.join(of_target(1.0)?);
            progress.inc(measured.inputs);
            Ok(measured)
        })
        .try_reduce(Measured::default, |a, b| Ok(a.join(b)))
}

/// Batches of a size that keeps all threads busy; some of them are not a multiple of the lanes of a kernel.
fn in_batches<F: Number>(classes: usize, rows: usize) -> Vec<(usize, usize)> {
    let numbers = if F::DIGITS == <f32 as Number>::DIGITS {
        1 << 14
    } else {
        1 << 9
    };
    let size = (numbers / classes).max(1) + 3;
    (0..rows)
        .step_by(size)
        .map(|start| (classes, size.min(rows - start)))
        .collect()
}

fn judge<F: Number>(case: &Case<F>, batch: &Batch<F>, strict: bool) -> Result<Measured, Failure> {
    let rule = Rule {
        budget: case.budget(),
        strict,
    };
    let computed = (case.compute)(batch).map_err(|failure| format!("{}: {failure}", case.name))?;
    let items = batch.items();
    let mut measured = Measured {
        inputs: items as u64,
        ..Measured::default()
    };
    let of_item = computed.values.len() / items.max(1);
    let mut exact = Vec::new();
    for item in 0..items {
        exact.clear();
        (case.exactly)(batch, item, &mut exact);
        let (values, gradient) = exact.split_at(of_item);
        let got = [
            &computed.values[item * of_item..],
            &computed.gradient[item * batch.classes..],
        ];
        for ((worst, got), exact) in measured.worst.iter_mut().zip(got).zip([values, gradient]) {
            let is_row = exact.len() > 1;
            for (i, (&got, exact)) in got.iter().zip(exact).enumerate() {
                let at = || describe(case, batch, item, is_row.then_some(i));
                worst.update(got, exact, rule, at);
            }
        }
    }
    Ok(measured)
}

/// Prediction for target, the parameters, and which number of a row it is about.
fn describe<F: Number>(
    case: &Case<F>,
    batch: &Batch<F>,
    item: usize,
    class: Option<usize>,
) -> String {
    let range = item * batch.classes..(item + 1) * batch.classes;
    let row = &batch.predictions[range.clone()];
    let mut description = match &batch.targets {
        Targets::Labels(labels) => {
            let label = labels[item];
            format!("{} for label {label}", text(row, class.unwrap_or(label)))
        }
        Targets::Numbers(numbers) => {
            let target = &numbers[range];
            let class = class.unwrap_or_else(|| largest(target));
            format!("{} for {}", text(row, class), text(target, class))
        }
    };
    for (name, value) in case.parameters.iter().zip(batch.parameters) {
        description += &format!(", {name} = {value:?}");
    }
    if let Some(class) = class {
        description += &format!("; number {class}");
    }
    description
}

fn largest<F: Number>(row: &[F]) -> usize {
    let larger = |at, class| if row[class] > row[at] { class } else { at };
    (0..row.len()).fold(0, larger)
}

/// A number or a row, of which only the beginning and one class where it is long.
fn text<F: Number>(numbers: &[F], class: usize) -> String {
    const SHOWN: usize = 5;
    match numbers {
        [number] => format!("{number:?}"),
        [first, second, ..] if numbers.len() > SHOWN => {
            let (n, number) = (numbers.len(), numbers[class]);
            format!("[{first:?}, {second:?}, … {n} in all, number {class}: {number:?}]")
        }
        _ => format!("{numbers:?}"),
    }
}
