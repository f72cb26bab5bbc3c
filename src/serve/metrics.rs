//! What the server counts, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Label values are names of routes, statuses and labels of the scheme: their number is bounded, whatever clients send.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::label::Prediction;

/// Content type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the seconds that requests take: from a short text on an idle machine to the longest timeout.
const SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of the tokens of a batch.
const TOKENS: [f64; 9] = [16.0, 32.0, 64.0, 128.0, 256.0, 384.0, 512.0, 1024.0, 2048.0];
/// Upper bounds of the windows of a batch.
const WINDOWS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    kind: &'static str,
    label: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bundle {
    bundle: String,
    kernel: String,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram>,
    refused: Family<Reason, Counter>,
    labels: Family<Label, Counter>,
    tokens: Counter,
    texts: Counter,
    readings: Counter,
    reading_tokens: Counter,
    bundle: Family<Bundle, Gauge>,
    reloads: Family<Reason, Counter>,
    /// Requests that nobody waited for any more.
    pub(crate) cancelled: Counter,
    /// Requests in the queue, those that are being computed included.
    pub(crate) queue_requests: Gauge,
    /// Their texts that have no labels yet.
    pub(crate) queue_texts: Gauge,
    /// Bytes of their texts.
    pub(crate) queue_bytes: Gauge,
    /// Bytes of the bodies that are being received.
    pub(crate) body_bytes: Gauge,
    /// Long lines of streams that are being received.
    pub(crate) long_lines: Gauge,
    /// Seconds from a request's entry to its first step.
    pub(crate) queue_seconds: Histogram,
    /// Tokens of each batch.
    pub(crate) batch_tokens: Histogram,
    /// Windows of each batch.
    pub(crate) batch_windows: Histogram,
    /// Open connections.
    pub(crate) connections: Gauge,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("detente");
        let requests = Family::default();
        let request_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let (refused, labels, reloads) = (Family::default(), Family::default(), Family::default());
        let (tokens, texts, cancelled) = (Counter::default(), Counter::default(), Counter::default());
        let (readings, reading_tokens) = (Counter::default(), Counter::default());
        let (queue_requests, queue_texts, queue_bytes) = (Gauge::default(), Gauge::default(), Gauge::default());
        let (bundle, connections) = (Family::default(), Gauge::default());
        let (body_bytes, long_lines) = (Gauge::default(), Gauge::default());
        let (queue_seconds, batch_tokens, batch_windows) = (seconds(), Histogram::new(TOKENS), Histogram::new(WINDOWS));
        registry.register("requests", "Answered requests", Family::clone(&requests));
        let help = "Time from the head of a request to the head of its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, Family::clone(&request_seconds));
        registry.register("refused", "Requests that were not computed, by reason", Family::clone(&refused));
        registry.register(
            "cancelled",
            "Requests that were taken out of the queue since nobody waited for them",
            cancelled.clone(),
        );
        registry.register(
            "queue_requests",
            "Requests in the queue, those being computed included",
            queue_requests.clone(),
        );
        registry.register("queue_texts", "Texts in the queue that have no labels yet", queue_texts.clone());
        registry.register("queue_text_bytes", "Bytes of text in the queue", queue_bytes.clone());
        registry.register("body_bytes", "Bytes of bodies that are being received", body_bytes.clone());
        registry.register("long_lines", "Long lines of streams that are being received", long_lines.clone());
        registry.register_with_unit(
            "queue_wait",
            "Time from a request's entry to its first step",
            Unit::Seconds,
            queue_seconds.clone(),
        );
        registry.register("batch_tokens", "Tokens that a worker computed at a time", batch_tokens.clone());
        registry.register("batch_windows", "Windows that a worker computed at a time", batch_windows.clone());
        registry.register("tokens", "Tokens of labelled texts", tokens.clone());
        registry.register("texts", "Labelled texts", texts.clone());
        registry.register("readings", "Readings without some of the words, for explanations", readings.clone());
        registry.register("reading_tokens", "Tokens of those readings", reading_tokens.clone());
        registry.register("labels", "Decisions, by label", Family::clone(&labels));
        registry.register("bundle", "1 for the bundle in use", Family::clone(&bundle));
        registry.register("reloads", "Changes of bundle, by outcome", Family::clone(&reloads));
        registry.register("connections", "Open connections", connections.clone());
        Arc::new(Self {
            registry,
            requests,
            request_seconds,
            refused,
            labels,
            tokens,
            texts,
            readings,
            reading_tokens,
            bundle,
            reloads,
            cancelled,
            queue_requests,
            queue_texts,
            queue_bytes,
            body_bytes,
            long_lines,
            queue_seconds,
            batch_tokens,
            batch_windows,
            connections,
        })
    }

    /// A request was answered. `route` is the pattern of the route, not the path that the client sent.
    pub(crate) fn request(&self, route: &str, method: &'static str, status: u16, seconds: f64) {
        self.requests.get_or_create(&Request { route: route.to_owned(), method, status }).inc();
        self.request_seconds.get_or_create(&Route { route: route.to_owned() }).observe(seconds);
    }

    /// A request was refused.
    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// A change of bundle came to its end.
    pub(crate) fn reload(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Reason { reason: outcome }).inc();
    }

    /// From now on this bundle answers.
    pub(crate) fn use_bundle(&self, bundle: &str, kernel: &str) {
        self.bundle.clear();
        self.bundle.get_or_create(&Bundle { bundle: bundle.to_owned(), kernel: kernel.to_owned() }).set(1);
    }

    /// A text was labelled.
    pub(crate) fn count(&self, prediction: &Prediction) {
        self.texts.inc();
        self.tokens.inc_by(prediction.tokens() as u64);
        let label = |kind, label: &str| {
            self.labels.get_or_create(&Label { kind, label: label.to_owned() }).inc();
        };
        prediction.topics().filter(|topic| topic.applies).for_each(|topic| label("topic", topic.name));
        if prediction.is_boilerplate() {
            label("boilerplate", "boilerplate");
        } else if let Some(level) = prediction.escalation() {
            label("level", &level.code.to_string());
        }
    }

    /// What was left of a text was read, to explain its labels.
    pub(crate) fn count_reading(&self, prediction: &Prediction) {
        self.readings.inc();
        self.reading_tokens.inc_by(prediction.tokens() as u64);
    }

    /// Everything, as text.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rendered_under_their_names() {
        let metrics = Metrics::new();
        metrics.request("/v1/classify", "POST", 200, 0.02);
        metrics.refuse("full");
        metrics.use_bundle("a@1+00000000", "int8 avx2");
        metrics.use_bundle("b@2+11111111", "int8 avx2");
        let text = metrics.render();
        for line in [
            r#"detente_requests_total{route="/v1/classify",method="POST",status="200"} 1"#,
            r#"detente_request_duration_seconds_bucket{le="0.025",route="/v1/classify"} 1"#,
            r#"detente_refused_total{reason="full"} 1"#,
            r#"detente_bundle{bundle="b@2+11111111",kernel="int8 avx2"} 1"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("a@1+00000000"), "{text}");
    }
}
