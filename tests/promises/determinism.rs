//! The same bits on any number of threads, with the feature `rayon` or without, and on every processor.

use crate::catalogue::{Entry, Form, Loss, Number, Targets, aggregates, catalogue, raw};
use ndarray::ArrayD;
use ndarray_loss::LossError;

/// Large enough to be shared among threads.
const ELEMENTWISE: &[&[usize]] = &[&[300_007], &[3000, 101]];
const ITEMWISE: &[&[usize]] = &[&[3001, 100], &[70_001, 10], &[301, 5000]];

/// FNV-1a of the bits of results, a number at a time.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add<'a, F: Number>(&mut self, values: impl IntoIterator<Item = &'a F>) {
        for value in values {
            self.0 = (self.0 ^ value.bits()).wrapping_mul(0x0100_0000_01b3);
            // The multiplication moves no bit down.
            self.0 ^= self.0 >> 32;
        }
    }
}

/// Predictions and targets of one entry.
struct Inputs<F> {
    loss: Loss<F>,
    p: ArrayD<F>,
    t: Targets<F>,
}

impl<F: Number> Inputs<F> {
    fn new(entry: &Entry<F>, form: Form, shape: &[usize]) -> Self {
        // A few thousand different numbers, again and again, in other places of a block each time.
        let count = shape.iter().product::<usize>().min(8191);
        Self {
            loss: entry.fixed.clone(),
            p: entry.predictions(shape, &raw(21, count), entry.edges(shape)),
            t: entry.targets(&entry.fixed, form, shape, &raw(22, count)),
        }
    }

    /// Hashes of losses, gradient, and objectives with their gradients.
    fn hashes(&self) -> Result<Vec<u64>, LossError> {
        let (loss, p) = (&self.loss, self.p.view());
        let (losses, gradient) = loss.loss_and_gradient(p.view(), self.t.view())?;
        let mut hashes = Vec::new();
        let mut add = |values: &ArrayD<F>| {
            let mut hash = Hash::new();
            hash.add(values);
            hashes.push(hash.0);
        };
        add(&losses);
        add(&gradient);
        let by = aggregates(losses.shape(), &raw(23, 4093));
        for by in [by.first(), by.get(2)].into_iter().flatten() {
            let (value, gradient) =
                loss.objective_and_gradient(p.view(), self.t.view(), &by.aggregate())?;
            let objective = loss.objective(p.view(), self.t.view(), &by.aggregate())?;
            add(&gradient);
            add(&ArrayD::from_elem(vec![1], value));
            add(&ArrayD::from_elem(vec![1], objective));
        }
        Ok(hashes)
    }
}

fn shapes<F>(entry: &Entry<F>) -> &'static [&'static [usize]] {
    if entry.aim.is_itemwise() {
        ITEMWISE
    } else {
        ELEMENTWISE
    }
}

/// One form of targets that is read in place, and one that is not.
fn forms<F>(entry: &Entry<F>) -> [Form; 2] {
    if entry.aim.is_itemwise() {
        [Form::Floats, Form::Labels]
    } else {
        [Form::Soft, Form::Signed]
    }
}

#[cfg(feature = "rayon")]
mod threads {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool,
            Err(error) => unreachable!("no pool of {threads} threads: {error}"),
        }
    }

    /// The same in pools of several sizes, and from within tasks of rayon.
    fn any_number_of_threads<F: Number>() {
        let pools = [1, 2, 3, 8].map(pool);
        for entry in catalogue::<F>() {
            for shape in shapes(&entry) {
                for form in forms(&entry) {
                    let inputs = Inputs::new(&entry, form, shape);
                    let name = format!("{}, {form:?}, {shape:?}", entry.name);
                    let want = pools[0].install(|| inputs.hashes());
                    assert!(want.is_ok(), "{name}: {want:?}");
                    for pool in &pools[1..] {
                        let got = pool.install(|| inputs.hashes());
                        let threads = pool.current_num_threads();
                        assert_eq!(got, want, "{name}, {threads} threads");
                    }
                    let (left, right) =
                        pools[2].install(|| rayon::join(|| inputs.hashes(), || inputs.hashes()));
                    assert_eq!(left, want, "{name}, within a task");
                    assert_eq!(right, want, "{name}, within another task");
                }
            }
        }
    }

    #[test]
    fn f32_on_any_number_of_threads() {
        any_number_of_threads::<f32>();
    }

    #[test]
    fn f64_on_any_number_of_threads() {
        any_number_of_threads::<f64>();
    }
}

/// What every loss gave when it was written down here, in f32 and in f64. A new number is a value-breaking change.
const PINNED: &[(&str, u64, u64)] = &[];

/// Results of an entry on a few thousand numbers.
fn fingerprint<F: Number>(name: &str) -> Result<u64, LossError> {
    let entries = catalogue::<F>();
    let mut all = Hash::new();
    for entry in entries.iter().filter(|entry| entry.name == name) {
        let shapes: &[&[usize]] = if entry.aim.is_itemwise() {
            &[&[4999, 3], &[70, 64], &[33, 65], &[5, 1000]]
        } else {
            &[&[9001]]
        };
        for shape in shapes {
            for form in forms(entry) {
                for hash in Inputs::new(entry, form, shape).hashes()? {
                    all.0 = (all.0 ^ hash).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
    }
    Ok(all.0)
}

#[test]
fn results_are_the_pinned_ones() -> Result<(), LossError> {
    let mut now = Vec::new();
    for entry in catalogue::<f64>() {
        let name = entry.name;
        let hashes = (fingerprint::<f32>(&name)?, fingerprint::<f64>(&name)?);
        now.push((name, hashes.0, hashes.1));
    }
    let lines = now
        .iter()
        .map(|(name, single, double)| format!("    ({name:?}, {single:#018x}, {double:#018x}),\n"));
    let is_pinned = now.len() == PINNED.len()
        && now
            .iter()
            .zip(PINNED)
            .all(|(now, &pinned)| (&*now.0, now.1, now.2) == pinned);
    assert!(
        is_pinned,
        "the results are now\n{}",
        lines.collect::<String>()
    );
    Ok(())
}
