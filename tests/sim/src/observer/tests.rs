//! Planted violations: the observer finds each.
