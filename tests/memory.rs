//! What is allocated: nothing that grows with the input where the caller brings the buffers, else exactly the result.
//!
//! The counters see every thread of the process, so that there is a single test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::alloc::System;
use std::fmt::Debug;

use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, IxDyn, Slice, arr0};
use ndarray_loss::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::*;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The result of some work, and how many bytes it asked for.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(COUNTING);
    let result = work();
    (result, region.change().bytes_allocated)
}

/// What a call may ask for besides its results.
fn allowance() -> usize {
    // One for the calling thread, and those of the pool.
    (64 << 10) * (1 + rayon::current_num_threads())
}

#[track_caller]
fn allocates_nothing<T>(case: &str, work: impl FnOnce() -> Result<T, LossError>) {
    allocates_exactly(case, 0, work);
}

/// The bytes of the results and nothing else that grows.
#[track_caller]
fn allocates_exactly<T>(case: &str, results: usize, work: impl FnOnce() -> Result<T, LossError>) {
    let (result, bytes) = counted(work);
    result.unwrap_or_else(|error| panic!("{case}: {error}"));
    let most = results + allowance();
    assert!(
        (results..=most).contains(&bytes),
        "{case}: {bytes} bytes allocated, expected {results} to {most}"
    );
}

/// How the arrays of a call lie in memory.
#[derive(Debug, Clone, Copy)]
enum Layouts {
    Contiguous,
    Strided,
    Transposed,
}

/// Predictions, gradient and dense targets of one shape, cut out of larger arrays where the layout asks for it.
struct Arrays<T> {
    layout: Layouts,
    data: ArrayD<T>,
}

impl<T: Clone> Arrays<T> {
    fn new(layout: Layouts, shape: &[usize], fill: impl Fn(&[usize]) -> ArrayD<T>) -> Self {
        let mut whole = shape.to_vec();
        match layout {
            Layouts::Contiguous => {}
            Layouts::Strided => *whole.last_mut().unwrap() *= 3,
            Layouts::Transposed => whole.reverse(),
        }
        Self {
            layout,
            data: fill(&whole),
        }
    }

    fn view(&self) -> ArrayViewD<'_, T> {
        let last = ndarray::Axis(self.data.ndim() - 1);
        match self.layout {
            Layouts::Contiguous => self.data.view(),
            Layouts::Strided => self.data.slice_axis(last, Slice::new(0, None, 3)),
            Layouts::Transposed => self.data.t(),
        }
    }

    fn view_mut(&mut self) -> ArrayViewMutD<'_, T> {
        let last = ndarray::Axis(self.data.ndim() - 1);
        match self.layout {
            Layouts::Contiguous => self.data.view_mut(),
            Layouts::Strided => self.data.slice_axis_mut(last, Slice::new(0, None, 3)),
            Layouts::Transposed => self.data.view_mut().reversed_axes(),
        }
    }
}

/// All methods that bring their own buffers.
macro_rules! check_into {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $losses:expr, $gradient:expr, $weights:expr) => {{
        let (case, loss, t): (String, _, _) = ($case, $loss, $t);
        let (losses, gradient) = (&mut $losses.view_mut(), &mut $gradient.view_mut());
        allocates_nothing(&format!("{case}: loss_into"), || {
            loss.loss_into($p.view(), &t, losses)
        });
        allocates_nothing(&format!("{case}: gradient_into"), || {
            loss.gradient_into($p.view(), &t, gradient)
        });
        allocates_nothing(&format!("{case}: loss_and_gradient_into"), || {
            loss.loss_and_gradient_into($p.view(), &t, losses, gradient)
        });
        let by = Aggregate::normalized_sum($weights);
        allocates_nothing(&format!("{case}: objective"), || {
            loss.objective($p.view(), &t, &by)
        });
        allocates_nothing(&format!("{case}: objective_and_gradient_into"), || {
            loss.objective_and_gradient_into($p.view(), &t, &by, gradient)
        });
        allocates_nothing(&format!("{case}: objective_and_gradient_in_place"), || {
            loss.objective_and_gradient_in_place(&mut $p.view_mut(), &t, &by)
        });
        let values = losses.view();
        allocates_nothing(&format!("{case}: aggregate"), || aggregate(values, &by));
    }};
}

struct CallersBuffers<'a> {
    layout: Layouts,
    shape: &'a [usize],
}

