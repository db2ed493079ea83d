//! Writes to a stream that may be non-blocking.
use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a reader may read nothing.
const MAX_STALL: Duration = Duration::from_secs(5);
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// Whether a reader has stalled once: then nothing waits for it again.
static STALLED: AtomicBool = AtomicBool::new(false);

/// A stream that waits while its reader is busy, whether it is blocking or not.
pub struct Patient<W>(pub W);

impl<W> Patient<W> {
    fn retry<T>(&mut self, mut attempt: impl FnMut(&mut W) -> io::Result<T>) -> io::Result<T> {
        let began = Instant::now();
        loop {
            match attempt(&mut self.0) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !STALLED.load(Ordering::Relaxed) => {
                    STALLED.fetch_or(began.elapsed() > MAX_STALL, Ordering::Relaxed);
                    thread::sleep(RETRY_INTERVAL);
                }
                other => return other,
            }
        }
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.retry(Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at every second attempt.
    #[derive(Default)]
    struct Busy(Vec<u8>, bool);

    impl Write for Busy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let length = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn waits_for_a_busy_reader() {
        let mut stream = Patient(Busy::default());
        stream.write_all(b"all of this text").unwrap();
        assert_eq!(stream.0.0, b"all of this text");
    }
}
