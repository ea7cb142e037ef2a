use super::*;

const JWT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl";
const OPAQUE: &str = "Zx81-opaque_Token/77";
const KEY: [&str; 3] = [
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
    "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
    "NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s",
];

/// The text after both passes.
fn redacted(text: &str) -> String {
    let mask = SharedMask::default();
    let once = redact(text, &mask);
    mask.apply(&once)
}

/// Checks rows in which `{}` is replaced by the secret, and after redaction by `***`.
fn assert_masked(secret: &str, rows: &[&str]) {
    for row in rows {
        let text = row.replace("{}", secret);
        assert_eq!(redacted(&text), row.replace("{}", "***"), "{text}");
    }
}

#[test]
fn tokens_are_redacted_in_every_syntax() {
    let rows = [
        r#"{"access_token":"{}","expires_in":"86399"}"#,
        r#"{"a": {"accessToken" : "{}" }}"#,
        r#"msg="{\"access_token\":\"{}\",\"x\":1}" end"#,
        r#""{\\\"access-token\\\": \\\"{}\\\"}""#,
        "azcmagent connect --access-token {} --location eastus",
        "azcmagent connect --access-token={} -v",
        "azcmagent connect --access-token '{}' -v",
        "Running ['azcmagent', 'connect', '--access-token', '{}', '-v']",
        r#"["azcmagent","connect","--access-token","{}"]"#,
        "access-token: {}\nlocation: eastus",
        "  access_token: {} # from the sidecar\n",
        "export ACCESS_TOKEN={}",
        "ACCESS_TOKEN=\"{}\"",
        "> Authorization: Bearer {}\r\n> Host: x",
        "{'Authorization': 'Bearer {}', 'Accept': 'a'}",
        r#"{\"authorization\":\"bearer {}\"}"#,
        "curl -H 'Authorization: Bearer {}' https://x.org/",
        "Authorization: {}",
        "https://x.blob.core.windows.net/a?sv=2020&sig={}&se=2026",
        "{\"refresh_token\": \"{}\"}, {Password:{} User:x}",
        "SharedAccessKey={}",
        "sent Bearer {} again",
    ];
    assert_masked(OPAQUE, &rows);
    assert_masked(JWT, &rows);
    assert_masked(JWT, &["{}", "a {} b", "x={}", "(token {})", "a\\n{}\\n"]);
}

#[test]
fn other_named_secrets_are_redacted() {
    assert_masked(
        "q8-Secret.Value9",
        &[
            r#"{"clientSecret": "{}"}"#,
            "azcmagent connect -i 1234 --service-principal-secret {} -v",
            "azcmagent connect -i 1234 -p {} -v",
            "azcmagent connect existing --private-key {} --machine-id x",
            r#"{"privateKey":"{}"}"#,
            "proxy_password = {}\n",
            "ARM_CLIENT_SECRET='{}'",
            "    password: {}\n    lock: false",
            r#"{"password":"{}"}"#,
            "azcmagent: {access-token: {}, b: c}",
        ],
    );
    let text = "proxy-user = \"nexus:q8 Secret\"\nlater q8 Secret alone";
    assert_eq!(redacted(text), "proxy-user = \"***\"\nlater *** alone");
}

#[test]
fn a_password_of_a_url_is_redacted_everywhere() {
    let text = "https_proxy=http://nexus:kan%2Fari-7@10.0.0.1:3128\nraw kan/ari-7, escaped kan%2Fari-7;\
                header bmV4dXM6a2FuL2FyaS03 end";
    let clean = "https_proxy=http://***@10.0.0.1:3128\nraw ***, escaped ***;header *** end";
    assert_eq!(redacted(text), clean);
    let header = "Proxy-Authorization: Basic bmV4dXM6a2FuL2FyaS03\nraw kan/ari-7, escaped kan%2Fari-7";
    assert_eq!(redacted(header), "Proxy-Authorization: Basic ***\nraw ***, escaped ***");
    // A secret that one text identifies is redacted in another text.
    let mask = SharedMask::default();
    let first_pass = [redact("it was kanari-7", &mask), redact("http://u:kanari-7@h:1/", &mask)];
    let second: Vec<String> = first_pass.iter().map(|text| mask.apply(text)).collect();
    assert_eq!(second, ["it was ***", "http://***@h:1/"]);
    // A short one is redacted as a word only.
    assert_eq!(redacted("http://u:test@h:1 the latest test"), "http://***@h:1 the latest ***");
    // The password of an example URL is not redacted elsewhere.
    assert_eq!(redacted("# http://user:password@proxy:80\npassword"), "# http://***@proxy:80\npassword");
}

fn block(kind: &str, between: &str) -> String {
    let lines = KEY.join(between);
    format!("-----BEGIN {kind}-----{between}{lines}{between}-----END {kind}-----")
}

