//! The forms of call that the crate promises. Most of these tests have done their work when they compile.
#![allow(clippy::unwrap_used)]

use ndarray::{
    Array, Array1, Array2, ArrayD, ArrayView, ArrayView1, ArrayView2, Dimension, arr0, array,
    aview0, aview1, aview2, s,
};
use ndarray_loss::*;

type Answer = Result<(), LossError>;

#[test]
fn literals_need_no_annotation() -> Answer {
    assert_eq!(squared_error(&[1.0, 2.0], &[0.0, 0.5])?, array![1.0, 2.25]);
    assert_eq!(
        squared_error(&[[1.0], [2.0]], &[0.0, 0.5])?,
        array![[1.0], [2.25]]
    );
    assert_eq!(huber_loss(&[1.0, 3.0], &[0.0, 0.0], 1.0)?, array![0.5, 2.5]);
    assert_eq!(
        binary_accuracy(&[0.2, 0.8], &[0, 1], 0.5)?,
        array![1.0, 1.0]
    );
    assert_eq!(
        categorical_accuracy(&array![[0.2, 0.8]], &[1], 1)?,
        array![1.0]
    );
    assert_eq!(
        multiclass_hinge_loss(&[[0.0, 2.0]], &[1], 1.0)?,
        array![0.0]
    );
    assert_eq!(
        aggregate(&[1.0, 3.0], Aggregate::weighted_sum(&[2.0, 1.0]))?,
        5.0
    );
    assert_eq!(
        aggregate_gradient(&[1.0, 3.0], Aggregate::Mean)?,
        array![0.5, 0.5]
    );
    assert_eq!(
        MulticlassHingeLoss::new(1.0)?.loss(&[[0.0, 2.0]], &[0])?,
        array![3.0]
    );
    Ok(())
}

#[test]
fn inputs() -> Answer {
    let a = array![[1.0_f32, 2.0], [3.0, 4.0]];
    let t = array![[0.0_f32, 0.0], [1.0, 1.0]];
    let expected = array![[1.0, 4.0], [4.0, 9.0]];
    assert_eq!(squared_error(&a, &t)?, expected);
    assert_eq!(squared_error(a.view(), t.view())?, expected);
    assert_eq!(squared_error(&a.view(), &t)?, expected);
    assert_eq!(squared_error(a.t(), t.t())?, expected.t());
    assert_eq!(
        squared_error(a.slice(s![.., 1..]), &[0.0, 1.0])?,
        array![[4.0], [9.0]]
    );
    assert_eq!(
        squared_error(a.slice(s![..;-1, 0]), t.column(0))?,
        array![9.0, 0.0]
    );
    let shared = a.to_shared();
    assert_eq!(squared_error(&shared, &t)?, expected);
    let vec = vec![1.0_f32, 2.0];
    assert_eq!(squared_error(&vec, &[0.0, 0.0])?, array![1.0, 4.0]);
    assert_eq!(squared_error(&vec[..], &vec)?, array![0.0, 0.0]);
    assert_eq!(squared_error(&vec[1..], &vec[..1])?, array![1.0]);
    let (nested, nested_targets) = ([[1.0_f64, 2.0], [3.0, 4.0]], [[0, 0], [1, 1]]);
    assert_eq!(
        squared_error(aview2(&nested), aview2(&nested_targets))?,
        expected.mapv(f64::from)
    );
    assert_eq!(squared_error(aview0(&2.0), aview0(&0.5))?, arr0(2.25));
    let mut mutable = a.clone();
    assert_eq!(squared_error(&mutable.view_mut(), &t)?, expected);
    let [p, t] = [Array1::<f64>::zeros(0), Array1::zeros(0)];
    assert_eq!(squared_error(&p, &t)?.len(), 0);
    Ok(())
}

