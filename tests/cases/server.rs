//! One server for all plans, on two ports, so that there are two origins. It answers each path with the bytes of
//! `responses.rs`; what begins with `/echo` is answered with the request itself.
use super::responses::{self, Part, response};
use serde_json::json;
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Server {
    pub base: String,
    /// The same server as another origin.
    pub other: String,
}

/// How often each path was requested.
type Counts = Arc<Mutex<HashMap<String, usize>>>;

impl Server {
    pub fn start() -> Server {
        let counts = Counts::default();
        let [base, other] = ["127.0.0.1", "localhost"].map(|host| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{host}:{}", listener.local_addr().unwrap().port());
            let counts = counts.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let counts = counts.clone();
                    thread::spawn(move || serve(stream, &counts));
                }
            });
            address
        });
        Server { base, other }
    }
}

pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
    /// 1 for the first request of this path.
    pub count: usize,
}

fn serve(mut stream: TcpStream, counts: &Counts) {
    while let Some(mut request) = read(&mut stream) {
        let path = request.target.split('?').next().unwrap_or_default().to_string();
        request.count = *counts.lock().unwrap().entry(path.clone()).and_modify(|n| *n += 1).or_insert(1);
        let parts = match path.strip_prefix("/deliver/") {
            Some(kind) => vec![Part::Send(deliver(&request.body, kind))],
            None if path.starts_with("/echo") => vec![Part::Send(echo(&request))],
            None => responses::parts(&path, &request),
        };
        for part in parts {
            match part {
                Part::Send(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Part::Pause(duration) => thread::sleep(duration),
                Part::Close => return,
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut block) = (vec![], [0; 65536]);
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let length = stream.read(&mut block).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&block[..length]);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let (line, rest) = head.split_once("\r\n")?;
    let headers: HashMap<String, String> = rest
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        let read = stream.read(&mut block).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&block[..read]);
    }
    let body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    Some(Request { method, target, headers, body, count: 0 })
}

fn echo(request: &Request) -> Vec<u8> {
    let body =
        json!({ "method": request.method, "target": request.target, "headers": request.headers, "body": request.body });
    response("200 OK", &["Content-Type: application/json"], body.to_string().as_bytes())
}

/// Sends a delivery to the address, and returns the status of the reply.
fn deliver(address: &str, kind: &str) -> Vec<u8> {
    let (host, path) = address.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("an inbox");
    let (headers, body) = responses::delivery(kind);
    let length = body.len();
    let head =
        format!("POST /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(&[head.as_bytes(), &body[..]].concat()).expect("an open connection");
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    let status = reply.split(' ').nth(1).unwrap_or("none").to_string();
    response("200 OK", &[], status.as_bytes())
}
