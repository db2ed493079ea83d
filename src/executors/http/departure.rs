//! When a request leaves. While a connection is being made nothing has been asked; from then on silence is the server's answer. The
//! client does not tell the one from the other, so its connector is watched.
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Whether the poll that goes on now has had to wait for a connection.
    static CONNECTING: Cell<bool>;
}

/// Runs `call` and says by `depart` that it has got beyond connecting. Said between two polls at the latest, and only between two
/// polls can anybody give up.
pub(super) async fn watch<F: Future>(call: F, depart: impl Fn()) -> F::Output {
    let mut call = pin!(call);
    let polled = poll_fn(|cx| {
        CONNECTING.with(|c| c.set(false));
        let poll = call.as_mut().poll(cx);
        if poll.is_pending() && !CONNECTING.with(Cell::get) {
            depart();
        }
        poll
    });
    CONNECTING.scope(Cell::new(false), polled).await
}

/// Goes around the client's connector.
#[derive(Clone)]
pub(super) struct Watched;

impl<S> Layer<S> for Watched {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector(inner)
    }
}

#[derive(Clone)]
pub(super) struct Connector<S>(S);

impl<R, S: Service<R>> Service<R> for Connector<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Connecting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Connecting(Box::pin(self.0.call(request)))
    }
}

pub(super) struct Connecting<F>(Pin<Box<F>>);

impl<F: Future> Future for Connecting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let poll = self.0.as_mut().poll(cx);
        if poll.is_pending() {
            // A connection that is finished in the background, because another was free first, holds nobody up.
            let _ = CONNECTING.try_with(|c| c.set(true));
        }
        poll
    }
}
