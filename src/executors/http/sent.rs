//! Detects when a request has been sent. A failure while the client connects is an error; afterwards, a missing
//! response counts as a failure of the server. `reqwest` does not report the difference, so its connector is wrapped.
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tower_service::Service;

tokio::task_local! {
    /// Whether the current poll had to wait for a connection.
    static CONNECTING: Cell<bool>;
}

/// Runs `call`, and calls `on_sent` after each poll that waits for something else than a connection. A call is only
/// dropped between two polls, so `on_sent` has been called by then.
pub(super) async fn detect_sent<F: Future>(call: F, on_sent: impl Fn()) -> F::Output {
    let mut call = pin!(call);
    let polled = poll_fn(|cx| {
        CONNECTING.with(|c| c.set(false));
        let poll = call.as_mut().poll(cx);
        if poll.is_pending() && !CONNECTING.with(Cell::get) {
            on_sent();
        }
        poll
    });
    CONNECTING.scope(Cell::new(false), polled).await
}

/// Wraps the connector of a client.
#[derive(Clone)]
pub(super) struct TrackedConnector<S>(pub S);

impl<R, S: Service<R>> Service<R> for TrackedConnector<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut connect = Box::pin(self.0.call(request));
        Box::pin(poll_fn(move |cx| {
            let poll = connect.as_mut().poll(cx);
            if poll.is_pending() {
                // Fails in a background task, which completes a connection that no request needs any more.
                let _ = CONNECTING.try_with(|c| c.set(true));
            }
            poll
        }))
    }
}