impl CallersBuffers<'_> {
    fn floats(&self) -> Arrays<f32> {
        Arrays::new(self.layout, self.shape, probabilities)
    }

    fn one_hot(&self) -> Arrays<f32> {
        let mut rows = Arrays::new(self.layout, self.shape, |shape| ArrayD::zeros(shape));
        let last = ndarray::Axis(self.shape.len() - 1);
        rows.view_mut().index_axis_mut(last, 0).fill(1.0);
        rows
    }

    fn labels(&self, shape: &[usize]) -> Arrays<i64> {
        Arrays::new(self.layout, shape, |shape| ArrayD::ones(shape))
    }

    fn items(&self) -> &[usize] {
        &self.shape[..self.shape.len() - 1]
    }
}

impl WithElementwise<f32> for CallersBuffers<'_> {
    fn run<L: ElementwiseLoss<f32> + Debug>(&mut self, name: &str, loss: L) {
        let (mut p, mut losses, mut gradient) = (self.floats(), self.floats(), self.floats());
        let (dense, labels, weights) = (
            self.one_hot(),
            self.labels(self.shape),
            arr0(0.5).into_dyn(),
        );
        let case = |targets| format!("{name}, {:?} {:?}, {targets}", self.shape, self.layout);
        check_into!(
            case("floats"),
            loss,
            p,
            dense.view(),
            losses,
            gradient,
            &weights
        );
        p = self.floats();
        check_into!(
            case("labels"),
            loss,
            p,
            labels.view(),
            losses,
            gradient,
            weights.view()
        );
    }
}

impl WithItemwise<f32> for CallersBuffers<'_> {
    fn run<L: ItemwiseLoss<f32> + Debug>(&mut self, name: &str, loss: L) {
        let (mut p, mut gradient) = (self.floats(), self.floats());
        let mut losses = Arrays::new(Layouts::Contiguous, self.items(), probabilities::<f32>);
        let (dense, labels) = (self.one_hot(), self.labels(self.items()));
        let weights = Arrays::new(self.layout, self.items(), |shape| {
            ArrayD::<f32>::ones(shape)
        });
        let case = |targets| format!("{name}, {:?} {:?}, {targets}", self.shape, self.layout);
        check_into!(
            case("rows"),
            loss,
            p,
            dense.view(),
            losses,
            gradient,
            weights.view()
        );
        p = self.floats();
        check_into!(
            case("labels"),
            loss,
            p,
            labels.view(),
            losses,
            gradient,
            weights.view()
        );
    }
}

fn callers_buffers() {
    use Layouts::{Contiguous, Strided, Transposed};
    for (layout, shape) in [
        (Contiguous, vec![1000]),
        (Contiguous, vec![1_000_000]),
        (Strided, vec![200_000]),
        (Transposed, vec![400, 500]),
    ] {
        every_elementwise_loss(&mut CallersBuffers {
            layout,
            shape: &shape,
        });
    }
    for (layout, shape) in [
        (Contiguous, vec![100, 10]),
        (Contiguous, vec![100_000, 10]),
        (Strided, vec![20_000, 10]),
        (Transposed, vec![20_000, 10]),
        (Contiguous, vec![100, 2000]),
        (Strided, vec![100, 2000]),
        (Contiguous, vec![1, 200_000]),
        (Strided, vec![1, 200_000]),
        (Transposed, vec![2, 100_000]),
    ] {
        every_itemwise_loss(&mut CallersBuffers {
            layout,
            shape: &shape,
        });
    }
}

/// The methods that return arrays.
struct NewArrays<'a>(&'a [usize]);

impl WithElementwise<f32> for NewArrays<'_> {
    fn run<L: ElementwiseLoss<f32> + Debug>(&mut self, name: &str, loss: L) {
        let p = probabilities::<f32>(self.0);
        let t = ArrayD::<f32>::ones(self.0);
        let all = p.len() * size_of::<f32>();
        allocates_exactly(&format!("{name}: loss"), all, || loss.loss(&p, &t));
        allocates_exactly(&format!("{name}: gradient"), all, || loss.gradient(&p, &t));
        allocates_exactly(&format!("{name}: both"), 2 * all, || {
            loss.loss_and_gradient(&p, &t)
        });
        allocates_exactly(&format!("{name}: objective and gradient"), all, || {
            loss.objective_and_gradient(&p, &t, Aggregate::Mean)
        });
    }
}

impl WithItemwise<f32> for NewArrays<'_> {
    fn run<L: ItemwiseLoss<f32> + Debug>(&mut self, name: &str, loss: L) {
        let p = probabilities::<f32>(self.0);
        let labels = ArrayD::<i64>::ones(IxDyn(&self.0[..1]));
        let (all, items) = (p.len() * size_of::<f32>(), labels.len() * size_of::<f32>());
        allocates_exactly(&format!("{name}: loss"), items, || loss.loss(&p, &labels));
        allocates_exactly(&format!("{name}: gradient"), all, || {
            loss.gradient(&p, &labels)
        });
        allocates_exactly(&format!("{name}: both"), items + all, || {
            loss.loss_and_gradient(&p, &labels)
        });
        allocates_exactly(&format!("{name}: objective and gradient"), all, || {
            loss.objective_and_gradient(&p, &labels, Aggregate::Mean)
        });
    }
}

