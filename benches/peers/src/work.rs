//! What every library's cell is, and how it is timed.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ndarray::{Array, Dimension};
use serde::Serialize;

/// Short steps are timed together, so that the clock costs nothing.
const BATCH: Duration = Duration::from_micros(100);
const LEAST_SAMPLES: usize = 5;

/// What a step computed.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Summary {
    /// The value, or the mean of the values.
    pub(crate) value: Option<f64>,
    /// Σ|g| of the gradient, if there is one.
    pub(crate) gradient: Option<f64>,
}

/// Something to do again and again.
pub(crate) trait Work: Send {
    fn step(&mut self);
    /// Does it once and says what came out.
    fn summary(&mut self) -> Result<Summary, Box<dyn Error>>;
}

/// Fills a buffer and returns a number.
pub(crate) struct Filling<D, S> {
    pub(crate) buffer: Array<f32, D>,
    pub(crate) step: S,
}

impl<D, E, S> Work for Filling<D, S>
where
    D: Dimension,
    E: Error + 'static,
    S: FnMut(&mut Array<f32, D>) -> Result<f32, E> + Send,
{
    fn step(&mut self) {
        let value = (self.step)(black_box(&mut self.buffer));
        let _ = black_box(value);
    }

    fn summary(&mut self) -> Result<Summary, Box<dyn Error>> {
        let value = (self.step)(&mut self.buffer)?;
        Ok(Summary {
            value: Some(value.into()),
            gradient: Some(self.buffer.iter().map(|&g| f64::from(g.abs())).sum()),
        })
    }
}

/// Makes a new array.
pub(crate) struct Making<S>(pub(crate) S);

impl<D, E, S> Work for Making<S>
where
    D: Dimension,
    E: Error + 'static,
    S: FnMut() -> Result<Array<f32, D>, E> + Send,
{
    fn step(&mut self) {
        let _ = black_box((self.0)());
    }

    fn summary(&mut self) -> Result<Summary, Box<dyn Error>> {
        let array = (self.0)()?;
        let sum: f64 = array.iter().map(|&x| f64::from(x)).sum();
        Ok(Summary {
            value: Some(sum / array.len() as f64),
            gradient: None,
        })
    }
}

/// Nothing but its time matters, or a number.
pub(crate) struct Running<S>(pub(crate) S);

impl<E, S> Work for Running<S>
where
    E: Error + 'static,
    S: FnMut() -> Result<f32, E> + Send,
{
    fn step(&mut self) {
        let _ = black_box((self.0)());
    }

    fn summary(&mut self) -> Result<Summary, Box<dyn Error>> {
        Ok(Summary {
            value: Some((self.0)()?.into()),
            gradient: None,
        })
    }
}

/// Anything whose result `read` makes numbers of.
pub(crate) struct Stepping<S, R> {
    pub(crate) step: S,
    pub(crate) read: R,
}

impl<O, E, S, R> Work for Stepping<S, R>
where
    E: Error + 'static,
    S: FnMut() -> Result<O, E> + Send,
    R: FnMut(O) -> Result<Summary, Box<dyn Error>> + Send,
{
    fn step(&mut self) {
        let _ = black_box((self.step)());
    }

    fn summary(&mut self) -> Result<Summary, Box<dyn Error>> {
        (self.read)((self.step)()?)
    }
}

/// The median time of a step in nanoseconds. `worker.py` does the same.
pub(crate) fn measure(work: &mut dyn Work, duration: Duration) -> f64 {
    let mut fastest = Duration::MAX;
    let warm_up = Instant::now();
    while fastest == Duration::MAX || warm_up.elapsed() < duration / 5 {
        let start = Instant::now();
        work.step();
        fastest = fastest.min(start.elapsed());
    }
    let batch = (BATCH.as_nanos() / fastest.as_nanos().max(1)).max(1);
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < LEAST_SAMPLES || start.elapsed() < duration {
        let start = Instant::now();
        for _ in 0..batch {
            work.step();
        }
        samples.push(start.elapsed().as_nanos() as f64 / batch as f64);
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