#[test]
fn outputs() -> Answer {
    fn train(
        p: &Array2<f32>,
        labels: &[u8],
        grad: &mut Array2<f32>,
        loss: &mut Array1<f32>,
    ) -> Answer {
        let kernel = CategoricalCrossentropyWithLogits::default();
        for _ in 0..2 {
            kernel.objective_and_gradient_into(p, labels, Aggregate::Mean, grad)?;
            kernel.gradient_into(p, labels, grad)?;
            kernel.loss_into(p, labels, loss)?;
            kernel.loss_and_gradient_into(p, labels, loss, grad)?;
        }
        Ok(())
    }
    let p = array![[0.0_f32, 0.0], [0.0, 0.0]];
    let (mut grad, mut loss) = (Array2::zeros((2, 2)), Array1::zeros(2));
    train(&p, &[0, 1], &mut grad, &mut loss)?;
    assert_eq!(grad, array![[-0.5, 0.5], [0.5, -0.5]]);

    let mut wide = Array2::<f32>::zeros((4, 4));
    SquaredError.gradient_into(&p, aview0(&-0.5), &mut wide.slice_mut(s![..;2, 1..3]))?;
    assert_eq!(wide.sum(), 4.0);
    SquaredError.gradient_into(&p, aview0(&-0.5), &mut grad.view_mut().reversed_axes())?;
    assert_eq!(grad.sum(), 4.0);

    let mut scores = array![[1.0_f64], [3.0]];
    let mean = SquaredError.objective_and_gradient_in_place(
        &mut scores,
        &[true, false],
        Aggregate::Mean,
    )?;
    assert_eq!((mean, scores), (4.5, array![[0.0], [3.0]]));
    let mut rows = array![[1.0_f64, 0.0], [3.0, 0.0]];
    let mut first = rows.slice_mut(s![..1, ..]);
    let hinge = MulticlassHingeLoss::default();
    assert_eq!(
        hinge.objective_and_gradient_in_place(&mut first, &[1], Aggregate::Sum)?,
        2.0
    );
    assert_eq!(rows, array![[1.0, -1.0], [3.0, 0.0]]);
    Ok(())
}

/// Targets of integer types: as numbers and as labels.
macro_rules! every_integer {
    ($($integer:ty)*) => {$({
        let (zero, one): ($integer, $integer) = (0, 1);
        let of = stringify!($integer);
        assert_eq!(squared_error(&[3.0, 0.0], &[one, zero])?, array![4.0, 0.0], "{of}");
        assert_eq!(categorical_crossentropy(&array![[0.25, 1.0]], &[one])?, array![0.0], "{of}");
    })*};
}

/// The other roles of integer types, which only have to compile: nobody calls this, so that it costs no machine code.
macro_rules! every_integer_compiles {
    ($($integer:ty)*) => {$(
        const _: fn() -> Answer = || {
            let (p, zero, one): (_, $integer, $integer) = (array![[0.25_f32, 1.0]], 0, 1);
            binary_crossentropy(&p, &array![[zero, one]])?;
            binary_accuracy(&p, aview0(&one), 0.5)?;
            categorical_crossentropy(&p, &array![[zero, one]])?;
            categorical_crossentropy_with_logits(&p, &array![one])?;
            multiclass_hinge_loss(&p, &array![[zero, one]], 1.0)?;
            categorical_accuracy(&p, &[one], 1)?;
            class_weights(&[1.0_f32, 2.0], &[one])?;
            align_targets(&p, &array![[zero, one]])?;
            Ok(())
        };
    )*};
}

every_integer_compiles! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

#[test]
fn integers_and_bool() -> Answer {
    every_integer! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }
    assert_eq!(
        squared_error(&[3.0, 1.0], &[true, false])?,
        array![4.0, 1.0]
    );
    assert_eq!(
        categorical_crossentropy(&array![[0.25, 1.0]], &array![[false, true]])?,
        array![0.0]
    );
    assert_eq!(
        multiclass_hinge_loss(&array![[2.0, 1.0]], &array![[false, true]], 1.0)?,
        array![2.0]
    );
    let (scores, pair) = (Scores::LogOdds, BinaryLabels::PlusMinusOne);
    assert_eq!(
        binary_hinge_loss(&[3.0], &[false], 1.0, scores, pair)?,
        array![4.0]
    );
    // Rounded once, not by way of f64: just above the middle of two floats.
    let middle = (1_i64 << 60) + (1 << 36) + 1;
    assert_eq!(
        squared_error(&[0.0_f32], &[middle])?[0].sqrt(),
        middle as f32
    );
    Ok(())
}

