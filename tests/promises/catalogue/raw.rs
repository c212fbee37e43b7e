//! Predictions, targets and weights from raw bits.

use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

use super::{Aim, By, Domain, Entry, Form, Loss, Number, Targets};

/// Random bits, which stand for a number of any kind.
pub(crate) type Raw = u64;

/// Bits that depend on nothing but the seed and the position (splitmix64).
pub(crate) fn raw(seed: u64, n: usize) -> Vec<Raw> {
    (0..n as u64)
        .map(|i| mix(seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(i)))
        .collect()
}

pub(crate) fn raw_strategy(n: usize) -> impl Strategy<Value = Vec<Raw>> {
    proptest::collection::vec(any::<Raw>(), n)
}

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in (0, 1).
fn unit(raw: Raw) -> f64 {
    ((raw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// How often predictions lie at the edges of their domain, and what is outside of it is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    Never,
    OneIn(u64),
}

impl Domain {
    /// A prediction.
    fn prediction<F: Number>(self, raw: Raw, edges: Edges) -> F {
        let choice = mix(raw ^ 0xed6e);
        let edge = matches!(edges, Edges::OneIn(n) if choice % n == 0);
        match (self, edge) {
            (Domain::Scores, false) => match choice >> 61 {
                // on a coarse grid, for ties and kinks; wide; or ordinary
                0 if edges != Edges::Never => F::of((raw % 17) as f64 * 0.25 - 2.0),
                1 => F::of((unit(raw) - 0.5) * 120.0),
                _ => F::of((unit(raw) - 0.5) * 8.0),
            },
            (Domain::Probabilities, false) => F::of(unit(raw)).min(F::one() - F::epsilon()),
            (Domain::Scores, true) => {
                let (max, tiny) = (F::max_value(), F::min_positive_value());
                let (zero, infinity) = (F::zero(), F::infinity());
                let edges = [zero, -zero, infinity, -infinity, max, -max, tiny, F::nan()];
                edges[(raw % 8) as usize]
            }
            (Domain::Probabilities, true) => {
                let (zero, one) = (F::zero(), F::one());
                let tiny = F::min_positive_value();
                let outside = [-F::of(0.5), F::of(1.5), F::nan()];
                let edges = [zero, -zero, one, one - F::epsilon(), tiny];
                let all = edges.len() + outside.len();
                let chosen = (raw % all as u64) as usize;
                edges
                    .iter()
                    .chain(&outside)
                    .copied()
                    .nth(chosen)
                    .unwrap_or(zero)
            }
        }
    }
}

impl<F: Number> Entry<F> {
    /// Predictions of a shape; there are as many raw numbers as elements.
    pub(crate) fn predictions(&self, shape: &[usize], raw: &[Raw], edges: Edges) -> ArrayD<F> {
        from_raw(shape, raw, |raw| self.domain.prediction(raw, edges))
    }

    /// Targets of predictions of a shape. The same raw numbers mean the same in all forms but `Soft`. An item is
    /// ignored, if the loss ignores a label, in the forms that can tell.
    pub(crate) fn targets(
        &self,
        loss: &Loss<F>,
        form: Form,
        shape: &[usize],
        raw: &[Raw],
    ) -> Targets<F> {
        match (self.aim, shape.split_last()) {
            (Aim::Class | Aim::Distribution, Some((&classes, items))) => {
                class_targets(form, items, classes, loss.ignored(), raw)
            }
            _ => element_targets(self.aim, form, shape, raw),
        }
    }

    /// The edges that leave most rows of so many classes without one.
    pub(crate) fn edges(&self, shape: &[usize]) -> Edges {
        let row = match shape.last() {
            Some(&classes) if self.aim.is_itemwise() => classes.max(2),
            _ => 2,
        };
        Edges::OneIn(4 * row as u64)
    }

    /// Whether there can be predictions of this shape: not where there are fewer classes than the loss needs.
    pub(crate) fn fits(&self, shape: &[usize]) -> bool {
        match shape.last() {
            None => !self.aim.is_itemwise(),
            Some(&classes) => !self.aim.is_itemwise() || classes >= self.min_classes.max(1),
        }
    }
}

fn from_raw<A>(shape: &[usize], raw: &[Raw], convert: impl Fn(Raw) -> A) -> ArrayD<A> {
    let mut raw = raw.iter().cycle();
    ArrayD::from_shape_simple_fn(IxDyn(shape), || convert(raw.next().copied().unwrap_or(0)))
}

fn element_targets<F: Number>(aim: Aim, form: Form, shape: &[usize], raw: &[Raw]) -> Targets<F> {
    let low = match aim {
        Aim::PlusMinusOne => -1,
        _ => 0,
    };
    let label = |raw: Raw| if raw & 1 == 1 { 1 } else { low };
    let soft = |raw: Raw| match aim {
        Aim::Number => F::of((unit(mix(raw)) - 0.5) * 8.0),
        _ => {
            // the labels among them
            let share = (unit(mix(raw)) * 1.25 - 0.125).clamp(0.0, 1.0);
            F::of(low as f64 + share * (1 - low) as f64)
        }
    };
    match form {
        Form::Soft => Targets::Floats(from_raw(shape, raw, soft)),
        Form::Floats => Targets::Floats(from_raw(shape, raw, |raw| F::of(label(raw) as f64))),
        Form::Bools => Targets::Bools(from_raw(shape, raw, |raw| raw & 1 == 1)),
        Form::Signed | Form::Labels => Targets::Signed(from_raw(shape, raw, label)),
    }
}

/// The class that an item has; what is ignored has any.
fn class_of(raw: Raw, classes: usize) -> usize {
    (raw % classes.max(1) as u64) as usize
}

fn class_targets<F: Number>(
    form: Form,
    items: &[usize],
    classes: usize,
    ignored: Option<i64>,
    raw: &[Raw],
) -> Targets<F> {
    let mut shape = items.to_vec();
    shape.push(classes);
    let count: usize = items.iter().product();
    let of_items: Vec<Raw> = raw.iter().copied().cycle().take(count).collect();
    let is_left_out = |raw: Raw| mix(raw ^ 0x1647).is_multiple_of(4);
    let label = |raw: Raw| match ignored {
        Some(ignored) if is_left_out(raw) => ignored,
        _ => class_of(raw, classes) as i64,
    };
    // One element for each class of each item.
    let one_hot: Vec<bool> = of_items
        .iter()
        .flat_map(|&raw| (0..classes).map(move |class| class == class_of(raw, classes)))
        .collect();
    let one_hot_floats = one_hot
        .iter()
        .map(|&hot| if hot { F::one() } else { F::zero() });
    match form {
        Form::Soft => {
            let weights = of_items.iter().enumerate().flat_map(|(item, &raw)| {
                (0..classes as u64).map(move |class| {
                    let raw = mix(raw ^ class ^ (item as u64) << 32);
                    // a quarter exactly 0
                    let weight = (unit(raw) - 0.25).max(0.0);
                    F::of(weight * 2.0 / classes as f64)
                })
            });
            Targets::Floats(collected(&shape, weights))
        }
        Form::Floats => Targets::Floats(collected(&shape, one_hot_floats)),
        Form::Bools => Targets::Bools(collected(&shape, one_hot)),
        Form::Signed => Targets::Signed(collected(&shape, one_hot.into_iter().map(i64::from))),
        Form::Labels => Targets::Signed(collected(items, of_items.into_iter().map(label))),
    }
}

fn collected<A: Default>(shape: &[usize], elements: impl IntoIterator<Item = A>) -> ArrayD<A> {
    let mut elements = elements.into_iter();
    ArrayD::from_shape_simple_fn(IxDyn(shape), || elements.next().unwrap_or_default())
}

/// Weights, a third of them exactly 0, some negative.
pub(crate) fn weights<F: Number>(shape: &[usize], raw: &[Raw]) -> ArrayD<F> {
    from_raw(shape, raw, |raw| match mix(raw ^ 0x3e19) % 6 {
        0 | 1 => F::zero(),
        2 => -F::of(unit(raw)),
        _ => F::of(unit(raw) * 3.0),
    })
}

/// All aggregates, for losses of a shape.
pub(crate) fn aggregates<F: Number>(shape: &[usize], raw: &[Raw]) -> Vec<By<F>> {
    let weights = weights::<F>(shape, raw);
    let mask = weights.mapv(|w| w != F::zero());
    vec![
        By::Mean,
        By::Sum,
        By::WeightedMean(weights.clone()),
        By::WeightedSum(weights.clone()),
        // of a sum that is not 0
        By::NormalizedSum(weights.mapv(|w| w.abs())),
        By::MaskedMean(mask),
    ]
}
