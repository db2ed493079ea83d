//! Every secret and its parts in every encoding; texts without one; weak secrets.
use super::*;
use base64::{Engine, engine::general_purpose as b64};

fn secrets() -> Secrets {
    let s = Secrets::default();
    s.add("password", "hunter2/correct");
    s
}

#[test]
fn masks_every_encoding() {
    let s = secrets();
    assert_eq!(s.mask("pw=hunter2/correct;").unwrap(), "pw=‹password›;");
    assert_eq!(s.mask(&b64::STANDARD.encode("hunter2/correct")).unwrap(), "‹password:base64›");
    assert!(s.mask("?p=hunter2%2Fcorrect").unwrap().contains("‹password:percent›"));
    for user in ["a", "al", "admin", "administrator"] {
        let basic = b64::STANDARD.encode(format!("{user}:hunter2/correct"));
        assert!(s.mask(&basic).is_some_and(|m| m.contains("‹password:base64›")), "{user}: {basic}");
    }
    assert_eq!(s.mask("nothing here"), None);
}

#[test]
fn masks_a_secret_with_a_quote_in_shell_words() {
    let s = Secrets::default();
    s.add("password", "it's me");
    assert_eq!(s.mask(r"'a: it'\''s me'").unwrap(), "'a: ‹password:shell›'");
}

#[test]
fn tokens_keep_the_names_of_secrets() {
    let s = secrets();
    assert_eq!(s.names_in("x hunter2/correct y"), ["password"]);
    assert_eq!(s.names_in(&s.mask("x hunter2/correct y").unwrap()), ["password"]);
    assert!(s.names_in("‹›").is_empty() && s.names_in("clean ‹").is_empty());
}

#[test]
fn different_secrets_of_one_name_have_different_tokens() {
    let s = secrets();
    s.add("password", "another/one");
    assert_eq!(s.mask("hunter2/correct another/one").unwrap(), "‹password› ‹password~2›");
    assert_eq!(s.names_in("another/one"), s.names_in("‹password~2›"));
}

#[test]
fn does_not_mask_short_values() {
    let s = Secrets::default();
    s.add("pin", "12");
    assert_eq!(s.mask("12"), None);
}

/// The percent-encoding of the bytes that `which` chooses, and of all that are not ASCII.
fn percent(text: &str, upper: bool, which: impl Fn(u8) -> bool) -> String {
    let escaped = |b: u8| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") };
    let bytes = text.bytes().flat_map(|b| if which(b) || !b.is_ascii() { escaped(b).into_bytes() } else { vec![b] });
    String::from_utf8(bytes.collect()).unwrap()
}

fn form(text: &str) -> String {
    percent(text, true, |b| !b.is_ascii_alphanumeric() && !b" *-._".contains(&b)).replace(' ', "+")
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_string()
}

/// As UTF-16 code units in `\u` escapes.
fn unicode(text: &str, which: impl Fn(char) -> bool) -> String {
    let unit = |u: &mut u16| format!("\\u{u:04x}");
    let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter_mut().map(unit).collect::<String>();
    text.chars().map(|c| if which(c) { escaped(c) } else { json(&c.to_string()) }).collect()
}

fn html(text: &str, entity: impl Fn(char) -> Option<String>) -> String {
    text.chars().map(|c| entity(c).unwrap_or_else(|| c.to_string())).collect()
}

fn named(c: char) -> Option<String> {
    let name = match c {
        '&' => "amp",
        '<' => "lt",
        '>' => "gt",
        '"' => "quot",
        '\'' => "#39",
        'é' => "eacute",
        '€' => "euro",
        _ => return None,
    };
    Some(format!("&{name};"))
}

/// As hex, with a separator between groups of bytes.
fn separated(text: &str, group: usize, separator: &str) -> String {
    text.as_bytes().chunks(group).map(hex::encode).collect::<Vec<_>>().join(separator)
}

fn wrapped(text: &str, width: usize, line_break: &str) -> String {
    text.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect::<Vec<_>>().join(line_break)
}