#[test]
fn dynamic_ranks() -> Answer {
    let (p, dynamic) = (array![[1.0], [2.0]], array![[1.0], [2.0]].into_dyn());
    let (column, column_dynamic) = (array![0.0, 1.0], array![0.0, 1.0].into_dyn());
    let expected = array![[1.0], [1.0]];
    let _: Array2<f64> = squared_error(&p, &column_dynamic)?;
    let result: ArrayD<f64> = squared_error(&dynamic, &column)?;
    assert_eq!(result, expected.clone().into_dyn());
    assert_eq!(squared_error(&dynamic, &column_dynamic)?, result);
    assert_eq!(squared_error(&p, &column_dynamic)?, expected);
    assert_eq!(
        squared_error(&dynamic, aview0(&1.0))?,
        array![[0.0], [1.0]].into_dyn()
    );
    assert!(squared_error(&array![1.0].into_dyn(), &array![[1.0]]).is_err());

    let (p, dynamic) = (array![[0.5, 1.0]], array![[0.5, 1.0]].into_dyn());
    let (label, one_hot) = (array![1_u8].into_dyn(), array![[false, true]].into_dyn());
    assert_eq!(categorical_crossentropy(&p, &label)?, array![0.0]);
    assert_eq!(categorical_crossentropy(&p, &one_hot)?, array![0.0]);
    assert_eq!(
        categorical_crossentropy(&dynamic, &[1])?,
        array![0.0].into_dyn()
    );
    assert_eq!(
        categorical_crossentropy(&dynamic, &array![[0.0, 1.0]])?,
        array![0.0].into_dyn()
    );
    assert_eq!(
        categorical_crossentropy(&dynamic, &label)?,
        array![0.0].into_dyn()
    );
    assert_eq!(
        categorical_crossentropy(&array![0.5, 1.0], aview0(&1))?,
        arr0(0.0)
    );
    let deep = p.into_shape_with_order((1, 1, 1, 2)).unwrap();
    assert_eq!(
        categorical_crossentropy(&deep, &array![[[1]]])?.shape(),
        [1, 1, 1]
    );
    Ok(())
}

#[test]
fn columns_and_single_targets() -> Answer {
    let p = array![[1.0_f32], [2.0], [3.0]];
    assert_eq!(squared_error(&p, &[1, 1, 1])?, array![[0.0], [1.0], [4.0]]);
    assert_eq!(
        squared_error(&p, &array![1.0, 2.0, 3.0])?,
        Array2::zeros((3, 1))
    );
    assert_eq!(
        squared_error(&p, aview0(&1.0))?,
        array![[0.0], [1.0], [4.0]]
    );
    assert_eq!(squared_error(&p, &arr0(true))?, array![[0.0], [1.0], [4.0]]);
    let (_, aligned) = align_targets(&p, &[4_u8, 5, 6])?;
    assert_eq!(aligned, array![[4], [5], [6]]);
    let weights = array![0.0, 0.0, 1.0];
    assert_eq!(
        SquaredError.objective(&p, &[1, 1, 1], Aggregate::weighted_sum(&weights))?,
        4.0
    );
    Ok(())
}

