//! `run --otlp`: sends the run as a trace to an OpenTelemetry collector. Needs a build with the feature `otlp`.
use super::{failure::Failure, print};
use crate::{event::EventSink, executor::TraceId};

/// A run that is sent as a trace.
pub struct Trace {
    pub id: TraceId,
    #[cfg(feature = "otlp")]
    sink: Option<Box<dyn EventSink>>,
    #[cfg(feature = "otlp")]
    sender: crate::traces::Sender,
}

#[cfg(feature = "otlp")]
impl Trace {
    /// Starts to send to a collector: `http://127.0.0.1:4318`.
    pub fn start(endpoint: &str) -> Result<Trace, Failure> {
        check(endpoint)?;
        let failed =
            |e: &dyn std::fmt::Display| Failure::usage(format!("error: cannot send traces to `{endpoint}`: {e}"));
        crate::executors::net::install_tls_provider();
        let client = reqwest::Client::builder().build().map_err(|e| failed(&e))?;
        let id = TraceId::random();
        let (sink, sender) = crate::traces::start(endpoint, &id.to_string(), client).map_err(|e| failed(&e))?;
        Ok(Trace { id, sink: Some(sink), sender })
    }

    /// What takes the events of the run.
    pub fn sink(&mut self) -> Option<Box<dyn EventSink>> {
        self.sink.take()
    }

    /// Sends the rest, and says what became of the spans. A collector that is away changes no verdict.
    pub async fn finish(self, quiet: bool) {
        let Trace { id, sender, .. } = self;
        let url = sender.url().to_string();
        let sent = sender.finish().await;
        if sent.lost > 0 || sent.error.is_some() {
            let why = sent.error.map(|why| format!(": {why}")).unwrap_or_default();
            let (sent, lost) = (sent.sent, sent.lost);
            print::err(format_args!("warning: trace {id}: {sent} spans were sent to {url}, {lost} were not{why}\n"));
        } else if !quiet {
            print::err(format_args!("trace {id}: {} spans were sent to {url}\n", sent.sent));
        }
    }
}

#[cfg(not(feature = "otlp"))]
impl Trace {
    pub fn start(endpoint: &str) -> Result<Trace, Failure> {
        check(endpoint)?;
        let message = "error: this build of tp-runner cannot send traces\n\
                       help: build one that can, with `--features otlp`";
        Err(Failure::usage(message))
    }

    pub fn sink(&mut self) -> Option<Box<dyn EventSink>> {
        None
    }

    pub async fn finish(self, _quiet: bool) {
        print::err(format_args!("warning: trace {}: not sent\n", self.id));
    }
}

fn check(endpoint: &str) -> Result<(), Failure> {
    if reqwest::Url::parse(endpoint).is_ok_and(|url| url.has_host() && url.scheme().starts_with("http")) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "error: `--otlp` expects the address of a collector, found `{endpoint}`\n\
         help: for example `--otlp http://127.0.0.1:4318`"
    )))
}
