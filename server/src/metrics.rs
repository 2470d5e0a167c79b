//! What a monitoring system sees, in Prometheus' text format.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of a count of requests. Neither paths nor names: there would be no end to them.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: Method,
    status: u16,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
    Other,
}

/// Labels of a database's figures.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfDatabase {
    database: String,
}

/// Labels of a replication's figures.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfReplication {
    source: String,
    target: String,
}

/// What is seen at the moment of asking.
#[derive(Debug, Default)]
pub struct Seen {
    /// Feeds that are open.
    pub feeds: usize,
    /// Databases that are open.
    pub open_databases: usize,
    /// The bytes of each database's file.
    pub file_bytes: Vec<(String, u64)>,
    /// Each replication: source, target, revisions read, written and refused, and changes that wait.
    pub replications: Vec<Replication>,
}

/// Figures of one replication.
#[derive(Debug)]
pub struct Replication {
    /// The name of its source.
    pub source: String,
    /// The name of its target.
    pub target: String,
    /// Revisions read.
    pub read: u64,
    /// Revisions written.
    pub written: u64,
    /// Revisions that one side refused.
    pub refused: u64,
    /// Changes that wait, as far as the source tells.
    pub pending: Option<u64>,
}

/// The counts that are kept.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
    feeds: Gauge,
    open_databases: Gauge,
    file_bytes: Family<OfDatabase, Gauge<i64, AtomicI64>>,
    read: Family<OfReplication, Gauge<u64, AtomicU64>>,
    written: Family<OfReplication, Gauge<u64, AtomicU64>>,
    refused: Family<OfReplication, Gauge<u64, AtomicU64>>,
    pending: Family<OfReplication, Gauge<u64, AtomicU64>>,
    replications: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("firkin"),
            requests: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.0005, 4.0, 8)),
            in_flight: Gauge::default(),
            feeds: Gauge::default(),
            open_databases: Gauge::default(),
            file_bytes: Family::default(),
            read: Family::default(),
            written: Family::default(),
            refused: Family::default(),
            pending: Family::default(),
            replications: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests that were answered", metrics.requests.clone());
        let help = "Time until an answer began";
        registry.register_with_unit("request_duration", help, Unit::Seconds, metrics.seconds.clone());
        registry.register("requests_in_flight", "Requests whose answer has not begun", metrics.in_flight.clone());
        registry.register("feeds", "Feeds that are open", metrics.feeds.clone());
        registry.register("open_databases", "Databases that are open", metrics.open_databases.clone());
        registry.register_with_unit("database_file", "The file of a database", Unit::Bytes, metrics.file_bytes.clone());
        registry.register("replications", "Replications under way", metrics.replications.clone());
        for (name, help, family) in [
            ("replication_docs_read", "Revisions that a replication read", &metrics.read),
            ("replication_docs_written", "Revisions that its target took", &metrics.written),
            ("replication_docs_refused", "Revisions that one side refused", &metrics.refused),
            ("replication_changes_pending", "Changes that wait", &metrics.pending),
        ] {
            registry.register(name, help, family.clone());
        }
        metrics
    }
}

impl Metrics {
    /// A request begins.
    pub fn began(&self) {
        self.in_flight.inc();
    }

    /// Its answer begins.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        self.in_flight.dec();
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        };
        self.requests.get_or_create(&Answered { method, status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// All in Prometheus' text format.
    ///
    /// # Errors
    /// None: a string takes all that is written.
    pub fn to_text(&self, seen: &Seen) -> Result<String, fmt::Error> {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.feeds.set(signed(seen.feeds));
        self.open_databases.set(signed(seen.open_databases));
        self.replications.set(signed(seen.replications.len()));
        self.file_bytes.clear();
        for (database, bytes) in &seen.file_bytes {
            let labels = OfDatabase { database: database.clone() };
            self.file_bytes.get_or_create(&labels).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
        }
        for family in [&self.read, &self.written, &self.refused, &self.pending] {
            family.clear();
        }
        for replication in &seen.replications {
            let labels = OfReplication { source: replication.source.clone(), target: replication.target.clone() };
            self.read.get_or_create(&labels).set(replication.read);
            self.written.get_or_create(&labels).set(replication.written);
            self.refused.get_or_create(&labels).set(replication.refused);
            if let Some(pending) = replication.pending {
                self.pending.get_or_create(&labels).set(pending);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