#[test]
fn aggregates() -> Answer {
    struct Training<'a> {
        by: Aggregate<'a, f32>,
    }
    let (weights, mask) = (array![1.0_f32, 3.0], vec![true, false]);
    let (p, t) = (array![1.0_f32, 2.0], array![0.0, 0.0]);
    for by in [
        Aggregate::Mean,
        Aggregate::Sum,
        Aggregate::weighted_mean(&weights),
        Aggregate::weighted_sum(weights.view()),
        Aggregate::normalized_sum(weights.slice(s![..])),
        Aggregate::masked_mean(&mask),
        Aggregate::masked_mean(&[true, true]),
        Aggregate::default(),
    ] {
        let stored = Training { by };
        for _ in 0..2 {
            let by_reference = SquaredError.objective(&p, &t, &stored.by)?;
            let of_losses = aggregate(&squared_error(&p, &t)?, &stored.by)?;
            assert_eq!(by_reference, of_losses, "{:?}", stored.by);
        }
        let by_value = SquaredError.objective(&p, &t, stored.by.clone())?;
        let mut gradient = Array1::zeros(2);
        let fused = SquaredError.objective_and_gradient_into(&p, &t, stored.by, &mut gradient)?;
        assert_eq!(by_value, fused);
    }
    let scalar = aview0(&2.0_f32);
    assert_eq!(aggregate(&p, Aggregate::weighted_sum(scalar))?, 6.0);
    Ok(())
}

fn step<F: Float, D: Dimension>(
    p: ArrayView<F, D>,
    t: ArrayView<F, D>,
) -> Result<(F, Array<F, D>), LossError> {
    let losses = squared_error(p.view(), t.view())?;
    let _ = binary_accuracy(p.view(), t.view(), F::zero())?;
    assert_eq!(
        aggregate(&losses, Aggregate::Mean)?,
        SquaredError.objective(&p, &t, Aggregate::Mean)?
    );
    let weights = losses.mapv(|_| F::one());
    HuberLoss::new(F::one())?.objective_and_gradient(p, t, Aggregate::weighted_mean(&weights))
}

fn rows<F: Float, D: Dimension>(
    p: ArrayView<F, D>,
    t: ArrayView<F, D>,
) -> Result<Array<F, D::Smaller>, LossError> {
    let _ = categorical_accuracy(p.view(), t.view(), 1)?;
    let _ = categorical_crossentropy_gradient(p.view(), t.view())?;
    CategoricalCrossentropyWithLogits::default().loss(p, t)
}

