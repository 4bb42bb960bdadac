//! Which schema stands for a type of a lower room, wherever an answer of the HTTP interface has one: those rooms know nothing of HTTP.

/// The type's name, and that of its schema in `src/http/views/formats.rs`.
const FORMATS: [(&str, &str); 18] = [
    ("Amount", "crate::http::views::formats::AmountDigits"),
    ("Noz", "crate::http::views::formats::NozDigits"),
    ("Hash", "crate::http::views::formats::HashDigits"),
    ("PublicKey", "crate::http::views::formats::KeyDigits"),
    ("Address", "crate::http::views::formats::AddressText"),
    ("Height", "crate::http::views::formats::HeightNumber"),
    ("View", "crate::http::views::formats::ViewNumber"),
    ("Epoch", "crate::http::views::formats::EpochNumber"),
    ("Time", "crate::http::views::formats::TimeNumber"),
    ("Bytes", "crate::http::views::formats::BytesNumber"),
    ("Motion", "crate::http::views::formats::MotionObject"),
    ("Action", "crate::http::views::formats::ActionObject"),
    ("Choice", "crate::http::views::formats::ChoiceName"),
    ("Outcome", "crate::http::views::formats::OutcomeObject"),
    ("Fund", "crate::http::views::formats::FundName"),
    ("Profile", "crate::http::views::formats::ProfileObject"),
    ("Genesis", "crate::http::views::formats::GenesisObject"),
    ("Costs", "crate::http::views::formats::CostsObject"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    FORMATS.into_iter().fold(utoipa_config::Config::new(), |config, (name, format)| config.alias_for(name, format)).write_to_file();
}