/// The secret in every encoding, each with what a text could have around it.
pub fn encodings(secret: &str) -> Vec<(&'static str, String)> {
    let base64 = |text: &str| b64::STANDARD.encode(text);
    let strange = |b: u8| !b.is_ascii_alphanumeric();
    let mut out = vec![
        ("plain", format!("x={secret};")),
        ("query", format!("GET /?pw={}&x=1", percent(secret, true, strange))),
        ("lower percent", format!("GET /?pw={}&x=1", percent(secret, false, strange))),
        ("percent everywhere", percent(secret, true, |_| true)),
        ("a subset in percent", percent(secret, false, |b| b % 3 == 0 || !b.is_ascii())),
        ("double percent", percent(&percent(secret, true, strange), true, strange)),
        ("form", format!("user=me&pw={}", form(secret))),
        ("form in json", json(&format!("{{\"body\":\"{}\"}}", form(secret)))),
        ("json", format!("{{\"pw\":\"{}\"}}", json(secret))),
        ("php", format!("{{\"pw\":\"{}\"}}", json(secret).replace('/', "\\/"))),
        ("go", unicode(secret, |c| "<>&".contains(c))),
        ("python", unicode(secret, |c| !c.is_ascii())),
        ("upper unicode", unicode(secret, |c| !c.is_alphanumeric())),
        ("unicode everywhere", unicode(secret, |_| true)),
        ("json in json", json(&format!("{{\"pw\":\"{}\"}}", json(secret)))),
        ("json three times", json(&json(&format!("{{\"pw\":\"{}\"}}", unicode(secret, |c| !c.is_ascii()))))),
        ("html", html(secret, named)),
        ("decimal html", html(secret, |c| Some(format!("&#{};", c as u32)))),
        ("hex html", html(secret, |c| (!c.is_alphanumeric()).then(|| format!("&#x{:X};", c as u32)))),
        ("hex", hex::encode(secret)),
        ("upper hex", format!("0x{}", hex::encode_upper(secret))),
        ("hex after a digit", format!("a{}b", hex::encode(secret))),
        ("hex with colons", format!("SHA1 {}!", separated(secret, 1, ":").to_uppercase())),
        ("hex with spaces", format!("[{}]", separated(secret, 1, " "))),
        ("hex with dashes", separated(secret, 1, "-")),
        ("hex in groups", separated(secret, 2, " ")),
        ("hex in lines", separated(secret, 1, ":\n        ")),
        ("hex of a list of bytes", format!("{{0x{}}}", separated(secret, 1, ", 0x"))),
        ("hex with colons after a number", format!("5 {} 7", separated(secret, 1, ":"))),
        ("base64 without padding", b64::STANDARD_NO_PAD.encode(secret)),
        ("URL-safe base64", b64::URL_SAFE.encode(secret)),
        ("broken base64", wrapped(&base64(&format!("me:{secret}")), 6, "\n")),
        ("broken base64 of MIME", wrapped(&base64(&format!("me:{secret}, and more")), 10, "\r\n")),
        ("broken base64 in json", json(&wrapped(&base64(secret), 8, "\n"))),
        ("base64 in a query", percent(&base64(secret), true, strange)),
        ("base64 of json", base64(&format!("{{\"pw\":\"{}\"}}", unicode(secret, |c| !c.is_ascii())))),
        ("base64 of base64", base64(&format!("{{\"auth\":\"{}\"}}", base64(&format!("me:{secret}"))))),
        ("shell", format!("'pw={}'", secret.replace('\'', r"'\''"))),
        ("json in a shell", format!("'{{\"pw\":\"{}\"}}'", json(secret).replace('\'', r"'\''"))),
    ];
    for user in ["", "a", "al", "ada", "admin"] {
        out.push(("Basic", format!("Authorization: Basic {}", base64(&format!("{user}:{secret}")))));
        out.push(("inside base64", base64(&format!("{user}{secret}{user}"))));
    }
    out
}

pub fn random_secrets(n: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(7);
    let alphabets = [
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "abcdef0123456789",
        "abcdefghijkABCDEFGHIJK0123456789+/=",
        "abcXYZ019 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "abcXYZ019é€ßñ漢字🔑 +/&<>\"'\\%",
    ];
    let secret = |i: usize| {
        let alphabet: Vec<char> = alphabets[i % alphabets.len()].chars().collect();
        let length = random.usize(9..40);
        (0..length).map(|_| alphabet[random.usize(..alphabet.len())]).collect::<String>()
    };
    let secrets: Vec<String> = (0..n).map(secret).collect();
    secrets.into_iter().map(|s| format!("q{}", s.trim())).filter(|s| s.chars().count() >= 8).collect()
}

