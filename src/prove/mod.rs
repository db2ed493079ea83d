//! Could this plan fail? What answers that, apart from who asks.
pub mod matrix;
