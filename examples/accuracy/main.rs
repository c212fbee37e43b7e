//! Measures how accurate every loss, every gradient and every activation is, against exact arithmetic.
//!
//! Exact results are computed in `f64` for `f32`, and in 192 bits for `f64`. A table in Markdown shows, for every
//! function, type and region of inputs, the largest error and the input that gave it; if one is above the budget of the
//! crate, the run fails. Errors are in ULP: the distance of neighbouring floats at the exact result, subnormal ones
//! included. Where a subtraction that the formula itself holds cancels (T·pⱼ − tⱼ, say), the unit is
//! one ULP of the result plus u·Σ|operands|, where u is half of the distance of neighbouring floats at 1. Where a factor
//! above 1 (w, T, a cotangent) multiplies what is subnormal by itself, the unit is larger by as many of the smallest numbers;
//! not so with `--strict`. The loss and its gradient in one pass, one by one and in place have to have the same bits.
//!
//! ```text
//! cargo run --release --example accuracy
//! cargo run --release --example accuracy -- --count 100000000 --exhaustive
//! cargo run --release --example accuracy -- --only categorical_crossentropy --seed 3
//! ```

mod cases;
mod judge;
mod measure;
mod real;
mod reference;
mod sample;

use std::time::Instant;

use cases::{Case, Failure, cases};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use judge::Number;
use measure::{Measured, Source, measure, measure_every_probability};
use sample::Region;

/// Measures how accurate every loss, every gradient and every activation is.
#[derive(Parser)]
struct Arguments {
    /// Pairs of f32 per function and region; a tenth as many rows
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,

    /// Pairs of f64 per function and region, a tenth as many rows; if it is not given, a hundredth of those of f32, but at least 50000
    #[arg(long)]
    count_f64: Option<usize>,

    /// Decides the inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Only functions whose names contain this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// No allowance for a factor that multiplies something subnormal
    #[arg(long)]
    strict: bool,

    /// Besides, binary cross-entropy of every f32 in [0, 1] for the targets 0 and 1
    #[arg(long)]
    exhaustive: bool,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let count_f64 = arguments
        .count_f64
        .unwrap_or((arguments.count / 100).max(50_000));
    let mut table = Table::new()?;
    table.measure_all::<f32>(&arguments, arguments.count)?;
    table.measure_all::<f64>(&arguments, count_f64)?;
    if arguments.exhaustive {
        table.measure_every_probability(&arguments)?;
    }
    table.progress.finish_and_clear();
    table.print();
    table.print_summary();
    println!(
        "\n{} inputs, --seed {}, {:.0} s",
        table
            .lines
            .iter()
            .map(|line| line.measured.inputs)
            .sum::<u64>(),
        arguments.seed,
        start.elapsed().as_secs_f64()
    );
    let failures = table.failures();
    if failures == 0 {
        Ok(())
    } else {
        Err(format!("{failures} budgets are exceeded").into())
    }
}

/// What was measured of one function in one region.
struct Line {
    name: &'static str,
    of: [&'static str; 2],
    number: &'static str,
    region: Region,
    budget: f64,
    measured: Measured,
}

struct Table {
    lines: Vec<Line>,
    progress: ProgressBar,
}

impl Table {
    fn new() -> Result<Self, Failure> {
        // Written to stderr, and only where that is a terminal.
        let style = ProgressStyle::with_template("{bar:40} {percent} %, {msg}")?;
        Ok(Self {
            lines: Vec::new(),
            progress: ProgressBar::new(0).with_style(style),
        })
    }

    fn measure_all<F: Number>(
        &mut self,
        arguments: &Arguments,
        count: usize,
    ) -> Result<(), Failure> {
        for (position, case) in cases::<F>().iter().enumerate() {
            if !arguments.wants(case.name) {
                continue;
            }
            let inputs = if case.is_itemwise { count / 10 } else { count };
            let source = Source {
                seed: arguments.seed,
                strict: arguments.strict,
                case: position,
            };
            for &region in case.regions {
                self.announce(case, region, inputs as u64);
                let measured = measure(case, region, inputs, source, &self.progress)?;
                self.push(case, region, measured);
            }
        }
        Ok(())
    }