#[test]
fn masks_random_secrets_in_every_encoding() {
    for secret in random_secrets(200) {
        let s = Secrets::default();
        s.add("pw", &secret);
        for (form, text) in encodings(&secret) {
            let masked = s.mask(&text).unwrap_or_else(|| panic!("{form} of {secret:?}: {text}"));
            assert_eq!(s.names_in(&text), ["pw"], "{form} of {secret:?}");
            assert_eq!(s.mask(&masked), None, "{form} of {secret:?}: {masked} again");
            let token = &masked[masked.find("‹pw").unwrap()..masked.find('›').unwrap() + '›'.len_utf8()];
            let (before, after) = masked.split_once(token).unwrap();
            assert!(text.starts_with(before) && text.ends_with(after), "{form} of {secret:?}: {masked}");
        }
    }
}

/// The characters from `first` on, up to `count`.
fn part(text: &str, first: usize, count: usize) -> String {
    text.chars().skip(first).take(count).collect()
}

#[test]
fn finds_parts_of_twelve_characters_in_every_encoding() {
    for secret in random_secrets(25).iter().filter(|s| s.chars().count() > 14) {
        let s = Secrets::default();
        s.add("pw", secret);
        let last = secret.chars().count() - 12;
        let parts = [0, last / 2, last].map(|first| part(secret, first, 12));
        // one that itself looks escaped is shorter without escapes
        for shown in parts.iter().filter(|part| without_escapes(part) == part.as_bytes()) {
            for (form, text) in encodings(shown) {
                assert_eq!(s.names_in(&text), ["pw"], "{shown:?} of {secret:?}, {form}: {text}");
                let masked = s.mask(&text).unwrap();
                assert_eq!(s.mask(&masked), None, "{shown:?} of {secret:?}, {form}: {masked} again");
            }
        }
    }
}

#[test]
fn does_not_find_parts_of_eleven_characters() {
    // no character occurs twice, so that what is around a part does not continue it
    let secret = "Qw3rTz7uIo9pAsDfGhJkLyXcVbNm";
    let s = Secrets::default();
    s.add("token", secret);
    for first in 0..secret.len() - 12 {
        for (form, text) in encodings(&part(secret, first, 11)) {
            assert!(s.names_in(&text).is_empty(), "{first}, {form}: {text}");
        }
        for around in ["", "é", "ab", "xyz0é"] {
            let text = format!("{around}{}{around}", part(secret, first, 12));
            let masked = format!("{around}‹token:part›{around}");
            assert_eq!(s.mask(&text).as_deref(), Some(masked.as_str()));
        }
    }
    assert_eq!(s.mask("x QW3RTZ7UIO9PASDF").as_deref(), None, "another spelling");
}

#[test]
fn finds_parts_of_secrets_that_repeat_themselves() {
    let s = Secrets::default();
    let period: String = (0..40).map(|_| "ab-Cd0").collect();
    s.add("period", &format!("{period}XyZ"));
    assert_eq!(s.mask("<ab-Cd0ab-Cd0ab>").as_deref(), Some("<‹period:part›>"));
    assert_eq!(s.mask(&format!("<{period}>")).as_deref(), Some("<‹period:part›>"));
    assert_eq!(s.mask("<b-Cd0ab-Cd0XyZ>").as_deref(), Some("<‹period:part›>"));
}

