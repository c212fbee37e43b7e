//! What several test files need: floats as bits, sentinels for buffers, and every loss of the crate once.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test file uses a part

pub mod bad_calls;
pub mod refusal;

use std::fmt::Debug;

use ndarray::{Array, ArrayD, Dimension};
use ndarray_loss::{
    BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ElementwiseLoss, Float, HuberLoss,
    ItemwiseLoss, LossError, MulticlassHingeLoss, Scores, SquaredError,
};

/// A float of the crate, with what tests need besides.
pub trait Bits: Float {
    /// The name of the type.
    const NAME: &'static str;
    /// The bits, in the low end.
    fn bits(self) -> u64;
    /// A NaN with a payload that no computation makes.
    fn sentinel() -> Self;
    /// Rounded to this type.
    fn of(x: f64) -> Self;
    /// As an `f64`, exactly.
    fn exactly(self) -> f64;
}

impl Bits for f32 {
    const NAME: &'static str = "f32";
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
    fn sentinel() -> Self {
        Self::from_bits(0x7fd5_1234)
    }
    fn of(x: f64) -> Self {
        x as Self
    }
    fn exactly(self) -> f64 {
        f64::from(self)
    }
}

impl Bits for f64 {
    const NAME: &'static str = "f64";
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn sentinel() -> Self {
        Self::from_bits(0x7ff9_5432_1234_5678)
    }
    fn of(x: f64) -> Self {
        x
    }
    fn exactly(self) -> f64 {
        self
    }
}

/// How many floats of the type lie between two numbers; 0 for equal ones, zeros of either sign and two NaN.
pub fn ulps<F: Bits>(a: F, b: F) -> u64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        return 0;
    }
    if a.is_nan() || b.is_nan() {
        return u64::MAX;
    }
    let position = |x: F| {
        let magnitude = x.abs().bits() as i128;
        if x < F::zero() { -magnitude } else { magnitude }
    };
    position(a).abs_diff(position(b)) as u64
}

/// A buffer that shows whether anybody wrote to it.
pub fn sentinels<F: Bits, D: Dimension>(shape: D) -> Array<F, D> {
    Array::from_elem(shape, F::sentinel())
}

/// Fails if a buffer does not hold the bits that it held before.
#[track_caller]
pub fn assert_same_bits<F: Bits, D: Dimension>(
    case: &str,
    after: &Array<F, D>,
    before: &Array<F, D>,
) {
    assert_eq!(after.shape(), before.shape(), "{case}: shape");
    for (index, (a, b)) in after.iter().zip(before).enumerate() {
        assert_eq!(
            a.bits(),
            b.bits(),
            "{case}: element {index} was {b:?} and is now {a:?}"
        );
    }
}

/// Fails if anybody wrote to a buffer of [`sentinels`].
#[track_caller]
pub fn assert_untouched<F: Bits, D: Dimension>(case: &str, buffer: &Array<F, D>) {
    assert_same_bits(case, buffer, &sentinels(buffer.raw_dim()));
}

/// The text of an error: lower case, without a full stop.
#[track_caller]
pub fn message_of(case: &str, error: &LossError) -> String {
    let message = error.to_string();
    let first = message.chars().next();
    assert!(
        first.is_some_and(|c| !c.is_uppercase()),
        "{case}: {message:?} does not begin in lower case"
    );
    assert!(
        !message.ends_with('.') && !message.contains(". "),
        "{case}: {message:?} holds a full stop"
    );
    message
}

/// Something to do with an element-wise loss, whichever it is.
pub trait WithElementwise<F: Float> {
    /// Does it.
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L);
}

/// Runs over all element-wise losses of the crate, with and without their options.
pub fn every_elementwise_loss<F: Bits>(with: &mut impl WithElementwise<F>) {
    let (half, two) = (F::of(0.5), F::of(2.0));
    with.run("squared_error", SquaredError);
    with.run("binary_crossentropy", BinaryCrossentropy);
    with.run("huber_loss", HuberLoss::new(half).unwrap());
    for (name, scores) in [
        ("binary_hinge_loss, log-odds", Scores::LogOdds),
        ("binary_hinge_loss, probabilities", Scores::Probabilities),
    ] {
        let loss = BinaryHingeLoss::new(F::one(), scores, BinaryLabels::ZeroOne).unwrap();
        with.run(name, loss);
    }
    let from_logits = BinaryCrossentropyWithLogits::default();
    with.run("binary_crossentropy_with_logits", from_logits);
    with.run(
        "binary_crossentropy_with_logits, weighted and smoothed",
        from_logits
            .pos_weight(two)
            .unwrap()
            .label_smoothing(half)
            .unwrap(),
    );
}

/// Something to do with an item-wise loss, whichever it is.
pub trait WithItemwise<F: Float> {
    /// Does it.
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L);
}

/// Runs over all item-wise losses of the crate, with and without their options.
pub fn every_itemwise_loss<F: Bits>(with: &mut impl WithItemwise<F>) {
    let from_logits = CategoricalCrossentropyWithLogits::default();
    with.run("categorical_crossentropy", CategoricalCrossentropy);
    with.run(
        "multiclass_hinge_loss",
        MulticlassHingeLoss::new(F::one()).unwrap(),
    );
    with.run("categorical_crossentropy_with_logits", from_logits);
    with.run(
        "categorical_crossentropy_with_logits, smoothed",
        from_logits.label_smoothing(F::of(0.125)).unwrap(),
    );
    with.run(
        "categorical_crossentropy_with_logits, ignoring",
        from_logits.ignore_label(-100),
    );
    with.run(
        "categorical_crossentropy, ignoring",
        CategoricalCrossentropy.ignore_label(-100),
    );
}

/// Predictions between 0 and 1, all different enough, of any shape.
pub fn probabilities<F: Bits>(shape: &[usize]) -> ArrayD<F> {
    let mut i = 0_u32;
    ArrayD::from_shape_simple_fn(shape, || {
        i = i.wrapping_add(0x9e37_79b9);
        F::of((f64::from(i >> 8) + 0.5) / f64::from(1 << 24))
    })
}
