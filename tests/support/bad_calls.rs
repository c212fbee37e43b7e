//! Calls that every method of a loss has to refuse, with no buffer touched.

use std::fmt::Debug;

use ndarray::{ArrayD, IxDyn};
use ndarray_loss::{Aggregate, ClassTargetShape, ElementwiseLoss, ItemwiseLoss, Target};

use super::refusal::Refusal;
use super::{Bits, WithElementwise, WithItemwise, assert_same_bits, assert_untouched, sentinels};

/// The answers of the methods that read no weights.
macro_rules! check_plain_methods {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $items:expr, $refusal:expr) => {{
        let (case, loss, p, t, refusal) = ($case, $loss, $p, $t, $refusal);
        let mut losses: ArrayD<F> = sentinels(IxDyn($items));
        let mut gradient: ArrayD<F> = sentinels(p.raw_dim());
        refusal.check(&format!("{case}: loss"), loss.loss(p, t));
        refusal.check(&format!("{case}: gradient"), loss.gradient(p, t));
        refusal.check(
            &format!("{case}: loss_and_gradient"),
            loss.loss_and_gradient(p, t),
        );
        refusal.check(
            &format!("{case}: loss_into"),
            loss.loss_into(p, t, &mut losses),
        );
        refusal.check(
            &format!("{case}: gradient_into"),
            loss.gradient_into(p, t, &mut gradient),
        );
        refusal.check(
            &format!("{case}: loss_and_gradient_into"),
            loss.loss_and_gradient_into(p, t, &mut losses, &mut gradient),
        );
        assert_untouched(&format!("{case}: buffer of losses"), &losses);
        assert_untouched(&format!("{case}: buffer of gradients"), &gradient);
    }};
}

/// The answers of the methods that give one number.
macro_rules! check_objectives {
    ($case:expr, $loss:expr, $p:expr, $t:expr, $by:expr, $refusal:expr) => {{
        let (case, loss, p, t, by, refusal) = ($case, $loss, $p, $t, $by, $refusal);
        let mut gradient: ArrayD<F> = sentinels(p.raw_dim());
        let mut predictions = p.clone();
        refusal.check(&format!("{case}: objective"), loss.objective(p, t, by));
        refusal.check(
            &format!("{case}: objective_and_gradient"),
            loss.objective_and_gradient(p, t, by),
        );
        refusal.check(
            &format!("{case}: objective_and_gradient_into"),
            loss.objective_and_gradient_into(p, t, by, &mut gradient),
        );
        refusal.check(
            &format!("{case}: objective_and_gradient_in_place"),
            loss.objective_and_gradient_in_place(&mut predictions, t, by),
        );
        assert_untouched(&format!("{case}: buffer of gradients"), &gradient);
        assert_same_bits(&format!("{case}: predictions in place"), &predictions, p);
    }};
}

/// A call whose predictions and targets are refused by every method, whatever the aggregate.
pub struct BadInput<'a, F, T> {
    /// Named in failures.
    pub case: &'a str,
    /// The predictions.
    pub predictions: &'a ArrayD<F>,
    /// The targets.
    pub targets: &'a ArrayD<T>,
    /// What every method has to answer.
    pub refusal: Refusal,
}

impl<F: Bits, T: Target<F>> WithElementwise<F> for BadInput<'_, F, T> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let Self {
            case,
            predictions,
            targets,
            refusal,
        } = self;
        let case = format!("{name}, {}: {case}", F::NAME);
        check_plain_methods!(
            &case,
            loss,
            *predictions,
            *targets,
            predictions.shape(),
            &*refusal
        );
        check_objectives!(
            &case,
            loss,
            *predictions,
            *targets,
            &Aggregate::Sum,
            &*refusal
        );
    }
}

impl<F: Bits, T> WithItemwise<F> for BadInput<'_, F, T>
where
    T: Target<F, Kind: ClassTargetShape<IxDyn, IxDyn>>,
{
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let Self {
            case,
            predictions,
            targets,
            refusal,
        } = self;
        let case = format!("{name}, {}: {case}", F::NAME);
        let items = predictions
            .shape()
            .split_last()
            .map_or(&[][..], |(_, items)| items);
        check_plain_methods!(&case, loss, *predictions, *targets, items, &*refusal);
        check_objectives!(
            &case,
            loss,
            *predictions,
            *targets,
            &Aggregate::Sum,
            &*refusal
        );
    }
}

/// A call whose aggregate is refused.
pub struct BadAggregate<'a, F, T> {
    /// Named in failures.
    pub case: &'a str,
    /// The predictions.
    pub predictions: &'a ArrayD<F>,
    /// The targets.
    pub targets: &'a ArrayD<T>,
    /// The aggregate.
    pub by: &'a Aggregate<'a, F>,
    /// What every method has to answer.
    pub refusal: Refusal,
}

impl<F: Bits, T: Target<F>> WithElementwise<F> for BadAggregate<'_, F, T> {
    fn run<L: ElementwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let case = format!("{name}, {}: {}", F::NAME, self.case);
        check_objectives!(
            &case,
            loss,
            self.predictions,
            self.targets,
            self.by,
            &self.refusal
        );
    }
}

impl<F: Bits, T> WithItemwise<F> for BadAggregate<'_, F, T>
where
    T: Target<F, Kind: ClassTargetShape<IxDyn, IxDyn>>,
{
    fn run<L: ItemwiseLoss<F> + Debug>(&mut self, name: &str, loss: L) {
        let case = format!("{name}, {}: {}", F::NAME, self.case);
        check_objectives!(
            &case,
            loss,
            self.predictions,
            self.targets,
            self.by,
            &self.refusal
        );
    }
}
