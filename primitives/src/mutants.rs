//! Rules left out one at a time, to show that the tests miss them: [`crate::mutants!`] makes the list of a room, and the switch.

/// Makes `Mutant`, a rule that is broken, of names with their docs; `set`, which breaks one and mends all others in this thread; and `is`, whether one is broken.
/// Only a build of the room with its feature `mutants` can switch one on, and lists them in `Mutant::ALL`; in any other `is` is a constant.
#[macro_export]
macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule that is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        #[cfg(feature = "mutants")]
        thread_local! {
            static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
        }

        /// Breaks this rule, and mends all others, in this thread.
        #[cfg(feature = "mutants")]
        pub fn set(mutant: Option<Mutant>) {
            ACTIVE.set(mutant);
        }

        /// Whether this rule is broken.
        #[cfg(feature = "mutants")]
        pub(crate) fn is(mutant: Mutant) -> bool {
            ACTIVE.get() == Some(mutant)
        }

        /// Whether this rule is broken: never.
        #[cfg(not(feature = "mutants"))]
        pub(crate) const fn is(_: Mutant) -> bool {
            false
        }
    };
}
