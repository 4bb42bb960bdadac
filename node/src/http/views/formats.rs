//! The schemas of what lower rooms write into answers, for the interface's description: those rooms know nothing of HTTP.
//!
//! `build.rs` says which of these stands for which type. None of them has a value.

use std::borrow::Cow;

use chain::event::KINDS;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A schema as it is written.
///
/// # Panics
/// If it is none: all that are written are in the program, and in the description, which tests read.
pub fn written(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).expect("a JSON schema")
}

/// Something else than JSON: text, or bytes.
pub fn other(media_type: &str) -> RefOr<Schema> {
    written(if media_type.contains("text") { json!({"type": "string"}) } else { json!({"type": "string", "format": "binary"}) })
}

macro_rules! formats {
    ($($(#[$documentation:meta])* $name:ident as $component:literal: $schema:tt)*) => {
        $(
            $(#[$documentation])*
            pub enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    written(json!($schema))
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    $component.into()
                }
            }
        )*

        /// All of them, under their names.
        pub fn all() -> Vec<(String, RefOr<Schema>)> {
            vec![$(($component.to_owned(), <$name as PartialSchema>::schema()),)*]
        }
    };
}

formats! {
    /// [`primitives::Amount`].
    AmountDigits as "Amount": {"type": "string", "pattern": "^[0-9]+$", "description": "An amount of coins in wei, of which 10^18 are one stos: decimal digits."}
    /// [`primitives::Noz`].
    NozDigits as "Noz": {"type": "string", "pattern": "^[0-9]+$", "description": "An amount of ozone in noz, of which 10^9 are one ozone: decimal digits."}
    /// [`primitives::Hash`].
    HashDigits as "Hash": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "32 bytes: 64 hexadecimal digits."}
    /// [`primitives::PublicKey`].
    KeyDigits as "PublicKey": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "A ristretto255 point: 64 hexadecimal digits."}
    /// [`primitives::Address`].
    AddressText as "Address": {"type": "string", "pattern": "^st1[02-9ac-hj-np-z]{38}$", "description": "An account: bech32m of 20 bytes."}
    /// [`primitives::Height`].
    HeightNumber as "Height": {"type": "integer", "minimum": 0, "description": "Blocks before this one."}
    /// [`primitives::View`].
    ViewNumber as "View": {"type": "integer", "minimum": 0, "description": "One attempt of the voters to agree on a block; counted in their epoch."}
    /// [`primitives::Epoch`].
    EpochNumber as "Epoch": {"type": "integer", "minimum": 0, "description": "Epochs before this one."}
    /// [`primitives::Time`].
    TimeNumber as "Time": {"type": "integer", "minimum": 0, "description": "Milliseconds since the beginning of 1970."}
    /// [`primitives::Bytes`].
    BytesNumber as "Bytes": {"type": "integer", "minimum": 0, "description": "A number of bytes."}
    /// [`chain::ballots::Motion`].
    MotionObject as "Motion": {
        "type": "object",
        "description": "What meta nodes vote on, and the operator of the node that it is about.",
        "required": ["motion", "operator"],
        "properties": {
            "motion": {"type": "string", "enum": ["admit", "expel", "suspend", "resume"]},
            "operator": {"$ref": "#/components/schemas/Address"}
        }
    }
    /// [`chain::governance::Action`].
    ActionObject as "Action": {"oneOf": [
        {
            "type": "object",
            "description": "Change a parameter, in its unit.",
            "required": ["action", "name", "value"],
            "properties": {
                "action": {"type": "string", "enum": ["set_parameter"]},
                "name": {"type": "string"},
                "value": {"type": "string", "pattern": "^[0-9]+$"}
            }
        },
        {
            "type": "object",
            "description": "Pay from the community pool.",
            "required": ["action", "to", "amount"],
            "properties": {
                "action": {"type": "string", "enum": ["spend"]},
                "to": {"$ref": "#/components/schemas/Address"},
                "amount": {"$ref": "#/components/schemas/Amount"}
            }
        },
        {
            "type": "object",
            "description": "Let an applicant become a meta node, when none is left that could vote; or take a meta node out.",
            "required": ["action", "operator"],
            "properties": {
                "action": {"type": "string", "enum": ["admit_meta", "remove_meta"]},
                "operator": {"$ref": "#/components/schemas/Address"}
            }
        }
    ]}
    /// [`chain::governance::Choice`].
    ChoiceName as "Choice": {"type": "string", "enum": ["yes", "no", "abstain", "veto"], "description": "How somebody votes on a proposal."}
    /// [`chain::governance::Outcome`].
    OutcomeObject as "Outcome": {"oneOf": [
        {
            "type": "object",
            "description": "What became of a proposal.",
            "required": ["outcome"],
            "properties": {"outcome": {"type": "string", "enum": ["open", "carried", "quorum", "rejected", "vetoed"]}}
        },
        {
            "type": "object",
            "description": "It was carried, and an action was not possible.",
            "required": ["outcome", "cause"],
            "properties": {"outcome": {"type": "string", "enum": ["failed"]}, "cause": {"type": "string"}}
        }
    ]}
    /// [`chain::pools::Fund`].
    FundName as "Fund": {"type": "string", "enum": ["community", "reserve"], "description": "A pool that anybody can give to."}
    /// [`chain::profiles::Profile`].
    ProfileObject as "Profile": {
        "type": "object",
        "description": "What an operator says about itself, which nobody vouches for.",
        "required": ["name", "website", "contact", "details"],
        "properties": {
            "name": {"type": "string"},
            "website": {"type": "string"},
            "contact": {"type": "string"},
            "details": {"type": "string"}
        }
    }
    /// [`chain::metering::Costs`].
    CostsObject as "Costs": {
        "type": "object",
        "description": "Units of any transaction, of a byte, of a message, and of a signature beyond the first.",
        "required": ["base", "byte", "message", "signature"],
        "properties": {
            "base": {"type": "integer", "minimum": 0},
            "byte": {"type": "integer", "minimum": 0},
            "message": {"type": "integer", "minimum": 0},
            "signature": {"type": "integer", "minimum": 0}
        }
    }
    /// [`chain::event::Event`].
    EventObject as "Event": {
        "type": "object",
        "description": "Something that moved money or changed a right: its kind under `event`, and the kind's fields.",
        "required": ["event"],
        "properties": {"event": {"type": "string", "enum": KINDS.as_slice()}},
        "additionalProperties": true
    }
    /// [`chain::Genesis`].
    GenesisObject as "Genesis": {
        "type": "object",
        "description": "A genesis file: docs/genesis.md of the source describes its fields.",
        "additionalProperties": true
    }
}