#[test]
fn a_part_that_ordinary_texts_share_is_not_a_secret() {
    let s = Secrets::default();
    s.add_ordinary("database: postgres://streamspace-admin@db/streamspace\npassword: p4ss-Word-of-the-plan");
    for (name, value) in [
        ("named", "streamspace-admin-Xk3vQ9pL2mR7"),
        ("planned", "p4ss-Word-of-the-plan"),
        ("url", "https://user:S3cr3t-in-a-url@host.example.org:8080/path"),
        ("hook", "https://hooks.example.org/services/T0A1B2C3D4E5F6"),
        ("jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyIjoiYWRtaW4ifQ.c2lnbmF0dXJlLW9m"),
        ("account", r#"{"type": "service_account", "id": "a1b2c3"}"#),
        ("key", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFJiK1PTI1ZVwJ\n-----END PRIVATE KEY-----"),
        ("weak", "aaaaaaaaaaaaaaaa"),
    ] {
        s.add(name, value);
    }
    for innocent in [
        "user streamspace-admin",
        "https://host.example.org:8080/path",
        "https://hooks.example.org/status",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1",
        r#"{"type": "service_account"}"#,
        "-----BEGIN PRIVATE KEY-----",
        "aaaaaaaaaaaa",
    ] {
        assert_eq!(s.mask(innocent), None);
    }
    for (leak, masked) in [
        ("user streamspace-admin-Xk3", "user ‹named:part›"),
        ("S3cr3t-in-a-", "‹url:part›"),
        ("services/T0A1B2C3", "‹hook:part›"),
        ("Bearer eyJ1c2VyIjoiYW…", "Bearer ‹jwt:part›…"),
        ("p4ss-Word-of-the", "‹planned:part›"),
    ] {
        assert_eq!(s.mask(leak).as_deref(), Some(masked));
    }
}

#[test]
fn exactly_the_encoded_text_is_masked() {
    let s = Secrets::default();
    s.add("pw", "a b/ü\"&1");
    for (text, masked) in [
        ("user=me&pw=a+b%2f%C3%BC%22%261&x=1", "user=me&pw=‹pw:percent›&x=1"),
        (r#"{"pw":"a b\/\u00fc\"\u00261","n":1}"#, r#"{"pw":"‹pw:json›","n":1}"#),
        (r#"{"x":"{\"pw\":\"a b/ü\\\"&1\"}"}"#, r#"{"x":"{\"pw\":\"‹pw:json›\"}"}"#),
        ("<b>a b/&uuml;&quot;&amp;1</b>", "<b>‹pw:html›</b>"),
        ("x YSBiL8O8IiYx\n", "x ‹pw:base64›\n"),
        ("61 6120622FC3BC222631.", "61 ‹pw:hex›."),
        ("é a b/ü\"&1 é", "é ‹pw› é"),
    ] {
        assert_eq!(s.mask(text).as_deref(), Some(masked));
    }
}

/// Texts as programs print them, full of escapes, base64 and hex.
pub fn innocent_texts(n: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(11);
    let words = ["GET", "/api/v1/sessions", "200", "streamspace", "running", "2026-01-02T03:04:05Z", "ünïcode", "日本"];
    let mut text = |i: usize| {
        let line: Vec<&str> = (0..random.usize(1..60)).map(|_| words[random.usize(..words.len())]).collect();
        let line = line.join([" ", "\n", "&", "+", "\\n", "%20"][i % 6]);
        let noise: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        match i % 8 {
            0 => line,
            1 => json(&json(&line)),
            2 => percent(&line, i % 16 == 2, |b| b % 2 == 0),
            3 => wrapped(&b64::STANDARD.encode(&noise), 76, "\r\n"),
            4 => hex::encode(&noise),
            5 => String::from_utf8_lossy(&noise).into_owned(),
            6 => html(&line, |c| Some(format!("&#x{:x};", c as u32))),
            _ => format!("{{\"log\":\"{}\",\"id\":\"{}\"}}", json(&line), b64::URL_SAFE.encode(&noise)),
        }
    };
    (0..n).map(&mut text).collect()
}

#[test]
fn no_text_without_a_secret_changes() {
    let s = Secrets::default();
    random_secrets(200).iter().for_each(|secret| s.add("pw", secret));
    for weak in ["streamspace", "postgres", "12345678"] {
        s.add("weak", weak);
    }
    s.add_ordinary("database: streamspace");
    for text in innocent_texts(200) {
        assert_eq!(s.mask(&text), None, "{text}");
        assert!(s.names_in(&text).is_empty(), "{text}");
    }
}

#[test]
fn a_weak_secret_counts_only_as_a_credential() {
    let s = Secrets::default();
    s.set_fields(FieldRule { off: true, ..FieldRule::default() });
    s.add("pw", "streamspace");
    assert_eq!(s.mask("a streamspace b").as_deref(), Some("a ‹pw› b"));
    s.add_ordinary("db: postgres://streamspace:streamspace@db/streamspace");
    assert_eq!(s.weak(), ["pw"]);
    for ordinary in [
        "namespace streamspace",
        "http://streamspace.example/streamspace?db=streamspace",
        r#"{"namespace":"streamspace","user":"streamspace","keyed":"streamspace"}"#,
        "streamspace-secrets",
        "password=streamspace-2",
        "user: streamspace",
        "image: registry/streamspace:streamspace@sha256:0",
        "c3RyZWFtc3BhY2U=",
        "7374726561 6D7370616365",
    ] {
        assert_eq!(s.mask(ordinary), None);
    }
    let basic = b64::STANDARD.encode("streamspace:streamspace");
    for credential in [
        "postgres://streamspace:streamspace@db/streamspace",
        "redis://:streamspace@cache",
        "streamspace:streamspace@tcp(db:3306)/streamspace",
        "password=streamspace&x=1",
        "PGPASSWORD='streamspace' psql",
        "password%3Dstreamspace",
        "db_password: \"streamspace\"",
        r#"{"password": "streamspace"}"#,
        r#"{\"client_secret\":\"streamspace\"}"#,
        "X-Api-Key: streamspace",
        "Authorization: Bearer streamspace",
        "--password streamspace",
        "curl -u streamspace:streamspace http://x",
        "curl --user 'streamspace:streamspace' http://x",
        "<password>streamspace</password>",
        "POSTGRES_PASSWORD: c3RyZWFtc3BhY2U=",
        &format!("Authorization: Basic {basic}"),
        &basic,
    ] {
        let masked = s.mask(credential).unwrap_or_else(|| panic!("{credential}"));
        assert!(masked.contains("‹pw"), "{masked}");
        assert_eq!(s.mask(&masked), None, "{masked}");
    }
    assert_eq!(s.mask_field("token", "streamspace").as_deref(), Some("‹pw›"));
    assert_eq!(s.mask_field("namespace", "streamspace"), None);
}

#[test]
fn only_words_and_names_are_weak() {
    let s = Secrets::default();
    s.add_ordinary("user: correct-horse-battery\npassword: only-as-password\ntoken s3cr3t-token-value Xk3vQ9pL2m");
    for weak in ["postgres", "Password", "SECRET", "12345678", "aaaaaaaaaaaa", "correct-horse-battery", "horse"] {
        assert!(s.is_weak(weak), "{weak}");
    }
    for strong in
        ["p0stgres", "hunter2", "correct horse", "only-as-password", "s3cr3t-token-value", "Xk3vQ9pL2m", "wxyzabcdefg"]
    {
        assert!(!s.is_weak(strong), "{strong}");
    }
}

#[test]
fn a_token_is_not_masked_again() {
    let s = Secrets::default();
    s.add("wxyzabcdefg", "another/one");
    s.add("pw", "wxyzabcdefg");
    let masked = s.mask("another/one another%2Fone wxyzabcdefg").unwrap();
    assert_eq!(masked, "‹wxyzabcdefg› ‹wxyzabcdefg:percent› ‹pw›");
    assert_eq!(s.mask(&masked), None);
}

#[test]
fn finds_old_and_new_of_many_secrets() {
    let s = Secrets::default();
    let value = |i: usize| format!("value-{i:05}-{}", i * 7919);
    for i in 0..1000 {
        s.add("cookie", &value(i));
    }
    for i in [0, 63, 64, 500, 998, 999] {
        assert!(s.mask(&format!("x{}x", value(i))).is_some(), "{i}");
    }
}

#[test]
fn masks_each_line_of_a_key() {
    let s = Secrets::default();
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQDNHaZPHhT45pNo\n8w==\n-----END KEY-----\n";
    s.add("key", key);
    assert_eq!(s.mask(key).as_deref(), Some("‹key›"));
    assert_eq!(s.mask("12:00 BKcwggSjAgEAAoIBAQDNHaZPHhT45pNo").as_deref(), Some("12:00 ‹key›"));
    assert_eq!(s.mask("-----BEGIN KEY-----"), None);
    assert_eq!(s.names_in(&key.replace('\n', "\r\n")), ["key"]);
    s.add("note", "two words\nand a line of several words");
    assert_eq!(s.mask("and a line of several words"), None);
}

#[test]
fn overlapping_secrets_leave_nothing() {
    let s = Secrets::default();
    s.add("a", "abcdef123456");
    s.add("b", "123456ghijkl");
    s.add("c", "456ghi");
    s.add("d", "hijkl+mno pqr");
    assert_eq!(s.mask("x abcdef123456ghijkl y").as_deref(), Some("x ‹a› y"));
    assert_eq!(s.mask("x abcdef123456ghijkl+mno+pqr y").as_deref(), Some("x ‹a› y"));
    for secret in random_secrets(10) {
        let s = Secrets::default();
        let middle = secret.char_indices().nth(3).unwrap().0;
        let other = format!("{}{}", &secret[middle..], "TAIL-of-another");
        s.add("a", &secret);
        s.add("b", &other);
        let both = format!("{}{other}", &secret[..middle]);
        for (form, text) in encodings(&both) {
            let masked = s.mask(&text).unwrap_or_else(|| panic!("{form} of {both:?}"));
            let (shown, alone) = (masked.len(), encodings("").into_iter().find(|(f, _)| *f == form).unwrap().1.len());
            assert!(shown <= alone + 40, "{form} of {both:?}: {masked}");
        }
    }
}

/// What [`Secrets::trim_cut`] leaves of the first `length` bytes of a text.
fn cut(s: &Secrets, text: &str, length: usize) -> String {
    let mut part = String::from_utf8_lossy(&text.as_bytes()[..length]).into_owned();
    s.trim_cut(&mut part);
    part
}

#[test]
fn no_cut_leaves_the_beginning_of_a_secret() {
    for secret in random_secrets(5) {
        let s = Secrets::default();
        s.set_fields(FieldRule { off: true, ..FieldRule::default() });
        s.add("other", "Other-than-that");
        s.add("pw", &secret);
        // four bytes, or the characters around them, may be shown
        let short: String = secret.chars().take(5).collect();
        for (((form, text), shown), alone) in encodings(&secret).iter().zip(encodings(&short)).zip(encodings("")) {
            let hit = s.0.read().hits("", text, true).remove(0).range;
            let most = hit.start + (shown.1.len() - alone.1.len()) + 8;
            for length in 0..text.len() {
                let part = cut(&s, text, length);
                assert!(
                    text.starts_with(part.trim_end_matches('\u{fffd}')),
                    "{form} of {secret:?} at {length}: {part}"
                );
                let masked = s.mask(&part).unwrap_or_else(|| part.clone());
                let most = most + "‹pw:percent›".len() + length.saturating_sub(hit.end);
                assert!(masked.len() <= most, "{form} of {secret:?} at {length}: {part}");
                assert!(part.len() + 3 >= length.min(hit.start), "{form} of {secret:?} at {length}: {part}");
            }
            let complete = cut(&s, text, text.len());
            assert!(complete.len() >= hit.end, "{form} of {secret:?}: {complete}");
        }
    }
}

#[test]
fn a_cut_text_without_a_secret_stays() {
    let s = secrets();
    s.add("weak", "streamspace");
    s.add_ordinary("namespace streamspace");
    for (text, left) in [
        ("", ""),
        ("nothing here", "nothing here"),
        ("a hun", "a hun"),
        ("a hunte", "a "),
        ("a hunter2/correct", "a hunter2/correct"),
        ("a hunter2/correct hunter2/", "a hunter2/correct "),
        ("namespace streams", "namespace streams"),
        ("password=streams", "password="),
    ] {
        assert_eq!(cut(&s, text, text.len()), left);
    }
    for text in innocent_texts(100) {
        assert_eq!(cut(&s, &text, text.len()), text);
    }
    // the end of one is the beginning of another: it is masked as a whole
    s.add("next", "correct/next");
    assert_eq!(cut(&s, "a hunter2/correct", 17), "a hunter2/correct");
    assert_eq!(cut(&s, "a hunter2/correct/ne", 20), "a hunter2/correct");
}

#[test]
fn no_cut_splits_a_token() {
    let s = secrets();
    let text = format!("{} hunter2/correct hunter2/correct", "x".repeat(20));
    for max in 0..60 {
        let cut = s.mask_and_cut(text.clone(), max, "…");
        assert!(!s.mask(&cut).unwrap_or(cut.clone()).contains("hunter"), "{max}: {cut}");
        assert_eq!(cut.matches('‹').count(), cut.matches('›').count(), "{max}: {cut}");
    }
    assert_eq!(before_token("a ‹b", 5), 5, "no token");
}

#[test]
fn a_token_is_replaced_by_the_secret_of_its_name() {
    let secrets = Secrets::default();
    secrets.add("password", "hunter2-correct-horse");
    assert_eq!(secrets.revealed("user:‹password›@host").as_deref(), Some("user:hunter2-correct-horse@host"));
    assert_eq!(secrets.revealed("‹token› and ‹password:base64›"), None);
}

#[test]
fn fields_are_masked_by_their_names_and_are_no_declared_secrets() {
    let s = Secrets::default();
    for (field, value) in [("api_key", "k1-abcdef"), ("token", "other-9x"), ("token", "third-9x"), ("name", "plain-9x")]
    {
        s.add_field(field, value);
    }
    assert_eq!(s.masked("x k1-abcdef y"), "x ‹field api_key› y");
    // different values stay different in a record
    assert_eq!(s.masked("other-9x third-9x plain-9x"), "‹field token› ‹field token~2› plain-9x");
    assert_eq!(s.masked("azEtYWJjZGVm"), "‹field api_key:base64›");
    assert_eq!(s.names_in("k1-abcdef"), [""; 0]);
    // the plan declares it later
    s.add("key", "k1-abcdef");
    assert_eq!(s.names_in("k1-abcdef"), ["field api_key"]);
    assert_eq!(s.masked("k1-abcdef"), "‹field api_key›");

    let recorded = Secrets::recorded();
    assert_eq!(recorded.names_in("‹field api_key›"), [""; 0]);
    recorded.add("key", "‹field api_key›");
    assert_eq!(recorded.names_in("a ‹field api_key:base64› b"), ["field api_key"]);
}

#[test]
fn rule_for_fields_can_be_extended_and_switched_off() {
    let s = Secrets::default();
    s.set_fields(FieldRule { more: vec!["pin".into()], except: vec!["page-token".into()], off: false });
    s.add_field("cardPin", "90-31-22");
    s.add_field("pageToken", "page-2-of-3");
    assert_eq!(s.masked("90-31-22 page-2-of-3"), "‹field cardPin› page-2-of-3");
    let s = Secrets::default();
    s.set_fields(FieldRule { off: true, ..FieldRule::default() });
    s.add_field("password", "hunter2-horse");
    s.add_found("X-Key", "hunter2-horse");
    assert_eq!(s.mask("hunter2-horse"), None);
}

#[test]
fn short_values_numbers_and_sentences_are_masked_in_their_field_only() {
    let s = Secrets::default();
    s.set_fields(FieldRule { more: vec!["pin".into()], except: vec!["page-token".into()], off: false });
    for (field, value) in
        [("password", "abc"), ("pin", "1234"), ("passphrase", "correct horse battery"), ("secret", "none")]
    {
        s.add_field(field, value);
        let masked = s.mask_field(field, value).unwrap_or_else(|| panic!("{field}"));
        assert!(masked.starts_with(&format!("‹field {field}~")) && masked.ends_with('›'), "{masked}");
        assert_eq!(s.mask_field(field, &masked), None, "a token stays");
        assert_eq!(s.mask_field("name", value), None);
        assert_ne!(s.mask_field(field, &format!("{value}1")), Some(masked));
        let text = format!(r#"{{"{field}":"{value}","name":"{value}"}}"#);
        let masked = s.mask(&text).unwrap();
        assert!(masked.ends_with(&format!(r#"›","name":"{value}"}}"#)), "{masked}");
    }
    for (field, value) in
        [("password", ""), ("tokens", "5230"), ("total_tokens", "52"), ("pin", "12"), ("page_token", "p 2")]
    {
        assert_eq!(s.mask_field(field, value), None, "{field}");
    }
    let off = Secrets::default();
    off.set_fields(FieldRule { off: true, ..FieldRule::default() });
    assert_eq!(off.mask_field("password", "abc"), None);
    assert_eq!(Secrets::recorded().mask_field("password", "abc"), None);
}

#[test]
fn a_field_with_a_known_secret_keeps_the_name_of_the_secret() {
    let s = Secrets::default();
    s.add("signing", "abc-def-123");
    s.add_field("token", "v1.abc-def-123");
    assert_eq!(s.masked("v1.abc-def-123"), "v1.‹signing›");
}
