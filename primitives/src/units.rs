//! Numbers with a unit, so that a height cannot be added to a view or ozone to coins.
//!
//! Arithmetic is checked everywhere: [`Amount::checked_add`] and its like return `None` at the edge, and the caller decides what that means. Amounts
//! cross to people and JSON as decimal strings, because 10^18 wei do not fit a double.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// Nothing, or the first.
            pub const ZERO: Self = Self(0);
            /// The largest that can be written.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// The sum, or `None` above the largest value.
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, or `None` below zero.
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The difference, or zero.
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The sum, or the largest value.
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// One more; the largest value stays.
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

macro_rules! json_as {
    (string: $($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
    (number: $($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <u64 as Deserialize>::deserialize(deserializer).map(Self)
            }
        }
    )*};
}

unit! {
    /// Coins in wei, the smallest unit: 1 stos = 10^18 wei.
    Amount(u128)
}
unit! {
    /// Prepaid traffic in noz: 1 noz pays for 1 byte moved; 1 oz = 10^9 noz.
    Noz(u128)
}
unit! {
    /// A number of bytes.
    Bytes(u64)
}
unit! {
    /// Position of a block in its chain; the genesis block is 0.
    Height(u64)
}
unit! {
    /// One attempt to agree on a block; starts at 1 in each epoch.
    View(u64)
}
unit! {
    /// Settlement period; starts at 0.
    Epoch(u64)
}
unit! {
    /// Milliseconds since the Unix epoch in ledgers, since an arbitrary start inside machines.
    Time(u64)
}

json_as!(string: Amount Noz);
json_as!(number: Bytes Height View Epoch Time);

/// Wei in one stos.
pub const WEI_PER_STOS: u128 = 1_000_000_000_000_000_000;
/// Basis points in one: rates and shares are whole numbers of them.
pub const BASIS_POINTS: u32 = 10_000;

impl Amount {
    /// Whole stos.
    ///
    /// # Panics
    /// Never for `stos` below 3 * 10^20; callers pass constants.
    pub const fn stos(stos: u64) -> Self {
        Self(stos as u128 * WEI_PER_STOS)
    }

    /// So many [`BASIS_POINTS`] of it, rounded down.
    #[must_use]
    pub fn basis_points(self, points: u32) -> Self {
        Self(mul_div(self.0, points.into(), BASIS_POINTS.into()).unwrap_or(u128::MAX))
    }

    /// `12.5 stos`: exact, without trailing zeros.
    pub fn to_stos(self) -> String {
        let (whole, part) = (self.0 / WEI_PER_STOS, self.0 % WEI_PER_STOS);
        if part == 0 {
            return format!("{whole} stos");
        }
        format!("{whole}.{} stos", format!("{part:018}").trim_end_matches('0'))
    }

    /// Reads what people write: `12.5`, `12.5stos`, `12.5 stos` (stos), `1000wei` (wei).
    ///
    /// # Errors
    /// [`ParseAmountError`] for anything else, more than 18 decimals, or more than `u128`.
    pub fn parse_human(text: &str) -> Result<Self, ParseAmountError> {
        let fail = || ParseAmountError(text.chars().take(60).collect());
        let text_trimmed = text.trim();
        if let Some(wei) = text_trimmed.strip_suffix("wei") {
            return wei.trim_end().parse().map(Self).map_err(|_| fail());
        }
        let number = text_trimmed.strip_suffix("stos").unwrap_or(text_trimmed).trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > 18 || !digits(whole) || !digits(part) || number.ends_with('.') {
            return Err(fail());
        }
        let whole: u128 = whole.parse().map_err(|_| fail())?;
        let part: u128 = format!("{part:0<18}").parse().map_err(|_| fail())?;
        whole.checked_mul(WEI_PER_STOS).and_then(|wei| wei.checked_add(part)).map(Self).ok_or_else(fail)
    }
}

/// Text that is not an amount of coins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount: write stos like `12.5` (at most 18 decimals) or wei like `1000wei`")]
pub struct ParseAmountError(pub String);

/// `floor(a * b / divisor)` with a 256-bit product. `None` if `divisor` is 0 or the result is above `u128`.
pub fn mul_div(a: u128, b: u128, divisor: u128) -> Option<u128> {
    // Most products fit, and dividing 256 bits takes several times as long.
    if let Some(product) = a.checked_mul(b) {
        return product.checked_div(divisor);
    }
    if divisor == 0 {
        return None;
    }
    let product = U256::from(a).checked_mul(U256::from(b))?;
    u128::try_from(product.checked_div(U256::from(divisor))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_amounts() {
        assert_eq!(Amount::parse_human("12.5"), Ok(Amount(12_500_000_000_000_000_000)));
        assert_eq!(Amount::parse_human("1 stos"), Ok(Amount::stos(1)));
        assert_eq!(Amount::parse_human("7wei"), Ok(Amount(7)));
        for wrong in ["", ".", "1.", "-1", "1e3", "0.0000000000000000001", "340282366920938463463374607431768211456", "1,5", "wei", "+1"] {
            assert!(Amount::parse_human(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Amount(1_500_000_000_000_000_000).to_stos(), "1.5 stos");
        assert_eq!(Amount(1).to_stos(), "0.000000000000000001 stos");
    }

    #[test]
    fn mul_div_edges() {
        assert_eq!(mul_div(u128::MAX, u128::MAX, u128::MAX), Some(u128::MAX));
        assert_eq!(mul_div(u128::MAX, 2, 1), None);
        assert_eq!((mul_div(1, 1, 0), mul_div(u128::MAX, 2, 0)), (None, None));
        assert_eq!(mul_div(u128::MAX, 2, u128::MAX), Some(2));
        assert_eq!(mul_div(7, 3, 2), Some(10));
        assert_eq!(Amount(9_999).basis_points(1), Amount(0));
        assert_eq!((Amount(u128::MAX).basis_points(BASIS_POINTS), Amount(3).basis_points(5_000)), (Amount(u128::MAX), Amount(1)));
    }

    proptest! {
        #[test]
        fn stos_text_round_trips(wei in any::<u128>()) {
            prop_assert_eq!(Amount::parse_human(&Amount(wei).to_stos()), Ok(Amount(wei)));
        }

        #[test]
        fn mul_div_is_the_floor(a in any::<u64>(), b in any::<u64>(), divisor in 1..=u64::MAX) {
            let expected = u128::from(a) * u128::from(b) / u128::from(divisor);
            prop_assert_eq!(mul_div(a.into(), b.into(), divisor.into()), Some(expected));
        }
    }
}
