//! The stack's clock as data: what the command line asks of it, what it answers, and how fast it
//! can be.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// What is asked of the stack's clock: answer [`super::Answer::Clock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockCommand {
    /// How it stands.
    Show,
    /// Puts it forward. Everything that becomes due is done, in order, as far as that can be done
    /// in a moment: as long as the answer tells of [`ClockRow::behind_ns`], [`ClockCommand::CatchUp`]
    /// goes on.
    Advance(Duration),
    /// Goes on with what is due.
    CatchUp,
    /// So much faster than real time.
    Scale(Scale),
    /// Stands still.
    Pause,
    /// Goes on.
    Resume,
}

/// How the stack's clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRow {
    /// Stack time: nanoseconds since the stack began.
    pub time_ns: u64,
    /// Real time since then.
    pub real_ns: u64,
    /// Stack time that passes in a second of real time, unless the clock is paused.
    pub scale: Scale,
    /// It stands still.
    pub paused: bool,
    /// How much later it should be than it is: timers that are due have still to run.
    pub behind_ns: u64,
    /// Stack time until a timer may have to do something, where one runs.
    pub next_timer_ns: Option<u64>,
}

/// Speed of the stack's clock: `numerator` of its seconds pass in `denominator` real ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scale {
    numerator: u32,
    denominator: u32,
}

impl Scale {
    /// As fast as real time.
    pub const REAL: Scale = Scale { numerator: 1, denominator: 1 };
    /// Fastest, and as a fraction slowest. Were it faster, the microseconds that a segment takes
    /// over the loopback interface would be round trips of seconds.
    pub const MOST: u32 = 1000;

    /// `numerator / denominator`, from 1/[`Scale::MOST`] to [`Scale::MOST`].
    pub fn new(numerator: u32, denominator: u32) -> Option<Scale> {
        let (n, d) = (u64::from(numerator), u64::from(denominator));
        let most = u64::from(Scale::MOST);
        (n > 0 && d > 0 && n <= d * most && d <= n * most).then(|| {
            let divisor = greatest_common_divisor(numerator, denominator);
            Scale { numerator: numerator / divisor, denominator: denominator / divisor }
        })
    }

    /// Stack time that passes in `real`.
    pub fn stack_time(self, real: Duration) -> Duration {
        scaled(real, self.numerator, self.denominator, Rounding::Down)
    }

    /// Real time in which `stack` has passed.
    pub fn real_time(self, stack: Duration) -> Duration {
        scaled(stack, self.denominator, self.numerator, Rounding::Up)
    }
}

#[derive(PartialEq)]
enum Rounding {
    Down,
    Up,
}

fn scaled(time: Duration, numerator: u32, denominator: u32, rounding: Rounding) -> Duration {
    let product = time.as_nanos().saturating_mul(numerator.into());
    let nanos = match rounding {
        Rounding::Down => product / u128::from(denominator),
        Rounding::Up => product.div_ceil(denominator.into()),
    };
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl TryFrom<String> for Scale {
    type Error = String;

    fn try_from(text: String) -> Result<Scale, String> {
        text.parse()
    }
}

impl From<Scale> for String {
    fn from(scale: Scale) -> String {
        scale.to_string()
    }
}

impl FromStr for Scale {
    type Err = String;

    /// `20x`, `0.5x`, `1/3x`; the `x` may be left out.
    fn from_str(text: &str) -> Result<Scale, String> {
        let number = text.trim().trim_end_matches(['x', 'X']);
        let parts = match number.split_once('/') {
            Some((n, d)) => n.parse().ok().zip(d.parse().ok()),
            None => decimal(number),
        };
        parts.and_then(|(numerator, denominator)| Scale::new(numerator, denominator)).ok_or_else(
            || {
                let most = Scale::MOST;
                format!(
                    "'{text}' is not a scale: write 20x, 0.5x or 1/3x, from 1/{most}x to {most}x"
                )
            },
        )
    }
}

/// A decimal fraction as numerator and denominator.
fn decimal(text: &str) -> Option<(u32, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let all_digits = !whole.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    let denominator = 10_u32.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    all_digits.then(|| Some((digits.parse().ok()?, denominator)))?
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DECIMALS: u32 = 1000;
        let Scale { numerator, denominator } = *self;
        match denominator {
            1 => write!(f, "{numerator}x"),
            _ if DECIMALS.is_multiple_of(denominator) => {
                let thousandths = u64::from(numerator) * u64::from(DECIMALS / denominator);
                let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
                write!(f, "{}x", text.trim_end_matches('0'))
            }
            _ => write!(f, "{numerator}/{denominator}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_read_and_written() {
        let written =
            [("20x", "20x"), ("20", "20x"), ("0.5x", "0.5x"), ("1/3", "1/3x"), ("2.50", "2.5x")];
        for (text, expected) in written {
            assert_eq!(text.parse::<Scale>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_scale_beyond_the_limits_is_refused() {
        for text in ["0", "", "x", "-1x", "1001x", "1/1001", "1/0", "1.2.3", "fast", ".5x", "1e3"] {
            let error = text.parse::<Scale>().unwrap_err();
            assert!(error.contains("write 20x"), "{error}");
        }
    }

    #[test]
    fn real_time_for_a_stack_time_is_never_too_short() {
        let scale = Scale::new(3, 1).unwrap();
        let wanted = Duration::from_nanos(10);
        assert_eq!(scale.real_time(wanted), Duration::from_nanos(4));
        assert!(scale.stack_time(scale.real_time(wanted)) >= wanted);
        assert_eq!(scale.stack_time(Duration::from_nanos(4)), Duration::from_nanos(12));
    }

    #[test]
    fn a_scale_is_its_text_on_the_control_channel() {
        assert_eq!(serde_json::to_string(&Scale::new(40, 60)).unwrap(), "\"2/3x\"");
        assert_eq!(serde_json::from_str::<Scale>("\"2/3x\"").unwrap(), Scale::new(2, 3).unwrap());
        assert!(serde_json::from_str::<Scale>("\"1/0x\"").is_err());
    }
}