    fn measure_every_probability(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        for case in cases::<f32>() {
            if case.name == "binary_crossentropy" && arguments.wants(case.name) {
                self.announce(&case, Region::Every, 2 * sample::probabilities());
                let measured = measure_every_probability(&case, &self.progress)?;
                self.push(&case, Region::Every, measured);
            }
        }
        Ok(())
    }

    fn announce<F: Number>(&self, case: &Case<F>, region: Region, inputs: u64) {
        self.progress.reset();
        self.progress.set_length(inputs);
        let message = format!("{}, {}, {}", case.name, F::NAME, region.name());
        self.progress.set_message(message);
    }

    fn push<F: Number>(&mut self, case: &Case<F>, region: Region, measured: Measured) {
        self.lines.push(Line {
            name: case.name,
            of: case.of,
            number: F::NAME,
            region,
            budget: case.budget(),
            measured,
        });
    }

    fn print(&self) {
        let header = [
            "function",
            "type",
            "region",
            "of",
            "worst ULP",
            "at",
            "budget",
            "inputs",
        ];
        println!("| {} |", header.join(" | "));
        println!("|{}", " --- |".repeat(header.len()));
        let mut findings = String::new();
        for line in &self.lines {
            for (of, worst) in line.of.iter().zip(&line.measured.worst) {
                let (name, number, region) = (line.name, line.number, line.region.name());
                let (budget, inputs) = (line.budget, line.measured.inputs);
                let mark = match (worst.cancels, worst.underflows) {
                    (false, false) => "",
                    (true, false) => "*",
                    (false, true) => "†",
                    (true, true) => "*†",
                };
                let (error, at) = (
                    worst.error,
                    if worst.at.is_empty() {
                        "–"
                    } else {
                        &worst.at
                    },
                );
                let error_text = rounded(error);
                println!(
                    "| {name} | {number} | {region} | {of} | {error_text}{mark} | {at} | {budget}{mark} | {inputs} |"
                );
                if error > budget {
                    let (got, exact) = (worst.got, worst.exact);
                    findings += &format!(
                        "{name}, {number}, {region}, {of}: {got:e} instead of {exact:e}, {error_text} ULP, at {at}\n"
                    );
                }
            }
        }
        println!("\n\\* in units of one ULP plus u·Σ|operands| of the subtraction in the formula");
        println!(
            "† likewise, plus as many of the smallest numbers as the factor that multiplies a subnormal one"
        );
        if !findings.is_empty() {
            println!("\nAbove the budget:\n{findings}");
        }
    }

    /// The worst of all regions, one function a line.
    fn print_summary(&self) {
        println!(
            "\n| function | loss or value, f32 | f64 | gradient, f32 | f64 | budget | the worst |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | --- |");
        let mut names: Vec<_> = self.lines.iter().map(|line| line.name).collect();
        names.dedup();
        names.sort_by_key(|name| self.lines.iter().position(|line| line.name == *name));
        names.dedup();
        for name in names {
            let of_function = || self.lines.iter().filter(move |line| line.name == name);
            let worst = |number: &str, what: usize| {
                let errors = of_function()
                    .filter(|line| line.number == number)
                    .map(|line| line.measured.worst[what].error);
                errors.reduce(f64::max).map_or("–".to_owned(), rounded)
            };
            let budget = of_function().map(|line| line.budget).fold(0.0, f64::max);
            let all = of_function().flat_map(|line| {
                let of = line.of.iter().zip(&line.measured.worst);
                of.map(|(of, worst)| (worst, format!("{of}, {}: {}", line.number, worst.at)))
            });
            let at = all
                .max_by(|(a, _), (b, _)| a.error.total_cmp(&b.error))
                .map_or_else(String::new, |(_, at)| at);
            println!(
                "| `{name}` | {} | {} | {} | {} | {budget} | {at} |",
                worst("f32", 0),
                worst("f64", 0),
                worst("f32", 1),
                worst("f64", 1),
            );
        }
    }

    fn failures(&self) -> usize {
        let worst = self.lines.iter().flat_map(|line| {
            let budget = line.budget;
            line.measured.worst.iter().map(move |worst| (worst, budget))
        });
        worst
            .filter(|(worst, budget)| worst.error > *budget)
            .count()
    }
}

fn rounded(error: f64) -> String {
    if error < 1e6 {
        format!("{error:.2}")
    } else {
        format!("{error:.1e}")
    }
}
