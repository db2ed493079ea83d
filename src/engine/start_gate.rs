//! Starts the branches of a `parallel` together, and counts how many run at once.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Barrier;

pub struct StartLine {
    barrier: Barrier,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl StartLine {
    pub fn new(branches: usize) -> Self {
        StartLine { barrier: Barrier::new(branches), running: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    pub fn gate(&self) -> StartGate<'_> {
        StartGate { line: self, passed: AtomicBool::new(false) }
    }

    /// The largest number of branches that ran at the same time.
    pub fn overlap(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Holds one branch before its first action. Its undo is committed before the gate, not behind it: writing to disk would
/// spread the starts, and the first branch could end before the last begins.
pub struct StartGate<'a> {
    line: &'a StartLine,
    passed: AtomicBool,
}

impl StartGate<'_> {
    /// Waits for the other branches; returns at once after the first call.
    pub async fn wait(&self) {
        if !self.passed.swap(true, Ordering::SeqCst) {
            self.line.barrier.wait().await;
            let running = self.line.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.line.most.fetch_max(running, Ordering::SeqCst);
        }
    }

    /// Ends the branch. A branch that ran no action must not keep the others waiting.
    pub async fn leave(&self) {
        self.wait().await;
        self.line.running.fetch_sub(1, Ordering::SeqCst);
    }
}
