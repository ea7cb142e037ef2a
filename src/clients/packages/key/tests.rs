use super::*;

/// Generated for these tests with gpg; the private keys were deleted.
const FIRST: &str = include_str!("../testdata/first.asc");
const SECOND: &str = include_str!("../testdata/second.asc");
const BOTH: &str = include_str!("../testdata/both.asc");
/// A key with a subkey, whose user id was also signed by another key.
const WITH_SUBKEY: &str = include_str!("../testdata/with-subkey.asc");
const FIRST_PRINT: &str = "4D142F751F5252F4F86426B70969F89728A159AF";
const SECOND_PRINT: &str = "35721E93F095BD5CD300E5D7A95B967C1AFD9D6F";
const WITH_SUBKEY_PRINT: &str = "8A70B5A9EF7219DF820CF9D6C510006E15D07EE2";

fn bytes(armored: &str) -> Vec<u8> {
    armor::decode(armored).unwrap()
}

fn tags(armored: &str) -> Vec<u8> {
    packet::split(&bytes(armored)).unwrap().iter().map(|packet| packet.tag).collect()
}

#[test]
fn every_key_in_the_file_must_be_known() {
    assert_eq!(keyring(FIRST, &[FIRST_PRINT]).unwrap(), FIRST);
    assert_eq!(keyring(FIRST, &[SECOND_PRINT, &FIRST_PRINT.to_ascii_lowercase()]).unwrap(), FIRST);
    assert_eq!(tags(&keyring(BOTH, &[FIRST_PRINT, SECOND_PRINT]).unwrap()), tags(BOTH));
    let error = keyring(BOTH, &[FIRST_PRINT]).unwrap_err();
    assert!(matches!(error, KeyError::Unknown { found, .. } if found == [FIRST_PRINT, SECOND_PRINT]));
    let error = keyring(SECOND, &MICROSOFT).unwrap_err().to_string();
    let expected = format!("{} or {}", MICROSOFT[0], MICROSOFT[1]);
    assert_eq!(error, format!("the repository's key is {SECOND_PRINT}, expected {expected}"));
}

#[test]
fn only_what_the_key_itself_has_signed_is_kept() {
    // The key; its user id with its own and another's signature; its subkey with the binding.
    assert_eq!(tags(WITH_SUBKEY), [6, 13, 2, 2, 14, 2]);
    let ring = keyring(WITH_SUBKEY, &[WITH_SUBKEY_PRINT]).unwrap();
    assert_eq!(tags(&ring), [6, 13, 2, 14, 2]);
    // A signature that is of no use here, and subkeys and user ids without a binding, or with that of another key.
    let (own, others) = (bytes(WITH_SUBKEY), bytes(FIRST));
    let packets = packet::split(&own).unwrap();
    let subkey = packets[4].bytes;
    let foreign = packet::split(&others).unwrap();
    let added = [&own, subkey, foreign[2].bytes, foreign[1].bytes, foreign[2].bytes, subkey].concat();
    assert_eq!(keyring(&armor::encode(&added), &[WITH_SUBKEY_PRINT]).unwrap(), ring);
    let certification_as_binding = [&own, subkey, packets[2].bytes].concat();
    assert_eq!(keyring(&armor::encode(&certification_as_binding), &[WITH_SUBKEY_PRINT]).unwrap(), ring);
}

#[test]
fn other_files_and_damaged_keys_are_rejected() {
    let private = FIRST.replace("PUBLIC", "PRIVATE");
    let empty = armor::encode(&[]);
    for text in ["", "<html>blocked</html>", private.as_str(), &empty] {
        assert!(matches!(keyring(text, &[FIRST_PRINT]), Err(KeyError::NotAKey(_))), "{text:?}");
    }
    let cut = bytes(FIRST).len() - 1;
    let of = |bytes: &[u8]| keyring(&armor::encode(bytes), &[FIRST_PRINT]);
    assert!(matches!(of(&bytes(FIRST)[..cut]), Err(KeyError::Damaged(_))));
    assert!(matches!(of(&[0xc6, 1, 6]), Err(KeyError::Damaged(_))), "version 6");
    assert!(matches!(of(&[0xc5, 1, 4]), Err(KeyError::NotAKey(_))), "a secret key");
    assert!(matches!(of(&[&bytes(FIRST)[..], &[0xc5, 1, 4]].concat()), Err(KeyError::NotAKey(_))));
    // The subkey alone, in front of its key.
    let first_is_no_key = [&[0xce, 1, 4][..], &bytes(FIRST)].concat();
    assert!(matches!(of(&first_is_no_key), Err(KeyError::NotAKey(_))));
}
