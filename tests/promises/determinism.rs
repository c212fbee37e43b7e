//! The same bits on any number of threads, with the feature `rayon` or without, and on every processor.
//!
//! Threads are compared with one another. Features and processors cannot be, in one program: each is compared with
//! the numbers that are written down in [`PINNED`].

use crate::catalogue::{
    By, Edges, Entry, Form, Loss, Number, Targets, aggregates, catalogue, expected, raw, same_bits,
};
use ndarray::{ArrayD, arr0};
use proptest::test_runner::TestCaseError;

/// Large enough to be shared among threads, of rows that are taken in groups and of rows that are taken one by one; no
/// multiple of a block or a chunk.
const ELEMENTWISE: &[&[usize]] = &[&[700_001]];
const ITEMWISE: &[&[usize]] = &[&[60_001, 10], &[83, 5000]];

/// What one call after another gave.
type Results<F> = Vec<(&'static str, ArrayD<F>)>;

/// Predictions and targets of one entry.
struct Inputs<F> {
    loss: Loss<F>,
    /// For losses and gradients, with edges.
    p: ArrayD<F>,
    /// For sums, which would be NaN with edges.
    finite: ArrayD<F>,
    t: Targets<F>,
    by: Vec<(&'static str, By<F>)>,
}

impl<F: Number> Inputs<F> {
    fn new(entry: &Entry<F>, form: Form, shape: &[usize]) -> Self {
        // A few thousand different numbers, again and again, in other places of a block each time.
        let count = shape.iter().product::<usize>().min(8191);
        let loss = entry.fixed.clone();
        let all = aggregates(loss.loss_shape(shape), &raw(23, 4093));
        let by = all.into_iter().filter_map(|by| match by {
            By::Mean => Some(("mean", by)),
            By::WeightedMean(_) => Some(("weighted mean", by)),
            _ => None,
        });
        Self {
            p: entry.predictions(shape, &raw(21, count), entry.edges(shape)),
            finite: entry.predictions(shape, &raw(21, count), Edges::Never),
            t: entry.targets(&loss, form, shape, &raw(22, count)),
            by: by.collect(),
            loss,
        }
    }

    fn results(&self) -> Result<Results<F>, TestCaseError> {
        let (loss, p, finite) = (&self.loss, self.p.view(), self.finite.view());
        let both = loss.loss_and_gradient(p.view(), self.t.view());
        let (losses, gradient) = expected("loss_and_gradient", both)?;
        let alone = expected("loss", loss.loss(p.view(), self.t.view()))?;
        same_bits("loss alone", &alone, &losses)?;
        let alone = expected("gradient", loss.gradient(p.view(), self.t.view()))?;
        same_bits("gradient alone", &alone, &gradient)?;
        let mut results = vec![("loss", losses), ("gradient", gradient)];
        for (name, by) in &self.by {
            let by = by.aggregate();
            let value = loss.objective(finite.view(), self.t.view(), &by);
            let value = expected(name, value)?;
            if !value.is_finite() {
                return Err(TestCaseError::fail(format!("{name}: {value} says nothing")));
            }
            results.push((name, arr0(value).into_dyn()));
            let both = loss.objective_and_gradient(finite.view(), self.t.view(), &by);
            let (value, gradient) = expected(name, both)?;
            results.push((name, arr0(value).into_dyn()));
            results.push((name, gradient));
        }
        Ok(results)
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

fn large<F>(entry: &Entry<F>) -> &'static [&'static [usize]] {
    if entry.aim.is_itemwise() {
        ITEMWISE
    } else {
        ELEMENTWISE
    }
}

#[cfg(feature = "rayon")]
mod threads {
    use super::*;
    use proptest::test_runner::TestCaseResult;

    fn pool(threads: usize) -> rayon::ThreadPool {
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool,
            Err(error) => unreachable!("no pool of {threads} threads: {error}"),
        }
    }

    /// The same in pools of several sizes, and from within tasks of rayon.
    fn any_number_of_threads<F: Number>() {
        let [one, several @ ..] = [1, 2, 3, 8].map(pool);
        let check = |inputs: &Inputs<F>| -> TestCaseResult {
            let want = one.install(|| inputs.results())?;
            let same = |place: &str, got: Result<Results<F>, TestCaseError>| {
                for ((name, want), (_, got)) in want.iter().zip(&got?) {
                    same_bits(&format!("{place}: {name}"), got, want)?;
                }
                TestCaseResult::Ok(())
            };
            for pool in &several {
                let threads = format!("{} threads", pool.current_num_threads());
                same(&threads, pool.install(|| inputs.results()))?;
            }
            let (left, right) =
                several[1].install(|| rayon::join(|| inputs.results(), || inputs.results()));
            same("within a task", left)?;
            same("within another task", right)
        };
        for entry in catalogue::<F>() {
            for shape in large(&entry) {
                for form in forms(&entry) {
                    let checked = check(&Inputs::new(&entry, form, shape));
                    let name = &entry.name;
                    assert!(checked.is_ok(), "{name}, {form:?}, {shape:?}: {checked:?}");
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

/// What every loss gave when it was written down here, in `f32` and in `f64`.
///
/// Another number is a value-breaking change, or a result that depends on the processor or on the feature `rayon`. To
/// write down a change that is meant, put the table that the failing test prints in the place of this one, and say in
/// `CHANGELOG.md`, under "Value-breaking", what changes; then run the test without default features too.
#[rustfmt::skip] // as it is printed
const PINNED: &[(&str, u64, u64)] = &[
    ("squared_error", 0xa5449485d158073c, 0xf5daa6a001c36d43),
    ("huber_loss", 0x8fb69e425a10d288, 0x871e01ebc9d6786c),
    ("binary_crossentropy", 0x52a6333439686c51, 0x62fe248c86ac048a),
    ("binary_hinge_loss, log-odds 0/1", 0x9643af408b91564f, 0x65c15778644cc5a3),
    ("binary_hinge_loss, log-odds ±1", 0xf78e2386f7d23b14, 0x65c15778644cc5a3),
    ("binary_hinge_loss, probabilities 0/1", 0xf9cfc057c1e68c4c, 0xdc43a3777145e866),
    ("binary_hinge_loss, probabilities ±1", 0xe1d9f94588ce3877, 0xdc43a3777145e866),
    ("binary_crossentropy_with_logits", 0x79af9d128231ba2f, 0xaf39e8bb7634c7d0),
    ("binary_crossentropy_with_logits, options", 0x5b472ae165f6fe02, 0x9816adacea7787ee),
    ("categorical_crossentropy", 0xd7196bdbdadf49e3, 0xe56ffb085d0e0d0f),
    ("categorical_crossentropy, ignoring", 0x66b5aa552c3a42a2, 0x381166c97c9c5ef0),
    ("multiclass_hinge_loss", 0x7c6081a6d38f54e3, 0x505cc2ee3625130a),
    ("multiclass_hinge_loss, ignoring", 0x030c5a5826efbdc4, 0xe3ae44e39ecd189f),
    ("categorical_crossentropy_with_logits", 0x92646d6f5bc882e3, 0x51c0f49b202893ec),
    ("categorical_crossentropy_with_logits, ignoring", 0x6cb22623febb6e7f, 0xf41036a96fdf82e5),
    ("categorical_crossentropy_with_logits, options", 0x01bb22283c1644db, 0xf815a2fc40ef5be1),
    ("categorical_crossentropy_with_logits, options, ignoring", 0x4952683791a3f873, 0x57467a835f45ef90),
];

/// FNV-1a of the bits of numbers, a number at a time.
struct Hash(u64);

impl Hash {
    fn add(&mut self, bits: u64) {
        self.0 = (self.0 ^ bits).wrapping_mul(0x0100_0000_01b3);
        // The multiplication moves no bit down.
        self.0 ^= self.0 >> 32;
    }
}

/// The results of an entry, on small arrays and on those that are shared among threads.
fn fingerprint<F: Number>(entry: &Entry<F>) -> u64 {
    let small: &[&[usize]] = if entry.aim.is_itemwise() {
        &[&[4999, 3], &[70, 128], &[64, 150], &[33, 129], &[5, 1000]]
    } else {
        &[&[9001], &[33, 65]]
    };
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    for shape in small.iter().chain(large(entry)) {
        for form in forms(entry) {
            let results = Inputs::new(entry, form, shape).results();
            let name = &entry.name;
            assert!(results.is_ok(), "{name}, {form:?}, {shape:?}: {results:?}");
            for (_, result) in results.iter().flatten() {
                result.iter().for_each(|x| hash.add(x.bits()));
            }
        }
    }
    hash.0
}

#[test]
fn results_are_the_pinned_ones() {
    let entries = catalogue::<f32>().into_iter().zip(catalogue::<f64>());
    let now: Vec<_> = entries
        .map(|(single, double)| {
            let hashes = (fingerprint(&single), fingerprint(&double));
            (single.name, hashes.0, hashes.1)
        })
        .collect();
    // A loss that is not in the table yet has not been released.
    let changed = PINNED
        .iter()
        .filter(|(name, single, double)| !now.contains(&((*name).to_owned(), *single, *double)));
    let changed: Vec<_> = changed.map(|(name, ..)| name).collect();
    let table = now
        .iter()
        .map(|(name, single, double)| format!("    ({name:?}, {single:#018x}, {double:#018x}),\n"));
    assert!(
        changed.is_empty(),
        "not as pinned: {changed:?}\nall results are now\n{}",
        table.collect::<String>()
    );
}
