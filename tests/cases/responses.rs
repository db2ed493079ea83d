//! What the server answers to each path, and what it delivers.
use super::{SECRET, server::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder, write::GzEncoder};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{io::Write as _, time::Duration};

pub enum Part {
    Send(Vec<u8>),
    Pause(Duration),
    Close,
}

pub fn response(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ok(headers: &[&str], body: &[u8]) -> Vec<Part> {
    vec![Part::Send(response("200 OK", headers, body))]
}

fn json(body: impl AsRef<[u8]>) -> Vec<Part> {
    ok(&["Content-Type: application/json"], body.as_ref())
}

/// Bytes as they are, and the end of the connection.
fn raw(bytes: &[u8]) -> Vec<Part> {
    vec![Part::Send(bytes.to_vec()), Part::Close]
}

fn events(text: &[u8]) -> Vec<Part> {
    raw(&[b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", text].concat())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(vec![], Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

pub fn parts(path: &str, request: &Request) -> Vec<Part> {
    let (kind, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match kind {
        "missing" => missing(name),
        "partial" => partial(name),
        "json" => json_bodies(name),
        "secrets" => secrets(name),
        "clients" => clients(name, request),
        "streams" => streams(name),
        "waiting" => waiting(name, request.count),
        "made" => json(match name {
            "empty" => r#"{"id": ""}"#,
            "null" => r#"{"id": null}"#,
            "list" => r#"{"id": []}"#,
            "dots" => r#"{"id": ".."}"#,
            _ => r#"{"id": 7}"#,
        }),
        "headers" => ok(
            &[
                "X-Powered-By: PHP/5",
                "Set-Cookie: sid=1; Path=/",
                "Set-Cookie: sid=2; Path=/",
                "Vary: Accept",
                "vary: Origin",
                "X-Note: caf\u{e9}",
            ],
            b"",
        ),
        "things" => json(THINGS),
        "texts" => json(texts(name)),
        _ => vec![Part::Send(response("404 Not Found", &[], b""))],
    }
}

const THINGS: &str = r#"{
    "message": "it is fine", "host": "axb", "rows": [{"name": "a"}], "none": [], "empty": "",
    "nothing": null, "count": 3,
    "id": "not-a-uuid", "mail": "not-an-address", "at": "2026-01-02 03:04:05Z",
    "kind": "cat", "pet": {"kind": "cat", "barks": true},
    "user": {"name": "ann", "password": "shown"}, "country": "NO", "version": 1.1, "spelled": "1.10", "on": true
}"#;

fn missing(name: &str) -> Vec<Part> {
    match name {
        "close" => vec![Part::Close],
        "half" => raw(b"HTTP/1.1 200 OK\r\nX-Powered-By: PHP/5\r\nConte"),
        "garbage" => raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        "hang" => vec![Part::Pause(Duration::from_secs(3)), Part::Close],
        "lengths" => raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        "interim" => raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        _ => unreachable!("{name}"),
    }
}

fn partial(name: &str) -> Vec<Part> {
    const LONG: &str =
        "HTTP/1.1 200 OK\r\nX-Powered-By: PHP/5\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nfine so far";
    match name {
        "short" => raw(LONG.as_bytes()),
        "stalled" => vec![Part::Send(LONG.into()), Part::Pause(Duration::from_secs(3)), Part::Close],
        "chunks" => raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n"),
        "size" => raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\nzz\r\n"),
        "gzip" => {
            let whole = gzip(&b"fine so far ".repeat(50));
            ok(&["Content-Encoding: gzip", "X-Powered-By: PHP/5"], &whole[..whole.len() - 12])
        }
        "plain" => ok(&["Content-Encoding: gzip"], b"not compressed"),
        "zstd" => ok(&["Content-Encoding: zstd"], b"\x28\xb5\x2f\xfd"),
        "list" => ok(&["Content-Encoding: aws-chunked, zstd"], b"fine"),
        "latin" => ok(&["Content-Type: text/plain; charset=utf-8"], b"fine \xff\xfe so far"),
        "large" => ok(
            &["Content-Type: text/plain", "X-Powered-By: PHP/5"],
            &[&b"fine "[..], &b"x".repeat(4096), b"panicked"].concat(),
        ),
        "large-json" => {
            json([&br#"{"error": null, "list": ["#[..], &b"1,".repeat(4096), br#"1], "state": "broken"}"#].concat())
        }
        _ => unreachable!("{name}"),
    }
}

fn json_bodies(name: &str) -> Vec<Part> {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    match name {
        "cut" => json(r#"{"ok": true, "error": "#),
        "nan" => json(r#"{"n": NaN}"#),
        "infinity" => json(r#"{"n": Infinity}"#),
        "more" => json(r#"{"ok": true} trailing"#),
        "two" => json("{\"ok\": true}\n{\"ok\": false}"),
        "comma" => json(r#"{"ok": true,}"#),
        "comment" => json("{\"ok\": true /* yes */}"),
        "quotes" => json("{'ok': true}"),
        "null" => json("null"),
        "bytes" => json(b"{\"ok\": \"\xff\"}"),
        "lines" => ok(&["Content-Type: application/x-ndjson"], b"{\"ok\": true}\n{\"ok\": true}\n"),
        "zero" => json(r#"{"n": 007}"#),
        "control" => json("{\"n\": \"a\tb\"}"),
        "surrogate" => json(r#"{"n": "\ud800"}"#),
        "deep" => json(&deep),
        "empty" => json(""),
        "spaces" => json(" \n "),
        "html" => ok(&["Content-Type: application/json"], b"<html>oops</html>"),
        "twice" => json(r#"{"state": "broken", "state": "ok"}"#),
        "inner" => json(r#"{"items": [{"error": "x", "id": 1, "error": null}]}"#),
        "escaped" => json(r#"{"state": "broken", "st\u0061te": "ok"}"#),
        "bom" => json(b"\xef\xbb\xbf{\"ok\": true}"),
        "utf16" => json(utf16("\u{feff}{\"ok\": \"é\"}", u16::to_le_bytes)),
        "utf16be" => json(utf16("{\"ok\": \"é\"}", u16::to_be_bytes)),
        "latin1" => ok(&["Content-Type: application/json; charset=iso-8859-1"], b"{\"ok\": \"\xe9\"}"),
        "numbers" => json(
            r#"{"u64": 18446744073709551615, "big": 36893488147419103232, "exact": 9007199254740993, "huge": 1e400,
            "double": 9007199254740992.0, "money": 0.1000000000000000055511151231257827, "zero": -0.0,
            "list": [36893488147419103232]}"#,
        ),
        "problem" => ok(&["Content-Type: application/problem+json"], b"{\"title\": }"),
        _ => unreachable!("{name}"),
    }
}

fn secrets(name: &str) -> Vec<Part> {
    let plain = serde_json::Value::from(SECRET).to_string();
    let unicode = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\u{:04x}", c as u32) };
    let percent = |c: u8| if c.is_ascii_alphanumeric() { (c as char).to_string() } else { format!("%{c:02x}") };
    let pairs = |separator: &str| SECRET.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(separator);
    json(match name {
        "plain" => plain,
        "php" => plain.replace('/', "\\/"),
        "go" => format!("\"{}\"", SECRET.chars().map(unicode).collect::<String>()),
        "percent" => format!("\"?k={}&x\"", SECRET.bytes().map(percent).collect::<String>()),
        "form" => format!("\"k={}\"", SECRET.bytes().map(percent).collect::<String>().replace("%20", "+")),
        "html" => format!("\"{}\"", SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&#x3e;")),
        "hex" => format!("\"0x{}\"", pairs("").to_uppercase()),
        "colons" => format!("\"{}\"", pairs(":")),
        "dump" => format!("\"{}\"", pairs(" ").to_uppercase()),
        "list" => format!("\"{{0x{}}}\"", pairs(", 0x")),
        "base64" => format!("\"{}\"", STANDARD.encode(SECRET)),
        "shifted" => format!("\"{}\"", STANDARD.encode(format!("a{SECRET}"))),
        "basic" => format!("\"Basic {}\"", STANDARD.encode(format!("admin:{SECRET}"))),
        "nested" => serde_json::json!({ "log": serde_json::json!({ "k": SECRET }).to_string() }).to_string(),
        "key" => serde_json::json!({ SECRET: 1 }).to_string(),
        "clean" => "\"nothing\"".into(),
        "cookie" => {
            return ok(&["Set-Cookie: csrf_token=Tq7-cookie-Zz81; Path=/", "X-CSRF-Token: Tq7-header-Zz81"], b"{}");
        }
        _ => unreachable!("{name}"),
    })
}

fn clients(name: &str, request: &Request) -> Vec<Part> {
    let moved = |to: &str| vec![Part::Send(response("302 Found", &[&format!("Location: {to}")], b""))];
    let other = request.headers.get("host").map(|host| format!("http://{}", host.replace("127.0.0.1", "localhost")));
    let headers = |n: usize| (0..n).map(|i| format!("X-H{i}: {i}")).collect::<Vec<_>>();
    match name {
        "away" => moved(&format!("{}/echo/away", other.unwrap_or_default())),
        "away-307" => {
            let location = format!("Location: {}/echo/away", other.unwrap_or_default());
            vec![Part::Send(response("307 Temporary Redirect", &[&location], b""))]
        }
        "near" => moved("/echo/near"),
        "user" => moved(&format!("{}/echo/user", other.unwrap_or_default().replace("http://", "http://eve:pw@"))),
        "loop" => moved("/clients/loop"),
        "nowhere" => moved("http://"),
        "many" => ok(&headers(150).iter().map(String::as_str).collect::<Vec<_>>(), b"ok"),
        "too-many" => ok(&headers(5000).iter().map(String::as_str).collect::<Vec<_>>(), b"ok"),
        "deflate" => ok(&["Content-Encoding: deflate", "Content-Type: application/json"], &deflate(b"{\"ok\": true}")),
        "members" => {
            let both = [gzip(b"{\"ok\":"), gzip(b" true}")].concat();
            ok(&["Content-Encoding: gzip", "Content-Type: application/json"], &both)
        }
        "x-gzip" => ok(&["Content-Encoding: x-gzip", "Content-Type: application/json"], &gzip(b"{\"ok\": true}")),
        "both" => ok(
            &["Content-Encoding: deflate, gzip", "Content-Type: application/json"],
            &gzip(&deflate(b"{\"ok\": true}")),
        ),
        "head" => raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n"),
        "no-content" => vec![Part::Send(b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n".to_vec())],
        "not-modified" => vec![Part::Send(b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n".to_vec())],
        "hints" => vec![
            Part::Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec()),
            Part::Send(response("200 OK", &[], b"ok")),
        ],
        "trailers" => raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
        "old" => raw(b"HTTP/1.0 200 OK\r\n\r\nok"),
        "folded" => raw(b"HTTP/1.1 200 OK\r\nX-Note: one\r\n two\r\nX-Space : a\r\nContent-Length: 2\r\n\r\nok"),
        "odd" => vec![Part::Send(b"HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n".to_vec())],
        _ => unreachable!("{name}"),
    }
}

fn streams(name: &str) -> Vec<Part> {
    match name {
        "gone" => vec![Part::Send(response("404 Not Found", &[], b"no such stream"))],
        "html" => ok(&["Content-Type: text/html"], b"<html>log in</html>"),
        "broken" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            raw(format!("{head}9\r\ndata: 1\n\n\r\n").as_bytes())
        }
        "crlf" => vec![
            Part::Send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: A\r".to_vec()),
            Part::Pause(Duration::from_millis(30)),
            Part::Send(b"\ndata: B\r\n\r\n".to_vec()),
            Part::Close,
        ],
        "bom" => events(b"\xef\xbb\xbfdata: x\n\n"),
        "unended" => events(b"data: 1\n\ndata: never ended"),
        "empty" => events(b"data:\n\ndata: x\n\n"),
        "ids" => events(b"id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"),
        "cr" => events(b"event: one\rdata: x\r\r"),
        "comment" => events(b": hello\nretry: 10\nevent: one\ndata:x\n\n"),
        "twice" => events(b"data: {\"a\": 1, \"a\": 2}\n\n"),
        _ => unreachable!("{name}"),
    }
}

fn waiting(name: &str, count: usize) -> Vec<Part> {
    match name {
        "dies" if count > 1 => vec![Part::Close],
        "dies" => ok(&["Connection: close"], b"fine"),
        "late" if count > 1 => ok(&[], b"panicked"),
        "late" => ok(&[], b"fine"),
        "cut" if count > 1 => raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine"),
        "cut" => ok(&[], b"fine"),
        _ => unreachable!("{name}"),
    }
}

/// Texts that look like the expected ones.
fn texts(name: &str) -> String {
    serde_json::json!({ "name": match name {
        "decomposed" => "cafe\u{301}".to_string(),
        "no-break" => "a\u{a0}b".to_string(),
        "zero-width" => "ad\u{200b}min".to_string(),
        "cyrillic" => "\u{430}dmin".to_string(),
        "mark" => "\u{feff}admin".to_string(),
        "reversed" => "ad\u{202e}min".to_string(),
        "spaces" => "a  b".to_string(),
        "line" => "admin\n".to_string(),
        "return" => "a\r\nb".to_string(),
        "escape" => "\u{1b}[2J\u{9b}31m\u{7}admin".to_string(),
        "long" => format!("{}B{}", "x".repeat(500), "x".repeat(500)),
        "number" => "5".to_string(),
        "date" => "{\"$date\": \"x\"}".to_string(),
        _ => unreachable!("{name}"),
    }})
    .to_string()
}

/// Headers and body of a delivery.
pub fn delivery(kind: &str) -> (String, Vec<u8>) {
    let body: &[u8] = match kind {
        "twice" => br#"{"id": 1, "state": "broken", "state": "ok"}"#,
        "cut" => br#"{"id": 1, "state": "#,
        _ => "{\"id\": 1, \"name\": \"café\"}".as_bytes(),
    };
    let mac = |body: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"signing key").unwrap();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    };
    let signature = match kind {
        "unsigned" => String::new(),
        "other-bytes" => format!("X-Hub-Signature-256: sha256={}\r\n", mac(b"{\"id\":1,\"name\":\"caf\\u00e9\"}")),
        "short" => format!("X-Hub-Signature-256: sha256={}\r\n", &mac(body)[..32]),
        "no-digits" => "X-Hub-Signature-256: sha256=\r\n".into(),
        "twice-signed" => format!("X-Hub-Signature-256: sha256={}\r\nX-Hub-Signature-256: sha256=00\r\n", mac(body)),
        _ => format!("X-Hub-Signature-256: sha256={}\r\n", mac(body)),
    };
    (
        format!("Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: d1\r\n{signature}"),
        body.to_vec(),
    )
}
