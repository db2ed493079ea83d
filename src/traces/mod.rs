//! Sends a run as OpenTelemetry spans to a collector while it goes on (OTLP over HTTP). [`spans`] makes spans of events. A collector
//! that does not accept them changes no verdict.
pub mod spans;

use crate::event::{Event, EventSink, SinkError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use spans::Spans;
use std::{mem, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};

/// Where the collector takes spans, below its address.
const PATH: &str = "/v1/traces";
/// Limit for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for what is still to be sent at the end of the run.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// How many spans one request has at most.
const BATCH_SPANS: usize = 512;
/// How long a span may wait for others.
const BATCH_WINDOW: Duration = Duration::from_secs(1);
/// How many spans may wait for the collector. Further ones are lost: the run does not wait.
const MAX_QUEUED_SPANS: usize = 1 << 16;

/// The sender of the spans of a run.
pub struct Sender {
    task: JoinHandle<Sent>,
    url: String,
}

/// What became of the spans.
#[derive(Debug, Default)]
pub struct Sent {
    pub sent: usize,
    /// Not accepted, or too many.
    pub lost: usize,
    /// Why the first of them were not accepted.
    pub error: Option<String>,
}

/// Starts to send. The sink takes the events of the run whose trace has this id, and the client sends the requests.
pub fn start(
    endpoint: &str,
    trace: &str,
    client: reqwest::Client,
) -> Result<(Box<dyn EventSink>, Sender), ExporterBuildError> {
    let url = url(endpoint);
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(&url)
        .with_timeout(REQUEST_TIMEOUT)
        .build()?;
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    exporter.set_resource(&Resource::builder().with_service_name("tp-runner").with_attribute(version).build());
    let (queue, spans) = mpsc::channel(MAX_QUEUED_SPANS);
    let task = tokio::spawn(send(exporter, spans));
    Ok((Box::new(Sink { spans: Spans::new(trace), queue, lost: 0 }), Sender { task, url }))
}

/// The address of the collector, or already that for traces.
fn url(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with(PATH) { endpoint.to_string() } else { format!("{endpoint}{PATH}") }
}

impl Sender {
    /// Waits until everything is sent. Call it when the sink is gone.
    pub async fn finish(mut self) -> Sent {
        match tokio::time::timeout(END_TIMEOUT, &mut self.task).await {
            Ok(Ok(sent)) => sent,
            _ => {
                self.task.abort();
                Sent { error: Some(format!("not done {END_TIMEOUT:?} after the run")), ..Sent::default() }
            }
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A span, or the number of those that were lost on the way.
enum Queued {
    Span(Box<SpanData>),
    Lost(usize),
}

struct Sink {
    spans: Spans,
    queue: mpsc::Sender<Queued>,
    lost: usize,
}

impl Sink {
    fn queue(&mut self, spans: Vec<SpanData>) {
        for span in spans {
            if self.queue.try_send(Queued::Span(Box::new(span))).is_err() {
                self.lost += 1;
            }
        }
        if self.lost > 0 && self.queue.try_send(Queued::Lost(self.lost)).is_ok() {
            self.lost = 0;
        }
    }
}

impl EventSink for Sink {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        let ended = self.spans.on_event(event);
        self.queue(ended);
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let open = self.spans.end_all();
        self.queue(open);
    }
}

/// Sends spans in batches until the sink is gone.
async fn send(exporter: SpanExporter, mut spans: mpsc::Receiver<Queued>) -> Sent {
    let (mut sent, mut batch) = (Sent::default(), Vec::with_capacity(BATCH_SPANS));
    loop {
        let next = if batch.is_empty() {
            Ok(spans.recv().await)
        } else {
            tokio::time::timeout(BATCH_WINDOW, spans.recv()).await
        };
        let (is_over, is_late) = (matches!(next, Ok(None)), next.is_err());
        match next {
            Ok(Some(Queued::Span(span))) => batch.push(*span),
            Ok(Some(Queued::Lost(count))) => sent.lost += count,
            Ok(None) | Err(_) => {}
        }
        if batch.len() >= BATCH_SPANS || is_over || is_late {
            export(&exporter, mem::take(&mut batch), &mut sent).await;
        }
        if is_over {
            return sent;
        }
    }
}

async fn export(exporter: &SpanExporter, batch: Vec<SpanData>, sent: &mut Sent) {
    let count = batch.len();
    if count == 0 {
        return;
    }
    match exporter.export(batch).await {
        Ok(()) => sent.sent += count,
        Err(e) => {
            sent.lost += count;
            sent.error.get_or_insert(e.to_string());
        }
    }
}
