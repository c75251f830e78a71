//! Durations as people write them: `500ms`, `60s`, `1m30s`, `2h`. What is printed can be read back.

use core::time::Duration;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1000 * NANOSECOND;
const MILLISECOND: u64 = 1000 * MICROSECOND;
const SECOND: u64 = 1000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Reads one number with its unit after the other: `1h30m`, `2.5s`. For use as a clap value parser.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    parts(text.trim())
        .ok_or_else(|| format!("'{text}' is not a duration: write 500ms, 60s, 1m30s or 2h"))
}

fn parts(text: &str) -> Option<Duration> {
    let (mut nanos, mut rest) = (0_u64, text);
    loop {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        nanos = nanos.checked_add(part(number, unit)?)?;
        rest = next;
        if rest.is_empty() {
            return Some(Duration::from_nanos(nanos));
        }
    }
}

/// One number with its unit, in nanoseconds.
fn part(number: &str, unit: &str) -> Option<u64> {
    let unit = match unit {
        "ns" => NANOSECOND,
        "us" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" | "sec" => SECOND,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Finer than any unit: what has more digits is not meant.
    const MOST_DIGITS: usize = 9;
    if fraction.len() > MOST_DIGITS {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / scale;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    whole.checked_add(u64::try_from(fraction).ok()?)
}

/// `2h5m`, `1m2.5s`, `250ms`, `15us`: no zeros, and fractions of a second to the microsecond.
pub(super) fn duration(time: Duration) -> String {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    if nanos < SECOND {
        return match nanos {
            0 => "0s".to_owned(),
            1..MICROSECOND => format!("{nanos}ns"),
            MICROSECOND..MILLISECOND => decimal(nanos, MICROSECOND, "us"),
            _ => decimal(nanos, MILLISECOND, "ms"),
        };
    }
    let mut text = String::new();
    for (unit, size, most) in [("d", DAY, u64::MAX), ("h", HOUR, 24), ("m", MINUTE, 60)] {
        let count = nanos / size % most;
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    // Beside hours nobody asks for microseconds.
    let precision = if nanos < HOUR { MICROSECOND } else { MILLISECOND };
    let seconds = nanos % MINUTE / precision * precision;
    if seconds > 0 {
        text += &decimal(seconds, SECOND, "s");
    }
    text
}

/// A number of units, with at most so many decimals as say something.
fn decimal(nanos: u64, unit: u64, name: &str) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let read = [
            ("500ms", 500_000_000),
            ("60s", 60 * SECOND),
            ("1m30s", 90 * SECOND),
            ("2h", 2 * HOUR),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            ("0h0.25us", 250),
            ("1d1h1min1sec1ms1us1ns", DAY + HOUR + MINUTE + SECOND + 1_001_001),
        ];
        for (text, nanos) in read {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_answered_with_examples() {
        let bad = ["", "60", "s", "1x", "-1s", "1s2", "1..2s", ".5s", "999999999d", "1 m"];
        for text in bad {
            let error = parse_duration(text).unwrap_err();
            assert!(error.ends_with("write 500ms, 60s, 1m30s or 2h"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let written = [
            (0, "0s"),
            (15, "15ns"),
            (1500, "1.5us"),
            (250_000_000, "250ms"),
            (2_500_000_000, "2.5s"),
            (62_500_000_000, "1m2.5s"),
            (2 * HOUR, "2h"),
            (25 * HOUR + 5 * MINUTE, "1d1h5m"),
        ];
        for (nanos, text) in written {
            let time = Duration::from_nanos(nanos);
            assert_eq!(duration(time), text);
            assert_eq!(parse_duration(text), Ok(time));
        }
        assert_eq!(duration(Duration::from_nanos(HOUR + 1_234_567)), "1h0.001s");
    }
}
