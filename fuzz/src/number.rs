//! `f32` and `f64`, with what the checks need besides.

use ndarray_loss::Float;

pub(crate) trait Number: Float {
    const NAME: &'static str;
    /// How far a result may be off, relative to the magnitude of its operands.
    const TOLERANCE: f64;
    /// The largest number.
    const MAX: f64;
    /// The smallest normal number.
    const TINY: f64;
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    /// The bits; all NaN are one.
    fn bits(self) -> u64;
    /// Any bits, NaN, infinities and subnormals among them.
    fn of_bits(bits: u64) -> Self;
}

macro_rules! number {
    ($float:ident, $bits:ident, $tolerance:literal) => {
        impl Number for $float {
            const NAME: &'static str = stringify!($float);
            const TOLERANCE: f64 = $tolerance;
            const MAX: f64 = $float::MAX as f64;
            const TINY: f64 = $float::MIN_POSITIVE as f64;
            fn of(x: f64) -> Self {
                x as $float
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn bits(self) -> u64 {
                let canonical = if self.is_nan() { $float::NAN } else { self };
                u64::from(canonical.to_bits())
            }
            fn of_bits(bits: u64) -> Self {
                $float::from_bits(bits as $bits)
            }
        }
    };
}
number!(f32, u32, 2e-6);
number!(f64, u64, 1e-12);
