//! A user's own loss beside the crate's: the trait gives it the same speed.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Zip};
use ndarray_loss::{
    Aggregate, BinaryCrossentropyWithLogits, ElementwiseLoss, Float, HuberLoss, math,
};

use common::standard::{exp, ln_1p};
use common::{Group, SIZES, Values, done, f};

/// ln cosh(p − t)
#[derive(Clone, Copy)]
struct LogCosh;

impl<F: Float> ElementwiseLoss<F> for LogCosh {
    #[inline]
    fn value(self, prediction: F, target: F) -> F {
        let distance = (prediction - target).abs();
        let decay = math::exp(-(distance + distance));
        distance + math::ln_1p(decay) - F::LN_2()
    }

    #[inline]
    fn derivative(self, prediction: F, target: F) -> F {
        let difference = prediction - target;
        let distance = difference.abs();
        let decay = math::exp(-(distance + distance));
        ((F::one() - decay) / (F::one() + decay)).copysign(difference)
    }

    #[inline]
    fn value_and_derivative(self, prediction: F, target: F) -> (F, F) {
        let difference = prediction - target;
        let distance = difference.abs();
        let decay = math::exp(-(distance + distance));
        let slope = (F::one() - decay) / (F::one() + decay);
        let loss = distance + math::ln_1p(decay) - F::LN_2();
        (loss, slope.copysign(difference))
    }
}

fn methods<F: Float, L: ElementwiseLoss<F>>(
    group: &mut Group<'_, F>,
    name: &str,
    loss: L,
    (p, t): (&Array1<F>, &Array1<F>),
) {
    let n = p.len();
    let mut out = Array1::zeros(n);
    group.bench(&format!("{name}, loss_into"), 3 * n, || {
        done(loss.loss_into(p, t, &mut out));
    });
    group.bench(
        &format!("{name}, objective_and_gradient_into"),
        3 * n,
        || done(loss.objective_and_gradient_into(p, t, Aggregate::Mean, &mut out)),
    );
}

fn own<F: Float>(criterion: &mut Criterion) {
    for n in SIZES {
        let p: Array1<F> = Values::Between(-4.0, 4.0).array(n, 1);
        let t: Array1<F> = Values::Either(0.0, 1.0).array(n, 2);
        let mut out = Array1::zeros(n);
        let mut group = Group::<F>::new(criterion, "own_loss", n);
        methods(&mut group, "log-cosh", LogCosh, (&p, &t));
        methods(&mut group, "huber", HuberLoss::<F>::default(), (&p, &t));
        let logits = BinaryCrossentropyWithLogits::<F>::default();
        methods(
            &mut group,
            "binary cross-entropy from logits",
            logits,
            (&p, &t),
        );
        group.bench("log-cosh by hand, loss_into", 3 * n, || {
            Zip::from(&mut out).and(&p).and(&t).for_each(|l, &p, &t| {
                let distance = (p - t).abs();
                *l = distance + ln_1p(exp(f::<F>(-2.0) * distance)) - F::LN_2();
            });
        });
        group.triad(&p, &t, &mut out);
    }
}

criterion_group! {
    name = benches;
    config = common::criterion();
    targets = own::<f32>, own::<f64>
}
criterion_main!(benches);
