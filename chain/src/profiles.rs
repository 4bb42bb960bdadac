//! Profiles: what the operators of validators and nodes say about themselves, so that people who choose one know whom.
//!
//! Keys: `1 d operator` a profile. Transaction: `Describe`. One profile for an operator, whatever it operates: an account can have a validator and a node, and
//! is one person's all the same.
//!
//! 1. An operator writes its profile anew as a whole; one without a word removes it. Each field has a limit of bytes, and none holds a character that no one
//!    sees or that turns the text around it: a name stands in lists between others. Bytes are paid for like those of any transaction.
//! 2. Names are not unique, and nobody vouches for them: a list shows the operator's address beside.
//! 3. The profile goes with the last thing that its operator operates: an application that ended, or a node whose deposit was paid out. Validators stay on
//!    record for ever, and so do convicted meta nodes, with what they said of themselves. So there are never more profiles than validators and nodes.
//!
//! Source: the original network's descriptions of validators and nodes (Cosmos SDK), whose lengths these are; it has one for each of them, and one field more,
//! the number of a picture with a keeper of identities.

use borsh::{BorshDeserialize, BorshSerialize};
use primitives::Address;
use serde::{Deserialize, Serialize};
use state::Overlay;

use crate::event::Event;
use crate::keys::{self, Read};
use crate::{meta_registry, resource, staking};

/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 70;
/// Bytes of a website's address.
pub const WEBSITE_BYTES_MAX: usize = 140;
/// Bytes of what says how to reach the operator.
pub const CONTACT_BYTES_MAX: usize = 140;
/// Bytes of anything else.
pub const DETAILS_BYTES_MAX: usize = 280;

/// What an operator says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Profile {
    /// What people call it; at most [`NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Where to read more; at most [`WEBSITE_BYTES_MAX`] bytes.
    pub website: String,
    /// How to reach it when something is wrong; at most [`CONTACT_BYTES_MAX`] bytes.
    pub contact: String,
    /// Anything else; at most [`DETAILS_BYTES_MAX`] bytes.
    pub details: String,
}

/// Why a profile is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The sender operates nothing that people could ask about.
    #[error("{0} operates no validator and no node; a profile is of one who does")]
    Nobody(Address),
    /// A field is too long.
    #[error("the {field} has {found} bytes, at most {limit} are allowed")]
    Length {
        /// Which.
        field: &'static str,
        /// Its bytes.
        found: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A field has a character that is not shown as itself.
    #[error("the {field} has the character U+{found:04X}, which is not shown, or turns the text around it")]
    Character {
        /// Which.
        field: &'static str,
        /// The character's number.
        found: u32,
    },
}

/// Whether a character is shown as itself, wherever it stands: no control character, end of a line or paragraph, mark of the direction of writing, or one without a
/// width. The list is Unicode's of those to ignore (`Default_Ignorable_Code_Point`), written out because a rule of the ledger does not change with a library; of it only
/// the joiner of letters and signs (U+200D) and the variants of signs are taken, since scripts and signs that people write are made with them.
pub fn is_shown(letter: char) -> bool {
    let is_hidden = matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200c}' | '\u{200e}'
            | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    );
    !letter.is_control() && !is_hidden
}

impl Profile {
    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.name.is_empty() && self.website.is_empty() && self.contact.is_empty() && self.details.is_empty()
    }

    /// Whether each field is within its limit and shown as it is written.
    ///
    /// # Errors
    /// [`ProfileError::Length`], [`ProfileError::Character`], of the first field that is not.
    pub fn check(&self) -> Result<(), ProfileError> {
        let fields = [
            ("name", &self.name, NAME_BYTES_MAX),
            ("website", &self.website, WEBSITE_BYTES_MAX),
            ("contact", &self.contact, CONTACT_BYTES_MAX),
            ("details", &self.details, DETAILS_BYTES_MAX),
        ];
        for (field, text, limit) in fields {
            if text.len() > limit {
                return Err(ProfileError::Length { field, found: text.len(), limit });
            }
            if let Some(letter) = text.chars().find(|letter| !is_shown(*letter)) {
                return Err(ProfileError::Character { field, found: letter.into() });
            }
        }
        Ok(())
    }
}

/// What an operator says about itself.
pub fn read(state: &impl Read, operator: &Address) -> Option<Profile> {
    keys::read(state, &keys::profile(operator))
}

/// Whether somebody operates a validator or a node that has a record.
pub(crate) fn operates(state: &impl Read, operator: &Address) -> bool {
    staking::read(state, operator).is_some() || resource::operates(state, operator) || meta_registry::read(state, operator).is_some()
}

/// Writes the sender's profile, or removes it if it says nothing.
///
/// # Errors
/// [`ProfileError`]; nothing changes then.
pub fn describe(state: &mut Overlay, operator: &Address, profile: &Profile) -> Result<Event, ProfileError> {
    profile.check()?;
    if !operates(state, operator) {
        return Err(ProfileError::Nobody(*operator));
    }
    if profile.is_empty() {
        state.delete(&keys::profile(operator));
    } else {
        keys::write(state, &keys::profile(operator), profile);
    }
    Ok(Event::Described { operator: *operator, name: profile.name.clone() })
}

/// A record of an operator was removed: with the last one goes its profile.
pub(crate) fn record_removed(state: &mut Overlay, operator: &Address) {
    if !operates(state, operator) {
        state.delete(&keys::profile(operator));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with one field of so many bytes.
    fn with(field: &str, bytes: usize) -> Profile {
        let mut profile = Profile::default();
        let slot = match field {
            "name" => &mut profile.name,
            "website" => &mut profile.website,
            "contact" => &mut profile.contact,
            _ => &mut profile.details,
        };
        *slot = "x".repeat(bytes);
        profile
    }

    #[test]
    fn each_field_has_its_limit() {
        for (field, limit) in [("name", NAME_BYTES_MAX), ("website", WEBSITE_BYTES_MAX), ("contact", CONTACT_BYTES_MAX), ("details", DETAILS_BYTES_MAX)] {
            assert_eq!(with(field, limit).check(), Ok(()));
            assert_eq!(with(field, limit + 1).check(), Err(ProfileError::Length { field, found: limit + 1, limit }));
        }
        // Bytes are counted, not letters.
        let name = "ü".repeat(NAME_BYTES_MAX / 2);
        assert_eq!(Profile { name: name.clone(), ..Profile::default() }.check(), Ok(()));
        assert!(matches!(Profile { name: name + "ü", ..Profile::default() }.check(), Err(ProfileError::Length { found: 72, .. })));
    }

    #[test]
    fn what_is_not_shown_is_refused() {
        for letter in [
            '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}',
            '\u{feff}', '\u{200b}', '\u{3164}', '\u{ad}', '\u{2060}',
        ] {
            for field in 0..4 {
                let mut texts = [const { String::new() }; 4];
                texts[field] = format!("a{letter}b");
                let [name, website, contact, details] = texts;
                let refused = Profile { name, website, contact, details }.check();
                assert!(
                    matches!(refused, Err(ProfileError::Character { found, .. }) if found == u32::from(letter)),
                    "{letter:?} in field {field}: {refused:?}"
                );
            }
        }
        // Any script, and what joins the parts of a sign.
        let name = "Ærøskøbing 節点 שלום 👩\u{200d}🔧 <b>&\"'".to_owned();
        assert_eq!(Profile { name, ..Profile::default() }.check(), Ok(()));
    }
}
