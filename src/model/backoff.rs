//! Delays between attempts: named backoff sequences and servers' Retry-After values.
//!
//! The engine's loop and `token` retry; both read plain values from here, so the sequences can be tested without a clock.

use std::time::{Duration, SystemTime};

use crate::formats::http_date;

/// A named sequence of delays. The figures follow the documentation: IMDS asks clients to wait at least one second after
/// a 5xx and gives 70 s as its longest update; role assignments take minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// For services that start within seconds: 1 s growing to 30 s, with full jitter.
    Fast,
    /// For resources that are attached or granted from outside: 15 s to 30 s.
    Slow,
    /// For local state that is about to change: every second, later every five seconds.
    Poll,
}

impl Backoff {
    /// The shortest and longest delay after this many earlier failures; zero for the first failure.
    pub fn bounds(self, failures: u32) -> (Duration, Duration) {
        let second = Duration::from_secs(1);
        match self {
            Self::Fast => {
                let ceiling = 2u32.checked_pow(failures).unwrap_or(u32::MAX).min(30);
                (second, second * ceiling)
            }
            Self::Slow => (second * 15, second * 30),
            Self::Poll => {
                let steady = second * (1 + failures / 10).min(5);
                (steady, steady)
            }
        }
    }

    /// A random delay between the bounds, never shorter than the server's Retry-After.
    pub fn delay(self, failures: u32, asked: Option<Duration>) -> Duration {
        let (low, high) = self.bounds(failures);
        let most = u64::try_from((high - low).as_millis()).unwrap_or(u64::MAX);
        let drawn = low + Duration::from_millis(fastrand::u64(0..=most));
        drawn.max(asked.unwrap_or_default())
    }
}

/// The longest wait that a server's Retry-After may impose; a longer one would exceed the run.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Parses Retry-After as seconds or as an HTTP date (RFC 9110, section 10.2.3), clamped to [`LONGEST_RETRY_AFTER`].
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => http_date::parse(value)?.duration_since(now).unwrap_or_default(),
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// Whether the `n`th occurrence of an unchanged failure is logged: 1, 2, 4, 8 …
pub fn should_log(repeat: u32) -> bool {
    repeat.is_power_of_two()
}

/// The interval over which a fleet's first boots are spread, in milliseconds.
const SPREAD_MS: u64 = 15_000;

/// This machine's start delay, derived from its machine-id so that every attempt has the same one.
pub fn start_delay(machine_id: &str) -> Duration {
    let digits: String = machine_id.trim().chars().rev().take(8).collect();
    match u32::from_str_radix(&digits, 16) {
        Ok(number) => Duration::from_millis(SPREAD_MS * u64::from(number) / u64::from(u32::MAX)),
        Err(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn fast_grows_from_one_second_to_thirty() {
        let ceilings: Vec<_> = (0..8).map(|n| Backoff::Fast.bounds(n).1.as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(Backoff::Fast.bounds(u32::MAX), (seconds(1), seconds(30)));
    }

    #[test]
    fn delays_stay_within_bounds_and_honour_the_server() {
        for backoff in [Backoff::Fast, Backoff::Slow, Backoff::Poll] {
            for failures in 0..40 {
                let (low, high) = backoff.bounds(failures);
                let delay = backoff.delay(failures, None);
                assert!(low <= delay && delay <= high, "{backoff:?} {failures} {delay:?}");
            }
            assert!(backoff.delay(0, Some(seconds(60))) >= seconds(60));
        }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_and_is_clamped() {
        let now = http_date::parse("Mon, 23 Nov 2026 12:00:00 GMT").unwrap();
        assert_eq!(retry_after(" 7 ", now), Some(seconds(7)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 12:00:30 GMT", now), Some(seconds(30)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 11:00:00 GMT", now), Some(seconds(0)));
        assert_eq!(retry_after("86400", now), Some(LONGEST_RETRY_AFTER));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-3", now), None);
    }

    #[test]
    fn repeats_are_logged_at_powers_of_two() {
        let logged: Vec<_> = (1..=20).filter(|n| should_log(*n)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn the_start_delay_is_constant_and_bounded() {
        let id = "4f1c2d3e5a6b7c8d9e0f112233445566\n";
        assert_eq!(start_delay(id), start_delay(id));
        assert!(start_delay("ffffffffffffffffffffffffffffffff") == Duration::from_millis(SPREAD_MS));
        assert_eq!(start_delay("00000000000000000000000000000000"), Duration::ZERO);
        assert_eq!(start_delay("not a machine id"), Duration::ZERO);
        assert_eq!(start_delay(""), Duration::ZERO);
    }
}
