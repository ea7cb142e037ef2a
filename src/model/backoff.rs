//! How long to wait between tries: named paces, bounded windows, and servers' own wishes.
//!
//! There is one retry layer, the engine's loop; everything here is a plain value that it
//! reads, so the sequences are tested without a clock.

use std::time::{Duration, SystemTime};

/// A named sequence of delays. The figures come from the guide's sources: IMDS asks for at least one
/// second after a 5xx and names 70 s as the longest update; role assignments take minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Something that comes up by itself in seconds: 1 s growing to 30 s, full jitter.
    Fast,
    /// Something that is attached or granted from outside: 15 s to 30 s.
    Slow,
    /// Something on this VM that is about to be ready: each second, after a while each five.
    Poll,
}

impl Backoff {
    /// Shortest and longest delay before try `n + 2`, counting failures from zero.
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

    /// One delay, drawn between the bounds, never shorter than what the server asked for.
    pub fn delay(self, failures: u32, asked: Option<Duration>) -> Duration {
        let (low, high) = self.bounds(failures);
        let most = u64::try_from((high - low).as_millis()).unwrap_or(u64::MAX);
        let drawn = low + Duration::from_millis(fastrand::u64(0..=most));
        drawn.max(asked.unwrap_or_default())
    }
}

/// The longest wait that a server's Retry-After may impose; a longer wish would outlive the run.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Reads Retry-After in both its forms, seconds and HTTP date (RFC 9110, section 10.2.3), clamped.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// Whether the `n`th repeat of an unchanged failure is worth a line: 1, 2, 4, 8 …
pub fn should_log(repeat: u32) -> bool {
    repeat.is_power_of_two()
}

/// How far a fleet is spread at its first boot, in milliseconds.
const SPREAD_MS: u64 = 15_000;

/// This machine's place in the spread, from its machine-id, so that it is the same at every try.
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
        for pace in [Backoff::Fast, Backoff::Slow, Backoff::Poll] {
            for failures in 0..40 {
                let (low, high) = pace.bounds(failures);
                let delay = pace.delay(failures, None);
                assert!(low <= delay && delay <= high, "{pace:?} {failures} {delay:?}");
            }
            assert!(pace.delay(0, Some(seconds(60))) >= seconds(60));
        }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_and_is_clamped() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 12:00:00 GMT").unwrap();
        assert_eq!(retry_after(" 7 ", now), Some(seconds(7)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 12:00:30 GMT", now), Some(seconds(30)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 11:00:00 GMT", now), Some(seconds(0)));
        assert_eq!(retry_after("86400", now), Some(LONGEST_RETRY_AFTER));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-3", now), None);
    }

    #[test]
    fn repeats_are_thinned() {
        let told: Vec<_> = (1..=20).filter(|n| should_log(*n)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn the_start_delay_is_steady_and_bounded() {
        let id = "4f1c2d3e5a6b7c8d9e0f112233445566\n";
        assert_eq!(start_delay(id), start_delay(id));
        assert!(start_delay("ffffffffffffffffffffffffffffffff") == Duration::from_millis(SPREAD_MS));
        assert_eq!(start_delay("00000000000000000000000000000000"), Duration::ZERO);
        assert_eq!(start_delay("not a machine id"), Duration::ZERO);
        assert_eq!(start_delay(""), Duration::ZERO);
    }
}
