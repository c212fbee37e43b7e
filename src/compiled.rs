//! The kernels that this crate compiles itself, for both formats. All that is generic is compiled by the crate that calls
//! it, once more with each of its builds; here that would be the arithmetic of every loss for every instruction set.

use crate::accuracy::{AboveThreshold, AmongLargest};
use crate::activation::{AlongClasses, LogSoftmax, LogSoftmaxVjp, Sigmoid, Softmax, SoftmaxVjp};
use crate::aggregate::Identity;
use crate::elementwise::Scalar;
use crate::elementwise::binary_crossentropy_with_logits::OfLogits;
use crate::elementwise::binary_hinge_loss::Hinge;
use crate::engine::rows::AnyRowKernel;
use crate::engine::span::SpanKernel;
use crate::{
    BinaryCrossentropy, CategoricalCrossentropy, CategoricalCrossentropyWithLogits, HuberLoss,
    MulticlassHingeLoss, SquaredError,
};

/// A format for which a kernel of items is compiled.
pub(crate) trait OfItems<K>: Sized {
    fn of_items(kernel: &K) -> &dyn AnyRowKernel<Self>;
}

/// A format for which a kernel of elements is compiled.
pub(crate) trait OfElements<K>: Sized {
    fn of_elements(kernel: &K) -> &dyn SpanKernel<Self>;
}

macro_rules! kernels {
    (items: $($items:ty),+; elements: $($elements:ty),+;) => {
        /// A format for which all of them are compiled; a hidden supertrait of [`Float`](crate::Float).
        pub(crate) trait Kernels: $(OfItems<$items> +)+ $(OfElements<$elements> +)+ {}

        kernels! { in f32: items: $($items),+; elements: $($elements),+; }
        kernels! { in f64: items: $($items),+; elements: $($elements),+; }
    };
    (in $format:ty: items: $($items:ty),+; elements: $($elements:ty),+;) => {
        impl Kernels for $format {}
        $(
            impl OfItems<$items> for $format {
                #[inline(never)] // inlined into another crate, it would have that compile all that it points to
                fn of_items(kernel: &$items) -> &dyn AnyRowKernel<Self> {
                    kernel
                }
            }
        )+
        $(
            impl OfElements<$elements> for $format {
                #[inline(never)] // likewise
                fn of_elements(kernel: &$elements) -> &dyn SpanKernel<Self> {
                    kernel
                }
            }
        )+
    };
}

kernels! {
    items:
        CategoricalCrossentropy,
        CategoricalCrossentropyWithLogits<Self>,
        MulticlassHingeLoss<Self>,
        AmongLargest,
        AlongClasses<Softmax>,
        AlongClasses<LogSoftmax>,
        AlongClasses<SoftmaxVjp>,
        AlongClasses<LogSoftmaxVjp>;
    elements:
        Scalar<SquaredError>,
        Scalar<HuberLoss<Self>>,
        Scalar<BinaryCrossentropy>,
        OfLogits<Self, false>,
        OfLogits<Self, true>,
        Scalar<Hinge<Self, true>>,
        Scalar<Hinge<Self, false>>,
        Scalar<AboveThreshold<Self>>,
        Sigmoid<false>,
        Sigmoid<true>,
        Identity;
}
