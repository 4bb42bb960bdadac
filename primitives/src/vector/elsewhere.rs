//! Other processors have none of it: no value of these types exists.

use super::Signed;

/// Registers of no processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {}

impl Vector {
    /// Nothing.
    pub fn all() -> Vec<Self> {
        Vec::new()
    }

    /// Never called.
    pub fn name(self) -> &'static str {
        match self {}
    }

    pub(crate) fn challenges(self, _: &[u8], _: &[Signed<'_>]) -> Vec<[u8; 64]> {
        match self {}
    }

    pub(super) fn decode(self, _: &[[u8; 32]]) -> Option<Points> {
        match self {}
    }
}

/// Points of no processor.
pub(super) enum Points {}

impl Points {
    pub fn sum(&self, _: &[[u8; 32]]) -> (Vec<[u8; 32]>, usize) {
        match *self {}
    }
}
