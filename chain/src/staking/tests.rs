//! Stake, sets, jail and slashes against plain sums.