fn assert_no_key(text: &str) -> String {
    let clean = redacted(text);
    for line in KEY {
        let planted = text.contains(line) && line.len() > 20;
        assert!(
            !clean.contains(&line[..20]) && !clean.contains(&line[line.len() - 12..]),
            "{planted} {clean}"
        );
    }
    clean
}

#[test]
fn complete_and_truncated_private_keys_are_redacted() {
    let kinds = ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"];
    for kind in kinds.iter().chain(&["PGP PRIVATE KEY BLOCK"]) {
        for between in ["\n", "\r\n", "\\n", "\\\\n", " ", "", "\nNov 23 15:00:00 vm himds[7]: "] {
            let text = format!("before\n{}\nafter", block(kind, between));
            let clean = format!("before\n-----BEGIN {kind}-----***-----END {kind}-----\nafter");
            assert_eq!(assert_no_key(&text), clean);
        }
        for between in ["\n", "\\n", "\nNov 23 15:00:00 vm himds[7]: "] {
            let whole = block(kind, between);
            let at = whole.find(KEY[0]).unwrap();
            for cut in [at + 20, at + 40, at + 70] {
                let head = format!("before the key\n{}", &whole[..cut]);
                let clean = redacted(&head);
                assert!(clean.starts_with("before the key\n-----BEGIN"), "{clean}");
                assert!(!clean.contains(&KEY[0][..16]), "{clean}");
                let tail = format!("{}\nafter it is said", &whole[cut..]);
                let clean = assert_no_key(&tail);
                assert!(clean.ends_with("-----\nafter it is said"), "{clean}");
            }
        }
    }
    let clean = assert_no_key(&format!("x\n{}\nThe next line stays.\nok\n", &block(kinds[0], "\n")[..150]));
    assert!(clean.ends_with("\nThe next line stays.\nok\n"), "{clean}");
}

#[test]
fn a_certificate_between_two_keys_is_kept() {
    let certificate = block("CERTIFICATE", "\n").replace("MIIEvQ", "MIIDxx").replace("MzEf", "Nxxx");
    let key = block("PRIVATE KEY", "\n");
    let text = format!("{key}\n{certificate}\n{key}\n");
    let mark = "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----";
    assert_eq!(redacted(&text), format!("{mark}\n{certificate}\n{mark}\n"));
}

#[test]
fn ordinary_text_is_unchanged() {
    for text in [
        "",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQ==\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 user@host\n",
        "a private key was made; no PRIVATE KEY is shown; -----BEGIN\n",
        "subscription 11111111-1111-4111-8111-111111111111, mail support@contoso.com\n",
        "http_proxy=http://169.254.0.11:3128 NO_PROXY=localhost,127.0.0.1,::1,169.254.169.254\n",
        "GET https://management.azure.com/subscriptions/x?api-version=2022-12-27&mail=a@b.c\n",
        "WWW-Authenticate: Bearer authorization_uri=\"https://login.windows.net/x\", error=\"invalid_token\"\n",
        "\"token_type\":\"Bearer\",\"expires_in\":\"86399\"\n",
        "ERROR: Failed to retrieve access token\nthe access token is expired; Access token: none\n",
        "passwd: password expiry information changed.\nAccepted password for root from 10.0.0.1 port 22\n",
        "PasswordAuthentication no\nlock_passwd: true\nssh_pwauth: false\nset-passwords ran\n",
        "ACCESS_TOKEN=$(arc-enroll token)\n--access-token \"$ACCESS_TOKEN\" --access-token $TOKEN\n",
        "{\"access_token\": null, \"password\": \"***\", \"clientSecret\": \"\", \"secret\": \"<secret>\"}\n",
        "agent:\n  token: file\nwait:\n  token: 10m\n",
        "design: assign=1 signal=9 sig=x\nauthorization: failed\nBasic connectivity test, Bearer of news\n",
        "base64 aGVsbG8gd29ybGQ= VGhpcyBpcyBvcmRpbmFyeQ== ünïcödé \u{1f980}\ttab\r\n",
        "time=\"2026-11-23T15:00:00Z\" level=error msg=\"AZCM0042: Failed\" Correlation ID=2989a600\n",
        "MemTotal:       16000548 kB\ndefault via 10.0.0.1 dev eth0 proto dhcp metric 100\n",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn every_secret_of_a_long_line_is_redacted() {
    let line =
        "{\"access_token\":\"abcdef-123456\",\"x\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"},".repeat(8000);
    let clean = redacted(&line);
    assert!(!clean.contains("abcdef-123456"));
    assert_eq!(clean.matches("\"access_token\":\"***\"").count(), 8000);
}
