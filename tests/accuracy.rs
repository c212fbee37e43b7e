//! The budget of errors: a small sample of what `cargo run --release --example accuracy` measures.
#![allow(dead_code)] // the example uses the rest

#[path = "../examples/accuracy/cases.rs"]
mod cases;
#[path = "../examples/accuracy/judge.rs"]
mod judge;
#[path = "../examples/accuracy/measure.rs"]
mod measure;
#[path = "../examples/accuracy/real.rs"]
mod real;
#[path = "../examples/accuracy/reference.rs"]
mod reference;
#[path = "../examples/accuracy/sample.rs"]
mod sample;

use cases::{Case, Failure, cases};
use indicatif::ProgressBar;
use judge::Number;
use measure::{Source, measure};

/// Fails with every function, region and input whose error is above the budget.
fn assert_within_budget<F: Number>(
    inputs: usize,
    wanted: impl Fn(&Case<F>) -> bool,
) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let mut judged = 0;
    for (position, case) in cases::<F>().iter().enumerate() {
        if !wanted(case) {
            continue;
        }
        let source = Source {
            seed: 11,
            strict: false,
            case: position,
        };
        for &region in case.regions {
            let measured = measure(case, region, inputs, source, &ProgressBar::hidden())?;
            for (of, worst) in case.of.iter().zip(measured.worst) {
                judged += worst.judged;
                if worst.error > case.budget() {
                    findings.push(format!(
                        "{}, {}, {}, {of}: {:e} instead of {:e}, {} ULP of {}, at {}",
                        case.name,
                        F::NAME,
                        region.name(),
                        worst.got,
                        worst.exact,
                        worst.error,
                        case.budget(),
                        worst.at
                    ));
                }
            }
        }
    }
    assert!(judged > inputs as u64, "only {judged} numbers were judged");
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    Ok(())
}

#[test]
fn elementwise_f32() -> Result<(), Failure> {
    assert_within_budget::<f32>(100_000, |case| !case.is_itemwise)
}

#[test]
fn elementwise_f64() -> Result<(), Failure> {
    assert_within_budget::<f64>(4000, |case| !case.is_itemwise)
}

#[test]
fn itemwise_f32() -> Result<(), Failure> {
    assert_within_budget::<f32>(6000, |case| case.is_itemwise)
}

#[test]
fn itemwise_f64() -> Result<(), Failure> {
    assert_within_budget::<f64>(300, |case| case.is_itemwise)
}