fn plain_functions() {
    let (p, t, labels) = (
        probabilities::<f32>(&[50_000, 4]),
        [true; 200_000],
        [2_u8; 50_000],
    );
    let (flat, bytes) = (p.flatten().into_owned(), 4 * 200_000);
    allocates_exactly("binary_crossentropy", bytes, || {
        binary_crossentropy(&flat, &t)
    });
    allocates_exactly("binary_crossentropy_gradient", bytes, || {
        binary_crossentropy_gradient(&flat, &t)
    });
    allocates_exactly("binary_accuracy", bytes, || binary_accuracy(&flat, &t, 0.5));
    allocates_exactly("categorical_accuracy", bytes / 4, || {
        categorical_accuracy(&p, &labels, 2)
    });
    allocates_exactly("aggregate_gradient", bytes, || {
        aggregate_gradient(&p, Aggregate::Mean)
    });
    allocates_nothing("aggregate", || aggregate(&p, Aggregate::Mean));
    allocates_nothing("align_targets", || align_targets(&flat, &t).map(|_| ()));
}

/// As many classes as a language model has words: one buffer, the caller's.
fn large_vocabularies() {
    for (items, classes) in [(256, 32_000), (64, 128_000), (1, 2_000_000)] {
        let logits = ArrayD::from_shape_fn(vec![items, classes], |index| (index[1] % 17) as f32);
        let labels = ArrayD::from_shape_fn(vec![items], |index| (index[0] * 499 % classes) as u32);
        let mut gradient = ArrayD::zeros(vec![items, classes]);
        let plain = CategoricalCrossentropyWithLogits::default();
        let smoothed = plain.label_smoothing(0.1).unwrap();
        for (name, loss) in [("plain", plain), ("smoothed", smoothed)] {
            let case = format!("{items} × {classes}, {name}");
            allocates_nothing(&format!("{case}, into"), || {
                loss.objective_and_gradient_into(&logits, &labels, Aggregate::Mean, &mut gradient)
            });
            let mut in_place = logits.clone();
            allocates_nothing(&format!("{case}, in place"), || {
                loss.objective_and_gradient_in_place(&mut in_place, &labels, Aggregate::Mean)
            });
            assert!(in_place == gradient, "{case}");
        }
        // Threads share sections of rows.
        let columns = logits.t().as_standard_layout().into_owned();
        let mut gradient = gradient.t().as_standard_layout().into_owned();
        allocates_nothing(&format!("{items} × {classes}, transposed"), || {
            let mut gradient = gradient.view_mut().reversed_axes();
            plain.objective_and_gradient_into(columns.t(), &labels, Aggregate::Mean, &mut gradient)
        });
    }
}

/// Live bytes after many steps are those before. The threads of the pool and of the test runner ask for memory of their
/// own when they happen to start, each once: what a step keeps is kept in every round.
fn steps() {
    let (p, labels) = (
        probabilities::<f32>(&[16, 10]),
        ArrayD::<i64>::ones(IxDyn(&[16])),
    );
    let mut gradient = p.clone();
    let loss = CategoricalCrossentropyWithLogits::default();
    let mut round = || {
        let region = Region::new(COUNTING);
        for _ in 0..250_000 {
            loss.objective_and_gradient_into(&p, &labels, Aggregate::Mean, &mut gradient)
                .unwrap();
        }
        for _ in 0..250 {
            let _ = (
                squared_error(&p, &p).unwrap(),
                loss.gradient(&p, &labels).unwrap(),
            );
            let _ = squared_error(&p, &labels).unwrap_err();
        }
        let change = region.change();
        (change.bytes_allocated, change.bytes_deallocated)
    };
    let rounds = [(); 4].map(|()| round());
    assert!(
        rounds.iter().any(|(allocated, freed)| allocated == freed),
        "bytes allocated and given back in each of four rounds of steps: {rounds:?}"
    );
}

#[test]
fn nothing_that_grows_with_the_input() {
    // Threads and their queues are made once.
    let many = ArrayD::<f32>::zeros(IxDyn(&[4_000_000]));
    aggregate(&many, Aggregate::Mean).unwrap();
    drop(many);
    steps();
    callers_buffers();
    every_elementwise_loss(&mut NewArrays(&[200_000]));
    every_itemwise_loss(&mut NewArrays(&[20_000, 10]));
    plain_functions();
    large_vocabularies();
}