fn labelled<F: Float>(p: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<F, LossError> {
    let _ = multiclass_hinge_loss(p, labels, F::one())?;
    let loss = CategoricalCrossentropyWithLogits::<F>::default().ignore_label(-100);
    loss.objective(p, labels, Aggregate::Mean)
}

fn labelled_of_any_rank<F: Float, D: Dimension>(
    p: ArrayView<F, D>,
    labels: ArrayView<u8, D::Smaller>,
) -> Result<Array<F, D::Smaller>, LossError> {
    categorical_crossentropy(p, labels)
}

fn any_elementwise<F: Float, L: ElementwiseLoss<F>>(
    loss: L,
    p: &Array2<F>,
    t: &Array2<F>,
) -> Result<F, LossError> {
    let mut gradient = loss.gradient(p, t)?;
    let mean = loss.objective_and_gradient_into(p, t, Aggregate::Mean, &mut gradient)?;
    assert_eq!(mean, aggregate(&loss.loss(p, t)?, Aggregate::Mean)?);
    Ok(mean)
}

fn any_itemwise<F: Float, L: ItemwiseLoss<F>>(
    loss: L,
    p: &Array2<F>,
    labels: &[i64],
) -> Result<F, LossError> {
    let kept = loss.ignore_label(-100);
    let mut gradient = kept.gradient(p, labels)?;
    kept.ignore_label(-7)
        .objective_and_gradient_into(p, labels, Aggregate::Mean, &mut gradient)
}

#[test]
fn generic_code() -> Answer {
    let (p, t) = (array![[1.0_f32, 2.0]], array![[0.0_f32, 1.0]]);
    assert_eq!(step(p.view(), t.view())?.0, 0.5);
    assert_eq!(step(aview1(&[1.0]), aview1(&[1.0]))?.0, 0.0);
    assert_eq!(step(p.view().into_dyn(), t.view().into_dyn())?.1.ndim(), 2);
    assert_eq!(rows(p.view(), t.view())?.len(), 1);
    assert!(labelled(p.view(), aview1(&[1]))? < 1.0);
    assert_eq!(labelled_of_any_rank(p.view(), aview1(&[0]))?[0], 0.0);
    assert_eq!(
        labelled_of_any_rank(p.view().into_dyn(), aview1(&[0]).into_dyn())?.shape(),
        [1]
    );
    assert_eq!(any_elementwise(SquaredError, &p, &t)?, 1.0);
    assert_eq!(any_elementwise(HuberLoss::default(), &p, &t)?, 0.5);
    assert_eq!(any_itemwise(CategoricalCrossentropy, &p, &[0])?, 0.0);
    assert_eq!(any_itemwise(MulticlassHingeLoss::default(), &p, &[1])?, 0.0);
    assert_eq!(
        any_itemwise(MulticlassHingeLoss::default(), &p, &[-100]),
        Err(LossError::EmptyMean)
    );
    Ok(())
}

/// ln cosh(p − t)
#[derive(Debug, Clone, Copy)]
struct LogCosh;

impl<F: Float> ElementwiseLoss<F> for LogCosh {
    fn value(self, p: F, t: F) -> F {
        (p - t).cosh().ln()
    }
    fn derivative(self, p: F, t: F) -> F {
        (p - t).tanh()
    }
}

#[test]
fn a_loss_of_the_users() -> Answer {
    let (p, t) = (array![[0.5_f64], [-1.0], [2.0]], [0, 1, 2]);
    let (values, slopes) = (
        array![[0.5], [-2.0], [0.0]].mapv(|x: f64| x.cosh().ln()),
        array![[0.5], [-2.0], [0.0]].mapv(f64::tanh),
    );
    let (mut loss, mut gradient) = (Array2::zeros((3, 1)), Array2::zeros((3, 1)));
    assert_eq!(LogCosh.loss(&p, &t)?, values);
    assert_eq!(LogCosh.gradient(&p, &t)?, slopes);
    assert_eq!(
        LogCosh.loss_and_gradient(&p, &t)?,
        (values.clone(), slopes.clone())
    );
    LogCosh.loss_into(&p, &t, &mut loss)?;
    LogCosh.gradient_into(&p, &t, &mut gradient)?;
    assert_eq!((&loss, &gradient), (&values, &slopes));
    LogCosh.loss_and_gradient_into(&p, &t, &mut loss, &mut gradient)?;
    assert_eq!((&loss, &gradient), (&values, &slopes));
    let sum = aggregate(&values, Aggregate::Sum)?;
    assert_eq!(LogCosh.objective(&p, &t, Aggregate::Sum)?, sum);
    assert_eq!(
        LogCosh.objective_and_gradient(&p, &t, Aggregate::Sum)?,
        (sum, slopes.clone())
    );
    assert_eq!(
        LogCosh.objective_and_gradient_into(&p, &t, Aggregate::Sum, &mut gradient)?,
        sum
    );
    let mut in_place = p.clone();
    assert_eq!(
        LogCosh.objective_and_gradient_in_place(&mut in_place, &t, Aggregate::Sum)?,
        sum
    );
    assert_eq!((gradient, in_place), (slopes.clone(), slopes));
    Ok(())
}

#[test]
fn values_are_small_and_plain() {
    fn is_value<T: Copy + PartialEq + std::fmt::Debug + Default + Send + Sync>() {
        assert!(size_of::<T>() <= 32, "{}", size_of::<T>());
    }
    is_value::<SquaredError>();
    is_value::<BinaryCrossentropy>();
    is_value::<CategoricalCrossentropy>();
    is_value::<HuberLoss<f64>>();
    is_value::<BinaryHingeLoss<f64>>();
    is_value::<MulticlassHingeLoss<f64>>();
    is_value::<BinaryCrossentropyWithLogits<f64>>();
    is_value::<CategoricalCrossentropyWithLogits<f64>>();
}
