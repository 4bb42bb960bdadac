//! What people read: aligned text with rounded numbers and units; programs get exact numbers as JSON.

use std::io::{self, Write};

use primitives::units::WEI_PER_STOS;
use primitives::{Amount, Bytes, Noz, Time};
use serde::Serialize;

use super::failure::Failure;

/// Decimals of stos that people are shown; what is cut off is marked with `~`.
const STOS_DECIMALS: usize = 9;
/// Below this many wei (what `STOS_DECIMALS` can show) amounts are shown in wei.
const SHOWN_AS_WEI: u128 = 1_000_000_000;
/// Below this many wei (a thousandth of a stos: fees) all decimals are shown, since cutting would leave few digits.
const SHOWN_EXACT: u128 = WEI_PER_STOS / 1_000;
/// Noz in one oz.
const NOZ_PER_OZ: u128 = 1_000_000_000;
/// Below this many noz ozone is shown in noz.
const SHOWN_AS_NOZ: u128 = 1_000_000;

/// Prints `value` as JSON, or what people read.
///
/// # Errors
/// [`Failure`] if standard output cannot be written; a reader that has gone away is none.
pub fn print<T: Serialize>(as_json: bool, value: &T, people: impl FnOnce() -> String) -> Result<(), Failure> {
    let text =
        if as_json { serde_json::to_string(value).map_err(|error| Failure::refused(format!("cannot write the answer as JSON: {error}")))? } else { people() };
    stdout(text.trim_end_matches('\n').as_bytes())?;
    stdout(b"\n")
}

/// Writes to standard output.
///
/// # Errors
/// As [`print()`].
pub fn stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // `stratos block show | head -1`: whoever read has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::refused(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes to standard error; there is nobody to tell if that fails.
pub fn stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `label  value` lines, values in one column.
pub fn fields<L: AsRef<str>>(fields: &[(L, String)]) -> String {
    let width = fields.iter().map(|(label, _)| label.as_ref().chars().count()).max().unwrap_or(0);
    fields.iter().map(|(label, value)| format!("{:width$}  {value}", label.as_ref()).trim_end().to_owned() + "\n").collect()
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a heading; columns are two spaces apart.
pub fn table<const N: usize>(columns: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([columns[at].0.chars().count()]).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells: Vec<String> = (0..N)
            .map(|at| match columns[at].1 {
                Align::Left => format!("{:width$}", cells[at], width = widths[at]),
                Align::Right => format!("{:>width$}", cells[at], width = widths[at]),
            })
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(line(columns.map(|(heading, _)| heading))).chain(rows.iter().map(|row| line(row.each_ref().map(String::as_str)))).collect()
}

/// `1,234,567`.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234.5 stos`; `~` before it if decimals beyond the ninth were cut off; small amounts exactly, very small ones as `700 wei`.
pub fn stos(amount: Amount) -> String {
    if amount.0 > 0 && amount.0 < SHOWN_AS_WEI {
        return format!("{} wei", grouped(amount.0));
    }
    let decimals = format!("{:018}", amount.0 % WEI_PER_STOS);
    let (shown, cut) = decimals.split_at(if amount.0 < SHOWN_EXACT { decimals.len() } else { STOS_DECIMALS });
    let mark = if cut.bytes().any(|digit| digit != b'0') { "~" } else { "" };
    format!("{mark}{}{} stos", grouped(amount.0 / WEI_PER_STOS), fraction(shown))
}

/// `5.5 oz`, exact; small balances as `700 noz`.
pub fn ozone(noz: Noz) -> String {
    if noz.0 < SHOWN_AS_NOZ {
        return format!("{} noz", grouped(noz.0));
    }
    format!("{}{} oz", grouped(noz.0 / NOZ_PER_OZ), fraction(&format!("{:09}", noz.0 % NOZ_PER_OZ)))
}

/// `.5` of `500`, nothing of `000`.
fn fraction(decimals: &str) -> String {
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() { String::new() } else { format!(".{decimals}") }
}

/// `1,572,864 bytes (1.5 MiB)`.
pub fn bytes(bytes: Bytes) -> String {
    let exact = format!("{} byte{}", grouped(bytes.0.into()), if bytes.0 == 1 { "" } else { "s" });
    if bytes.0 < 1_024 { exact } else { format!("{exact} ({})", size(bytes)) }
}

/// `1.5 MiB`, rounded down to a tenth.
pub fn size(bytes: Bytes) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.0 < 1_024 {
        return format!("{} B", bytes.0);
    }
    let exponent = (bytes.0.ilog2() / 10).clamp(1, 6);
    let tenths = u128::from(bytes.0) * 10 / (1_u128 << (10 * exponent));
    let unit = usize::try_from(exponent - 1).map_or("", |at| UNITS[at]);
    let fraction = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
    format!("{}{fraction} {unit}", grouped(tenths / 10))
}

