//! Byte ranges of HTTP (RFC 9110, section 14), decided from text alone.

use std::ops::Range;

/// What of a body is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    Whole,
    /// These bytes; never empty and never beyond the end.
    Part(Range<u64>),
    /// None: the range lies behind the end.
    Nothing,
}

/// What a `Range` header selects of a body of `bytes` bytes.
///
/// What is no range of bytes is ignored, as the RFC demands, and so is a list of several ranges, as it permits: then the whole body is sent.
pub fn select(header: Option<&str>, bytes: u64) -> Selection {
    header.and_then(|header| parse(header, bytes)).unwrap_or(Selection::Whole)
}

/// `None` if the header is to be ignored.
fn parse(header: &str, bytes: u64) -> Option<Selection> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => return None,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(bytes),
        (Some(first), None) if last.is_empty() => first..bytes,
        (None, Some(suffix)) if first.is_empty() => bytes.saturating_sub(suffix)..bytes,
        (Some(_) | None, _) => return None,
    };
    Some(if range.start < range.end { Selection::Part(range) } else { Selection::Nothing })
}

/// Digits only; a number above `u64` is behind every end.
fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether a tag list, as `If-Match` brings it, contains `tag` itself: a weak tag is another one.
pub fn is_matched(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| one == "*" || one == tag)
}

/// Whether a tag list, as `If-None-Match` brings it, contains `tag`; weak tags compare as strong ones.
pub fn is_listed(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Whether the `Range` of a request counts, given its `If-Range`: only with exactly the strong tag of what is here. A date never counts, since none is sent.
pub fn is_current(condition: Option<&str>, tag: &str) -> bool {
    condition.is_none_or(|condition| condition.trim() == tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        let part = |first: u64, end: u64| Selection::Part(first..end);
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-", part(500, 1000)),
            ("bytes=-500", part(500, 1000)),
            ("bytes=-5000", part(0, 1000)),
            ("bytes=999-2000", part(999, 1000)),
            ("BYTES = 0-0", part(0, 1)),
            ("bytes=0-99999999999999999999999999", part(0, 1000)),
            ("bytes=1000-", Selection::Nothing),
            ("bytes=1000-1001", Selection::Nothing),
            ("bytes=-0", Selection::Nothing),
            ("bytes=99999999999999999999999999-", Selection::Nothing),
            ("bytes=5-4", Selection::Whole),
            ("bytes=0-1,5-6", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("bytes", Selection::Whole),
            ("items=0-1", Selection::Whole),
            ("", Selection::Whole),
        ] {
            assert_eq!(select(Some(header), 1000), expected, "{header}");
        }
        assert_eq!(select(None, 1000), Selection::Whole);
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Nothing);
        assert_eq!(select(Some("bytes=-1"), 0), Selection::Nothing);
    }

    #[test]
    fn tags() {
        assert!(is_listed("\"a\"", "\"a\"") && is_listed("\"b\", W/\"a\"", "\"a\"") && is_listed("*", "\"a\""));
        assert!(!is_listed("", "\"a\"") && !is_listed("\"ab\"", "\"a\"") && !is_listed("a", "\"a\""));
        assert!(is_matched("\"b\", \"a\"", "\"a\"") && is_matched("*", "\"a\"") && !is_matched("W/\"a\"", "\"a\""));
        assert!(is_current(None, "\"a\"") && is_current(Some("\"a\""), "\"a\""));
        assert!(!is_current(Some("W/\"a\""), "\"a\"") && !is_current(Some("Sat, 29 Oct 1994 19:43:31 GMT"), "\"a\""));
    }

    proptest! {
        #[test]
        fn any_text_selects_within_the_body(text in ".{0,40}", bytes: u64) {
            if let Selection::Part(range) = select(Some(&text), bytes) {
                prop_assert!(range.start < range.end && range.end <= bytes);
            }
        }

        /// Against a body that is really there: the RFC's words, byte by byte.
        #[test]
        fn as_the_bytes_say(first in 0_u64..40, last in 0_u64..40, bytes in 0_u64..30) {
            let selected = |keep: &dyn Fn(u64) -> bool| {
                let kept: Vec<u64> = (0..bytes).filter(|at| keep(*at)).collect();
                kept.first().zip(kept.last()).map_or(Selection::Nothing, |(first, last)| Selection::Part(*first..last + 1))
            };
            if first <= last {
                prop_assert_eq!(select(Some(&format!("bytes={first}-{last}")), bytes), selected(&|at| at >= first && at <= last));
            }
            prop_assert_eq!(select(Some(&format!("bytes={first}-")), bytes), selected(&|at| at >= first));
            prop_assert_eq!(select(Some(&format!("bytes=-{last}")), bytes), selected(&|at| at + last >= bytes));
        }
    }
}
