//! Percent-encoding (RFC 3986, section 2.1), for parts of URLs and the credentials of proxy URLs.

use percent_encoding::{percent_decode_str, utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

/// All characters except the unreserved ones of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes every byte outside the unreserved characters as `%XX`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decodes a text; `None` where a `%` is not followed by two hexadecimal digits, or the result is not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let is_code =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    let is_encoded = text.split('%').skip(1).all(is_code);
    is_encoded.then(|| percent_decode_str(text).decode_utf8().ok()).flatten().map(Into::into)
}

/// Decodes a text from another program: an invalid `%` is kept, and a text whose result is not UTF-8 is unchanged.
pub fn decode_leniently(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_decodes_to_the_original() {
        for (text, encoded) in [
            ("", ""),
            ("aZ09-._~", "aZ09-._~"),
            ("/a b/ü&=+%", "%2Fa%20b%2F%C3%BC%26%3D%2B%25"),
            ("line\nbreak\u{0}", "line%0Abreak%00"),
            ("%41", "%2541"),
        ] {
            assert_eq!(encode(text), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(text));
            assert_eq!(decode_leniently(encoded), text);
        }
        assert_eq!(decode("%c3%bC@:").as_deref(), Some("ü@:"));
    }

    #[test]
    fn invalid_codes_are_rejected_or_kept() {
        for text in ["%", "a%2", "%zz", "%+1", "%%41", "100%", "%é1", "%2é"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode_leniently("p%3Aw%2"), "p:w%2");
        assert_eq!(decode_leniently("100% %zz %%41"), "100% %zz %A");
        for no_utf8 in ["%ff", "a%C3"] {
            assert_eq!((decode(no_utf8), decode_leniently(no_utf8).as_str()), (None, no_utf8));
        }
    }
}
