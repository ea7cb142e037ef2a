//! Reads the dates of HTTP headers (RFC 9110, section 5.6.7).

use std::time::SystemTime;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms, which servers must not send, are not read.
pub fn parse(text: &str) -> Option<SystemTime> {
    let mut words = text.split_ascii_whitespace();
    let (_weekday, day, month, year, time) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    let is_whole = words.next() == Some("GMT") && words.next().is_none() && time.len() == 8;
    let date = format!("{year}-{month:02}-{day}T{time}Z");
    humantime::parse_rfc3339(&date).ok().filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_a_library() {
        for seconds in [0, 784_111_777, 951_827_696, 1_709_251_199, 1_795_867_200, 4_102_444_799_u64] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(&httpdate::fmt_http_date(time)), Some(time), "{seconds}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nvo 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37Z GMT",
            "Sun, ö6 Nov 1994 08:49:3ö GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
