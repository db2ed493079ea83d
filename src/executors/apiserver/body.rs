//! Reads the body of a response, whole or by lines, up to a limit.
use crate::executor::limits::size;
use axum::body::BodyDataStream;
use bytes::Bytes;
use futures::StreamExt;
use kube::client::Body;

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum BodyError {
    /// It, or a line of it, is longer than this limit.
    TooLong(usize),
    /// The connection broke off.
    Broken(String),
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BodyError::TooLong(limit) => {
                write!(f, "it is longer than {}; raise `limit` in the target, or select fewer objects", size(*limit))
            }
            BodyError::Broken(why) => f.write_str(why),
        }
    }
}

/// A body that arrives.
pub struct BodyReader {
    stream: BodyDataStream,
    /// What was received of the next line.
    buffer: Vec<u8>,
    limit: usize,
}

impl BodyReader {
    pub fn new(body: Body, limit: usize) -> BodyReader {
        BodyReader { stream: axum::body::Body::new(body).into_data_stream(), buffer: vec![], limit }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.stream.next().await.transpose().map_err(|e| BodyError::Broken(e.to_string()))
    }

    /// The whole body; only its beginning, with the reason, if it cannot be read to its end.
    pub async fn read(mut self) -> (Vec<u8>, Option<BodyError>) {
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) => {
                    let room = self.limit - self.buffer.len();
                    self.buffer.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        return (self.buffer, Some(BodyError::TooLong(self.limit)));
                    }
                }
                Ok(None) => return (self.buffer, None),
                Err(e) => return (self.buffer, Some(e)),
            }
        }
    }

    /// The next line, without its end. `None` after the last complete one.
    ///
    /// # Errors
    /// If it is too long, or the connection breaks off.
    pub async fn line(&mut self) -> Result<Option<Vec<u8>>, BodyError> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.buffer.len() > self.limit {
                return Err(BodyError::TooLong(self.limit));
            }
            searched = self.buffer.len();
            match self.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &str, limit: usize) -> BodyReader {
        BodyReader::new(Body::from(text.as_bytes().to_vec()), limit)
    }

    #[tokio::test]
    async fn reads_a_body_up_to_the_limit() {
        assert!(matches!(reader("12345", 5).read().await, (all, None) if all == b"12345"));
        let (part, error) = reader("123456", 5).read().await;
        assert!(part == b"12345" && matches!(error, Some(BodyError::TooLong(5))));
    }

    #[tokio::test]
    async fn reads_lines_up_to_the_limit() {
        let mut lines = reader("one\ntwo\n\nincomplete", 100);
        for expected in ["one", "two", ""] {
            assert_eq!(lines.line().await.unwrap().unwrap(), expected.as_bytes());
        }
        assert!(lines.line().await.unwrap().is_none());
        let mut lines = reader(&format!("short\n{}", "x".repeat(200)), 100);
        assert_eq!(lines.line().await.unwrap().unwrap(), b"short");
        assert!(matches!(lines.line().await, Err(BodyError::TooLong(100))));
    }
}
