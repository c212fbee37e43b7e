//! What the compiler refuses, as doctests that must not compile.
//!
//! Each stands beside the form that is right, which must: so that none fails for another reason than the one it names.
//! The error codes are checked by the nightly compiler alone.
//!
//! Labels that are floats:
//!
//! ```compile_fail,E0277
//! use ndarray::array;
//! let p = array![[0.25_f64, 0.75]];
//! ndarray_loss::categorical_crossentropy(&p, &array![1.0_f64]).unwrap();
//! ```
//! ```
//! use ndarray::array;
//! let p = array![[0.25_f64, 0.75]];
//! ndarray_loss::categorical_crossentropy(&p, &array![1_u8]).unwrap();
//! ndarray_loss::categorical_crossentropy(&p, &array![[0.0_f64, 1.0]]).unwrap();
//! ```
//!
//! `bool` labels, which would be rows without their classes:
//!
//! ```compile_fail,E0277
//! use ndarray::array;
//! let p = array![[0.25_f64, 0.75]];
//! ndarray_loss::categorical_crossentropy(&p, &array![true]).unwrap();
//! ```
//!
//! Element-wise targets of another static rank: fewer dimensions, but for a column; more; a row of labels for a table.
//!
//! ```compile_fail,E0277
//! use ndarray::array;
//! let p = array![[[0.25_f64, 0.75]]];
//! ndarray_loss::squared_error(&p, &array![0.0, 1.0]).unwrap();
//! ```
//! ```compile_fail,E0277
//! use ndarray::array;
//! ndarray_loss::squared_error(&array![0.25_f64, 0.75], &array![[0.0, 1.0]]).unwrap();
//! ```
//! ```compile_fail,E0277
//! use ndarray::array;
//! let p = array![[[0.25_f64, 0.75]]];
//! ndarray_loss::binary_accuracy(&p, &array![[1, 2]], 0.5).unwrap();
//! ```
//! ```
//! use ndarray::array;
//! ndarray_loss::squared_error(&array![[0.25_f64], [0.75]], &array![0.0, 1.0]).unwrap();
//! ```
//!
//! Labels whose static rank is neither that of the items nor that of the predictions:
//!
//! ```compile_fail,E0080
//! use ndarray::array;
//! let p = array![[[0.25_f64, 0.75]]];
//! ndarray_loss::categorical_crossentropy(&p, &array![1]).unwrap();
//! ```
//! ```compile_fail,E0080
//! use ndarray::array;
//! let p = array![0.25_f64, 0.75];
//! ndarray_loss::categorical_crossentropy(&p, &array![[1]]).unwrap();
//! ```
//! ```
//! use ndarray::array;
//! let p = array![[[0.25_f64, 0.75]]];
//! ndarray_loss::categorical_crossentropy(&p, &array![[1]]).unwrap();
//! ```
//!
//! Item-wise predictions without an axis for the classes:
//!
//! ```compile_fail,E0080
//! ndarray_loss::categorical_crossentropy(ndarray::aview0(&0.5), ndarray::aview0(&1)).unwrap();
//! ```
//!
//! `f32` against `f64`, in either place, and weights of another type than the losses:
//!
//! ```compile_fail,E0277
//! use ndarray::array;
//! ndarray_loss::squared_error(&array![0.5_f32], &array![1.0_f64]).unwrap();
//! ```
//! ```compile_fail,E0277
//! use ndarray::array;
//! ndarray_loss::squared_error(&array![0.5_f64], &array![1.0_f32]).unwrap();
//! ```
//! ```compile_fail,E0277
//! use ndarray::array;
//! ndarray_loss::categorical_crossentropy(&array![[0.5_f32]], &array![[1.0_f64]]).unwrap();
//! ```
//! ```compile_fail,E0271
//! use ndarray::array;
//! use ndarray_loss::{Aggregate, aggregate};
//! let weights = array![1.0_f32];
//! let mean: f64 = aggregate(&array![0.5_f64], Aggregate::weighted_mean(&weights)).unwrap();
//! ```
//! ```
//! use ndarray::array;
//! ndarray_loss::squared_error(&array![0.5_f32], &array![1.0_f64].mapv(|t| t as f32)).unwrap();
//! ```
//!
//! Predictions that are no floats of the crate:
//!
//! ```compile_fail,E0277
//! ndarray_loss::squared_error(&ndarray::array![1_i32], &ndarray::array![1_i32]).unwrap();
//! ```
//! ```compile_fail,E0277
//! ndarray_loss::categorical_accuracy(&ndarray::array![[1_u64, 2]], &[0], 1).unwrap();
//! ```
//! ```compile_fail,E0277
//! ndarray_loss::squared_error(&ndarray::array![true], &ndarray::array![true]).unwrap();
//! ```
//! ```
//! ndarray_loss::squared_error(&ndarray::array![1_i32].mapv(f64::from), &ndarray::array![1_i32]).unwrap();
//! ```
//!
//! Buffers of another type or rank:
//!
//! ```compile_fail,E0308
//! use ndarray::{Array1, array};
//! use ndarray_loss::{ElementwiseLoss, SquaredError};
//! let mut loss = Array1::<f32>::zeros(1);
//! SquaredError.loss_into(&array![0.5_f64], &array![1.0], &mut loss).unwrap();
//! ```
//! ```compile_fail,E0308
//! use ndarray::{Array2, array};
//! use ndarray_loss::{ElementwiseLoss, SquaredError};
//! let mut loss = Array2::<f64>::zeros((1, 1));
//! SquaredError.loss_into(&array![0.5_f64], &array![1.0], &mut loss).unwrap();
//! ```
//! ```compile_fail,E0308
//! use ndarray::{Array2, array};
//! use ndarray_loss::{CategoricalCrossentropy, ItemwiseLoss};
//! let mut loss = Array2::<f64>::zeros((1, 1));
//! CategoricalCrossentropy.loss_into(&array![[0.5_f64]], &array![0], &mut loss).unwrap();
//! ```
//! ```
//! use ndarray::{Array1, array};
//! use ndarray_loss::{CategoricalCrossentropy, ElementwiseLoss, ItemwiseLoss, SquaredError};
//! let mut loss = Array1::<f64>::zeros(1);
//! SquaredError.loss_into(&array![0.5_f64], &array![1.0], &mut loss).unwrap();
//! CategoricalCrossentropy.loss_into(&array![[0.5_f64]], &array![0], &mut loss).unwrap();
//! ```
//!
//! A loss of the user's own that is item-wise, or a type of the user's own as `Float` or as a target: the traits are
//! sealed.
//!
//! ```compile_fail,E0277
//! #[derive(Clone, Copy)]
//! struct Own;
//! impl ndarray_loss::ItemwiseLoss<f64> for Own {}
//! ```
//! ```compile_fail,E0277
//! #[derive(Clone, Copy, PartialEq)]
//! struct Own;
//! ndarray_loss::squared_error(&ndarray::array![1.0], &ndarray::array![Own]).unwrap();
//! ```