/// `2026-01-31 12:34:56 UTC`.
pub fn time(time: Time) -> String {
    let seconds = time.0 / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date in the Gregorian calendar, counted from 1 March of year 0: H. Hinnant, "chrono-compatible low-level date algorithms".
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}

/// `12 s ago`, by the clocks of the same node.
pub fn age(now: Time, then: Time) -> String {
    let seconds = now.saturating_sub(then).0 / 1_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        172_800.. => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(stos(Amount::ZERO), "0 stos");
        assert_eq!(stos(Amount::stos(1_234_567)), "1,234,567 stos");
        assert_eq!(stos(Amount(12_500_000_000_000_000_000)), "12.5 stos");
        assert_eq!(stos(Amount(12_500_000_000_000_000_001)), "~12.5 stos");
        assert_eq!(stos(Amount(3_500_000_001)), "0.000000003500000001 stos");
        assert_eq!(stos(Amount(999_999_999)), "999,999,999 wei");
        assert_eq!(stos(Amount(1_000_000_000)), "0.000000001 stos");
        assert_eq!(ozone(Noz(5_714_285_714_285)), "5,714.285714285 oz");
        assert_eq!(ozone(Noz(100_000)), "100,000 noz");
        assert_eq!(ozone(Noz(2_000_000_000)), "2 oz");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(Bytes(0)), "0 bytes");
        assert_eq!(bytes(Bytes(1)), "1 byte");
        assert_eq!(bytes(Bytes(1_572_864)), "1,572,864 bytes (1.5 MiB)");
        assert_eq!(size(Bytes(1_023)), "1023 B");
        assert_eq!(size(Bytes(1_024)), "1 KiB");
        assert_eq!(size(Bytes(1 << 40)), "1 TiB");
        assert_eq!(size(Bytes(u64::MAX)), "15.9 EiB");
    }

    #[test]
    fn times() {
        assert_eq!(time(Time(0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(Time(951_782_400_000)), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(Time(1_735_689_599_999)), "2024-12-31 23:59:59 UTC");
        assert_eq!(age(Time(10_000), Time(20_000)), "0 s ago", "clocks differ a little");
        assert_eq!(age(Time(7_300_000), Time(0)), "2 h ago");
    }

    #[test]
    fn columns() {
        let rows = [["a".to_owned(), "1,000".to_owned()], ["longer".to_owned(), "7".to_owned()]];
        assert_eq!(table([("name", Align::Left), ("n", Align::Right)], &rows), "name        n\na       1,000\nlonger      7\n");
        assert_eq!(fields(&[("a", "1".to_owned()), ("long", "2".to_owned())]), "a     1\nlong  2\n");
    }

    proptest! {
        #[test]
        fn any_number_is_shown(number in any::<u128>(), small in any::<u64>()) {
            prop_assert_eq!(grouped(number).replace(',', "").parse(), Ok(number));
            prop_assert!(stos(Amount(number)).ends_with(" stos") || number < SHOWN_AS_WEI);
            prop_assert!(!ozone(Noz(number)).is_empty() && !bytes(Bytes(small)).is_empty() && !time(Time(small)).is_empty());
        }
    }
}
