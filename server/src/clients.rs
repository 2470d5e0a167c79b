//! How much each client asks for at one time: requests that are being answered, and feeds.
//!
//! A client is an address. Those of this machine have bounds only if some are given: a proxy that asks for many may stand
//! there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request whose answer has not begun.
    Request,
    /// A feed that is open.
    Feed,
}

/// Bounds for one client, where some are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// So many requests at one time.
    pub requests_max: Option<usize>,
    /// So many feeds.
    pub feeds_max: Option<usize>,
}

/// What a client of another machine may ask for if nothing is said.
const DEFAULT_MAX: usize = 256;

/// Counts.
#[derive(Debug, Default)]
pub struct Clients {
    limits: ClientLimits,
    counts: Mutex<HashMap<(IpAddr, Kind), usize>>,
}

/// The place that one request or feed takes up, until it is dropped.
#[derive(Debug)]
pub struct Place {
    clients: Arc<Clients>,
    key: (IpAddr, Kind),
}

impl Clients {
    /// Counts within these bounds.
    #[must_use]
    pub fn new(limits: ClientLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A place for one more, if there is room.
    pub fn place(self: &Arc<Self>, address: IpAddr, kind: Kind) -> Option<Place> {
        let address = address.to_canonical();
        let given = match kind {
            Kind::Request => self.limits.requests_max,
            Kind::Feed => self.limits.feeds_max,
        };
        let max = given.unwrap_or(if address.is_loopback() { usize::MAX } else { DEFAULT_MAX });
        let key = (address, kind);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        counts.insert(key, count + 1);
        Some(Place { clients: self.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.clients.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_client_and_given_back() {
        let clients = Arc::new(Clients::new(ClientLimits { requests_max: Some(2), feeds_max: None }));
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        let first = clients.place(one, Kind::Request);
        let second = clients.place(one, Kind::Request);
        assert!(first.is_some() && second.is_some() && clients.place(one, Kind::Request).is_none());
        assert!(clients.place(other, Kind::Request).is_some() && clients.place(one, Kind::Feed).is_some());
        drop(first);
        assert!(clients.place(one, Kind::Request).is_some());
        drop(second);
        assert!(clients.counts.lock().expect("not poisoned").is_empty(), "nothing is left of who is gone");
    }

    #[test]
    fn clients_of_this_machine_have_bounds_only_if_some_are_given() {
        let clients = Arc::new(Clients::default());
        let hold = |text: &str, count: usize| {
            let address = text.parse().expect("an address");
            (0..count).filter_map(|_| clients.place(address, Kind::Feed)).collect::<Vec<_>>().len()
        };
        assert_eq!(hold("::ffff:127.0.0.1", 1000), 1000);
        assert_eq!(hold("192.0.2.1", 1000), DEFAULT_MAX);
    }
}
