//! A page of figures as Prometheus reads it (OpenMetrics 1.0, text format), made from a snapshot: nothing is registered, nothing
//! is counted here.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// Content type of [`Page::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names and values that tell one sample of a family from the others.
pub type Labels = Vec<(&'static str, String)>;

/// Families of samples, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Page(Vec<Family>);

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    grows: bool,
    samples: Vec<(Labels, f64)>,
}

impl Page {
    /// Adds one value that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Value) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }

    /// Adds one that only grows, until its process starts anew. The page puts `_total` after its name.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: impl Value) {
        self.counters(name, help, [(Labels::new(), value)]);
    }

    /// Adds values that go up and down, each with its labels.
    pub fn gauges<V: Value>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        self.family(name, help, false, samples);
    }

    /// Adds values that only grow, each with its labels.
    pub fn counters<V: Value>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        self.family(name, help, true, samples);
    }

    fn family<V: Value>(
        &mut self,
        name: &'static str,
        help: &'static str,
        grows: bool,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(labels, value)| (labels, value.into_f64())).collect();
        // A family without samples has nothing to say.
        if !samples.is_empty() {
            self.0.push(Family { name, help, grows, samples });
        }
    }

    /// The page, with the line that ends it.
    pub fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::new(self)));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut page, &registry);
        page
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let kind = if self.grows { MetricType::Counter } else { MetricType::Gauge };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (labels, value) in &self.samples {
            if labels.is_empty() {
                self.sample(&mut metric, *value)?;
            } else {
                self.sample(&mut metric.encode_family(labels)?, *value)?;
            }
        }
        Ok(())
    }

    fn sample(&self, metric: &mut MetricEncoder, value: f64) -> fmt::Result {
        if self.grows {
            metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
        } else {
            metric.encode_gauge(&value)
        }
    }
}

/// A number that a sample can have.
pub trait Value {
    /// As the page has it: whole numbers are exact up to 2^53.
    fn into_f64(self) -> f64;
}

impl Value for u64 {
    fn into_f64(self) -> f64 {
        self as f64
    }
}

impl Value for f64 {
    fn into_f64(self) -> f64 {
        self
    }
}

impl Value for bool {
    fn into_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_openmetrics_says_it_is() {
        let mut page = Page::default();
        page.gauge("legs", "Legs that are open", 3_u64);
        page.counters(
            "drops",
            "Packets dropped",
            [
                (vec![("worker", "0".to_owned()), ("reason", "late".to_owned())], 7_u64),
                (vec![("worker", "0".to_owned()), ("reason", "a \"b\"\n".to_owned())], 9_007_199_254_740_992),
            ],
        );
        page.counter("cpu_seconds", "CPU time", 1.5);
        page.gauge("up", "Whether it is", true);
        page.gauges("nobody", "Nothing", Vec::<(Labels, u64)>::new());
        let expected = "\
            # HELP legs Legs that are open\n# TYPE legs gauge\nlegs 3.0\n\
            # HELP drops Packets dropped\n# TYPE drops counter\n\
            drops_total{worker=\"0\",reason=\"late\"} 7.0\n\
            drops_total{worker=\"0\",reason=\"a \\\"b\\\"\\n\"} 9007199254740992.0\n\
            # HELP cpu_seconds CPU time\n# TYPE cpu_seconds counter\ncpu_seconds_total 1.5\n\
            # HELP up Whether it is\n# TYPE up gauge\nup 1.0\n\
            # EOF\n";
        assert_eq!(page.text(), expected);
    }
}
