//! Work of a thread that is none of the pool's, as that of a program is which makes no pool of its own: it does a share of
//! it. To hand over all and be woken when it is done takes 10 to 40 µs, and more brief work is done in that time.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Divisible, divide};
use crate::engine::reduce::Pair;

/// A smaller part of all work than this is not worth a further division.
const LEAST: usize = 16;

/// Leaves the right half to the pool and does the left one.
pub(super) fn join<A, B: Send + Default>(
    left: impl FnOnce() -> A,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    let mut of_right = B::default();
    let is_done = AtomicBool::new(false);
    let of_left = rayon::in_place_scope(|scope| {
        let (to, is_done_there) = (&mut of_right, &is_done);
        scope.spawn(move |_| {
            *to = right();
            is_done_there.store(true, Ordering::Release);
        });
        let of_left = left();
        wait_briefly(&is_done);
        of_left
    });
    (of_left, of_right)
}

/// Waits until it is done: for a few microseconds on this core, then while it is left to others. What takes longer is
/// waited for by the scope, asleep.
fn wait_briefly(is_done: &AtomicBool) {
    const BUSY: Duration = Duration::from_micros(5);
    const TURNS: usize = 8;
    const YIELDS: usize = 200;
    let start = Instant::now();
    while start.elapsed() < BUSY {
        for _ in 0..TURNS {
            if is_done.load(Ordering::Acquire) {
                return;
            }
            hint::spin_loop();
        }
    }
    for _ in 0..YIELDS {
        if is_done.load(Ordering::Acquire) {
            return;
        }
        thread::yield_now();
    }
}

/// Does one share of all on this thread, the leaves that come first, and leaves the rest to one of the pool.
pub(super) fn share<W: Divisible>(work: W, shares: usize) -> Pair {
    let Shares {
        path,
        ours,
        theirs,
        last,
    } = Shares::of(work, shares);
    let (mut ours, mut theirs) = if theirs.is_empty() {
        (one_by_one(ours), Vec::new())
    } else {
        join(|| one_by_one(ours), || one_by_one(theirs))
    };
    let mut next = |side: Side| match side {
        Side::Ours => ours.pop(),
        Side::Theirs => theirs.pop(),
    };
    // As `divide` would have added them up.
    let mut sum = next(last).unwrap_or(Pair::ZERO);
    for side in path.into_iter().rev() {
        let other = next(side).unwrap_or(Pair::ZERO);
        sum = match side {
            Side::Ours => other.join(sum),
            Side::Theirs => sum.join(other),
        };
    }
    sum
}

fn one_by_one<W: Divisible>(works: Vec<W>) -> Vec<Pair> {
    let sums = works.into_iter().map(|work| divide(work, usize::MAX));
    sums.collect()
}

#[derive(Clone, Copy)]
enum Side {
    Ours,
    Theirs,
}

/// The work on either side of a path down the tree.
struct Shares<W> {
    /// From the root down, whose the half is that the path leaves aside: ours is the left one.
    path: Vec<Side>,
    ours: Vec<W>,
    theirs: Vec<W>,
    /// Whose the work is at its end.
    last: Side,
}

impl<W: Divisible> Shares<W> {
    fn of(mut work: W, shares: usize) -> Self {
        let size = work.size();
        let least = size / LEAST;
        let mut quota = size / shares;
        let (mut path, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let last = loop {
            if work.size() <= quota + least {
                ours.push(work);
                break Side::Ours;
            }
            match work.divide() {
                Err(leaf) if quota < leaf.size() / 2 => {
                    theirs.push(leaf);
                    break Side::Theirs;
                }
                Err(leaf) => {
                    ours.push(leaf);
                    break Side::Ours;
                }
                Ok((left, right)) if left.size() + least > quota => {
                    theirs.push(right);
                    path.push(Side::Theirs);
                    work = left;
                }
                Ok((left, right)) => {
                    quota -= left.size();
                    ours.push(left);
                    path.push(Side::Ours);
                    work = right;
                }
            }
        };
        Self {
            path,
            ours,
            theirs,
            last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many elements from one on.
    #[derive(Clone, Copy)]
    struct Elements {
        first: usize,
        size: usize,
        leaf: usize,
    }

    impl Divisible for Elements {
        fn divide(self) -> Result<(Self, Self), Self> {
            if self.size <= self.leaf {
                return Err(self);
            }
            let leaves = self.size.div_ceil(self.leaf);
            let half = leaves.next_power_of_two() / 2 * self.leaf;
            let left = Self { size: half, ..self };
            let right = Self {
                first: self.first + half,
                size: self.size - half,
                ..self
            };
            Ok((left, right))
        }

        fn size(&self) -> usize {
            self.size
        }

        fn run(self) -> Pair {
            let elements = self.first..self.first + self.size;
            let numbers = elements.map(|i| 0.1 + (i * i) as f64 / 3.0);
            numbers.fold(Pair::ZERO, |sum, x| sum.join(Pair::from(x)))
        }
    }

    #[test]
    fn shares_add_up_as_the_whole_does() {
        for size in [1, 5, 64, 65, 100, 127, 1000, 1024, 1500] {
            for leaf in [1, 4, 64] {
                let work = Elements {
                    first: 0,
                    size,
                    leaf,
                };
                let whole = divide(work, usize::MAX);
                for shares in [2, 3, 8] {
                    let sum = share(work, shares);
                    let bits = [(sum.hi, whole.hi), (sum.lo, whole.lo)];
                    for (found, expected) in bits {
                        assert_eq!(found.to_bits(), expected.to_bits(), "{size} {leaf}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_share_is_about_as_large_as_the_others() {
        for size in [64_usize, 100, 127, 1000, 1024, 1500, 100_000] {
            for shares in [2, 3, 8] {
                let work = Elements {
                    first: 0,
                    size,
                    leaf: 1,
                };
                let ours: usize = Shares::of(work, shares)
                    .ours
                    .iter()
                    .map(Elements::size)
                    .sum();
                let even = size / shares;
                assert!(ours.abs_diff(even) <= size / LEAST + 1, "{ours} of {size}");
            }
        }
    }

    #[test]
    fn halves_in_their_order() {
        assert_eq!(join(|| 1, || 2), (1, 2));
        let slow = || thread::sleep(Duration::from_millis(20));
        assert_eq!(join(|| 1, slow), (1, ()));
    }
}
