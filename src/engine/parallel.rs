//! Work that is divided along a fixed tree, on one thread or on several.

#[cfg(feature = "rayon")]
mod outside;

use super::reduce::Pair;

/// How many elements, or items, a leaf of the tree has: sums depend on it, so it is the same everywhere.
pub(crate) const CHUNK: usize = 4096;

/// Below this many nanoseconds of work on one core, a second thread costs more than it brings.
///
/// In a loop of calls the pool's threads are still awake: 20 µs of arithmetic then take 11 µs on two cores. Where they have
/// fallen asleep, waking one takes 15 to 30 µs, and such a call lasts 35 µs.
const WORTH_A_THREAD: f64 = 12_000.0;

/// A part of the work that takes so many nanoseconds is long beside what it costs to hand it over.
#[cfg(feature = "rayon")]
const LONG: f64 = 50_000.0;

/// Up to so many nanoseconds, it matters more that no thread waits for another one to wake up than that none is
/// interrupted: 0.3 ms of work by one thread take 0.91 of the time that way, and 2 ms never more.
#[cfg(feature = "rayon")]
const BRIEF: f64 = 2_000_000.0;

/// Something to do that divides itself in a way that depends on nothing but its size.
pub(crate) trait Divisible: Sized + Send {
    /// The two halves, or the work itself if it is a leaf.
    fn divide(self) -> Result<(Self, Self), Self>;
    /// How many elements it has.
    fn size(&self) -> usize;
    /// Does a leaf.
    fn run(self) -> Pair;
}

/// Does all of it. `cost` is a rough number of nanoseconds an element takes on one core; it decides only where the
/// work is done.
pub(crate) fn run<W: Divisible>(work: W, cost: f32) -> Pair {
    let size = work.size();
    let grain = grain(size, cost);
    #[cfg(feature = "rayon")]
    if size > grain && is_brief_from_outside(size, cost) {
        return outside::share(work, threads());
    }
    divide(work, grain)
}

fn divide<W: Divisible>(work: W, grain: usize) -> Pair {
    let size = work.size();
    match work.divide() {
        Err(leaf) => leaf.run(),
        Ok((left, right)) => {
            let (left, right) = if size > grain {
                join(|| divide(left, grain), || divide(right, grain))
            } else {
                (divide(left, grain), divide(right, grain))
            };
            left.join(right)
        }
    }
}

/// The number of elements from which on work is shared.
#[cfg(feature = "rayon")]
pub(crate) fn grain(size: usize, cost: f32) -> usize {
    if !is_worth_threads(size as f64 * f64::from(cost)) {
        return usize::MAX;
    }
    let elements_in = |time: f64| (time / f64::from(cost).max(1e-3)) as usize;
    let threads = threads();
    let share = if is_brief_from_outside(size, cost) {
        // One for each, though halves are not quite equal.
        (size + size / 4) / threads
    } else {
        // A few for each thread, so that one that was interrupted does not hold up the rest; more where each is long,
        // since one thread has one more to do than another.
        let (few, many) = (size / (8 * threads), size / (32 * threads));
        many.max(few.min(elements_in(LONG)))
    };
    share.max(elements_in(WORTH_A_THREAD / 2.0))
}

#[cfg(not(feature = "rayon"))]
pub(crate) fn grain(_size: usize, _cost: f32) -> usize {
    usize::MAX
}

/// Whether so many nanoseconds of work are to be shared. What is not worth it does not ask for the number of threads, for
/// which rayon would start them.
pub(crate) fn is_worth_threads(total: f64) -> bool {
    total >= 2.0 * WORTH_A_THREAD && threads() > 1
}

/// The number of threads that share work.
#[cfg(feature = "rayon")]
pub(crate) fn threads() -> usize {
    rayon::current_num_threads().max(1)
}

#[cfg(not(feature = "rayon"))]
pub(crate) fn threads() -> usize {
    1
}

/// Whether work is brief and that of a thread which is none of the pool's, so that it does a half of it.
#[cfg(feature = "rayon")]
fn is_brief_from_outside(size: usize, cost: f32) -> bool {
    shares_from_outside() && size as f64 * f64::from(cost) <= BRIEF
}

/// Whether a thread that is none of the pool's does a half of the work: with more than two threads, each would divide what
/// is left to it, and while it waits for a part, begin the work of other callers on top of its own stack.
#[cfg(feature = "rayon")]
fn shares_from_outside() -> bool {
    rayon::current_thread_index().is_none() && threads() == 2
}

#[cfg(feature = "rayon")]
pub(crate) fn join<A: Send, B: Send>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(left, right)
}

#[cfg(not(feature = "rayon"))]
pub(crate) fn join<A: Send, B: Send>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    (left(), right())
}

/// [`join`] of halves that are not divided any further.
pub(crate) fn join_undivided<A: Send, B: Send + Default>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "rayon")]
    if shares_from_outside() {
        return outside::join(left, right);
    }
    join(left, right)
}
