//! Times one library, a cell at a time, as `run.py` asks for it.
//!
//! `peers LIBRARY` reads requests from standard input, one JSON object a line, and answers each with a line.

mod cell;
mod data;
mod machine;
mod naive;
mod ours;
mod stats;
#[cfg(feature = "burn")]
mod with_burn;
#[cfg(feature = "candle")]
mod with_candle;
mod work;

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::work::{Summary, Work, measure};

#[derive(Deserialize)]
struct Request {
    cell: Cell,
    /// How long to measure.
    seconds: f64,
    /// Runs inside a pool of that many threads; from outside the global pool if absent.
    threads: Option<usize>,
}

#[derive(Serialize)]
struct Answer {
    /// Median time of a step.
    nanoseconds: f64,
    /// What the step computed, for the driver to compare.
    #[serde(flatten)]
    summary: Summary,
}

/// A cell's work, or none if the library has no such function.
type Prepare = fn(&Cell) -> Result<Option<Box<dyn Work>>, Box<dyn Error>>;

/// The libraries by name. Another one is a module with such a function and a line here.
const LIBRARIES: &[(&str, Prepare)] = &[
    ("ndarray-loss", ours::prepare),
    ("machine", machine::prepare),
    ("ndarray", naive::prepare),
    ("ndarray-stats", stats::prepare),
    #[cfg(feature = "burn")]
    ("burn-ndarray", with_burn::ndarray),
    #[cfg(feature = "burn")]
    ("burn-flex", with_burn::flex),
    #[cfg(feature = "candle")]
    ("candle", with_candle::prepare),
];

/// The last cell, kept for further rounds.
#[derive(Default)]
struct Prepared {
    cell: Option<Cell>,
    work: Option<Box<dyn Work>>,
    summary: Summary,
}

impl Prepared {
    fn answer(
        &mut self,
        prepare: Prepare,
        request: Request,
    ) -> Result<Option<Answer>, Box<dyn Error>> {
        if self.cell.as_ref() != Some(&request.cell) {
            // Frees the old arrays before the new ones are made.
            *self = Self::default();
            self.work = prepare(&request.cell)?;
            if let Some(work) = &mut self.work {
                self.summary = work.summary()?;
            }
            self.cell = Some(request.cell);
        }
        let Some(work) = &mut self.work else {
            return Ok(None);
        };
        let duration = Duration::from_secs_f64(request.seconds);
        let nanoseconds = match request.threads {
            None => measure(work.as_mut(), duration),
            Some(threads) => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()?
                .install(|| measure(work.as_mut(), duration)),
        };
        Ok(Some(Answer {
            nanoseconds,
            summary: self.summary,
        }))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some((_, prepare)) = LIBRARIES.iter().find(|(library, _)| *library == name) else {
        let known: Vec<_> = LIBRARIES.iter().map(|(library, _)| *library).collect();
        return Err(format!("unknown library {name:?}; known are {}", known.join(", ")).into());
    };
    let mut prepared = Prepared::default();
    let mut stdout = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut stdout, &prepared.answer(*prepare, request)?)?;
        writeln!(stdout)?;
        stdout.flush()?;
    }
    Ok(())
}
