//! Words, numbers, units, errors.

use crate::link::words::{Bare, Printed, Share, Words, rate, size, time};
use crate::link::{check_netem, check_rule};
use crate::time::Duration;

#[test]
fn times_have_the_units_of_tc() {
    let of = |word| time(word, Bare::Micros);
    assert_eq!(of("100ms"), Some(Duration::from_millis(100)));
    assert_eq!(of("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(of("20msecs"), Some(Duration::from_millis(20)));
    assert_eq!(of("7"), Some(Duration::from_micros(7)));
    assert_eq!(time("7", Bare::Nanos), Some(Duration::from_nanos(7)));
    assert_eq!(time("7", Bare::Refused), None);
    for wrong in ["", "ms", "1h", "-1ms", "1e9s", "90000s", "1.2.3s", "inf", "NaNs"] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}

#[test]
fn rates_and_sizes_have_the_units_of_tc() {
    assert_eq!(rate("1mbit"), Some(125_000));
    assert_eq!(rate("1Mbit"), Some(125_000));
    assert_eq!(rate("100KBps"), Some(100_000));
    assert_eq!(rate("1kibit"), Some(128));
    assert_eq!(rate("800"), Some(100));
    assert_eq!(rate("7bit"), None);
    assert_eq!(rate("10%"), None);
    assert_eq!(size("64KiB"), Some(65_536));
    assert_eq!(size("1M"), Some(1 << 20));
    assert_eq!(size("1500"), Some(1500));
    assert_eq!(size("4GiB"), None);
}

#[test]
fn percentages_print_as_tc_prints_them() {
    for (given, printed) in [
        ("25%", "25%"),
        ("0.1%", "0.1%"),
        ("33.333%", "33.333%"),
        ("100", "100%"),
        ("0%", "0%"),
        ("12.5%", "12.5%"),
        ("0.0123%", "0.0123%"),
    ] {
        assert_eq!(Share::parse(given).unwrap().to_string(), printed);
    }
    for wrong in ["101%", "-1%", "%", "1%%", "x"] {
        assert_eq!(Share::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn times_are_printed_exactly() {
    let of = |nanos| Printed(Duration::from_nanos(nanos)).to_string();
    assert_eq!(of(0), "0ns");
    assert_eq!(of(100_000_000), "100ms");
    assert_eq!(of(1_234_500_000), "1.2345s");
    assert_eq!(of(1500), "1.5us");
}

#[test]
fn operators_need_no_space() {
    let words = |text| {
        let mut words = Words::of(text).unwrap();
        core::iter::from_fn(|| words.next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(words("drop  len>=100\tfin"), ["drop", "len", ">=", "100", "fin"]);
    assert_eq!(words("a ! =b"), ["a", "!", "=", "b"]);
    assert!(words(" ").is_empty());
}

#[test]
fn errors_point_at_the_word() {
    let rule = |text| check_rule(text).unwrap_err().to_string();
    let wrong = rule("drop fnn from server");
    assert!(wrong.starts_with("`fnn`: expected a kind of segment"), "{wrong}");
    assert!(wrong.ends_with("\n  drop fnn from server\n       ^^^"), "{wrong}");
    let missing = rule("delay");
    assert!(missing.ends_with("\n  delay \n        ^"), "{missing}");
    let late = rule("drop über\tnth zero");
    assert!(late.contains("\n  drop über nth zero\n       ^^^^"), "{late}");
    let netem = check_netem("dev eth0 delay 1ms").unwrap_err().to_string();
    assert!(netem.ends_with("\n  dev eth0 delay 1ms\n      ^^^^"), "{netem}");
}

#[test]
fn a_text_without_end_is_refused() {
    let text = "drop ".repeat(1000);
    assert!(check_rule(&text).unwrap_err().to_string().contains("longer than 1024"));
}
