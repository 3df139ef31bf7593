//! How often somebody may try to log in or register.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;
use crate::state::State;

/// Between two times that keys with nothing against them are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// The tries of each address and of each account.
pub(crate) struct RateLimits {
    addresses: Limit,
    accounts: Limit,
}

impl RateLimits {
    /// As many tries in a minute, for each address and each account; at least one.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { addresses: Limit::new(per_minute), accounts: Limit::new(per_minute) }
    }

    /// Counts a login of an account; refuses it (429) after too many, from wherever they came.
    pub(crate) fn login_of(&self, email: &str) -> Result<(), Problem> {
        self.accounts.take(email)
    }

    fn request_from(&self, address: IpAddr) -> Result<(), Problem> {
        self.addresses.take(&network(address))
    }
}

/// Tries by key. Keys are kept as keyed hashes: small, whatever clients send.
struct Limit {
    limiter: DefaultKeyedRateLimiter<u64>,
    hasher: RandomState,
    swept: Mutex<Instant>,
}

impl Limit {
    fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self { limiter: RateLimiter::keyed(quota), hasher: RandomState::new(), swept: Mutex::new(Instant::now()) }
    }

    fn take(&self, key: &(impl Hash + ?Sized)) -> Result<(), Problem> {
        self.sweep();
        self.limiter.check_key(&self.hasher.hash_one(key)).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            // Rounded up: who waits so many seconds is let in.
            Problem::too_many(wait.as_secs() + 1)
        })
    }

    fn sweep(&self) {
        // Whoever holds the lock sweeps already.
        let Ok(mut swept) = self.swept.try_lock() else { return };
        if swept.elapsed() >= SWEEP {
            *swept = Instant::now();
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

/// One of the tries that an address has. A handler that takes this first refuses (429) the tries after those, before it
/// reads their bodies.
pub(crate) struct Try;

impl FromRequestParts<State> for Try {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let address = client_address(peer, &parts.headers, state.config.trusted_proxies);
        state.limits.request_from(address).map(|()| Self)
    }
}

/// Who asks, behind so many proxies. Each proxy adds the address of its caller to the right of `X-Forwarded-For`; what
/// stands further left was written by the client, and may be anything.
fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: u8) -> IpAddr {
    let Some(skipped) = usize::from(proxies).checked_sub(1) else { return peer };
    headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
        .nth(skipped)
        .and_then(parse_address)
        .unwrap_or(peer)
}

/// An address, with or without a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// What one customer of a network provider has: an address of IPv4, 64 bits of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn address(headers: &[&'static str], proxies: u8) -> String {
        let headers = headers.iter().map(|value| (FORWARDED, HeaderValue::from_static(value)));
        let headers = headers.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
        client_address("10.0.0.1".parse().unwrap(), &headers, proxies).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        assert_eq!(address(&["1.1.1.1"], 0), "10.0.0.1", "no proxy: the header is the client's own");
        assert_eq!(address(&["6.6.6.6, 1.1.1.1"], 1), "1.1.1.1");
        assert_eq!(address(&["6.6.6.6, 1.1.1.1, 2.2.2.2"], 2), "1.1.1.1");
        assert_eq!(address(&["6.6.6.6", "1.1.1.1"], 1), "1.1.1.1", "several headers are one list");
        assert_eq!(address(&["1.1.1.1"], 2), "10.0.0.1", "fewer entries than proxies");
        assert_eq!(address(&[], 1), "10.0.0.1");
        assert_eq!(address(&["1.1.1.1, nonsense"], 1), "10.0.0.1");
    }

    #[test]
    fn addresses_may_have_ports() {
        let parsed = |text| parse_address(text).map(|address| address.to_string());
        assert_eq!(parsed(" 1.2.3.4:80 ").as_deref(), Some("1.2.3.4"));
        assert_eq!(parsed("[2001:db8::1]:80").as_deref(), Some("2001:db8::1"));
        assert_eq!(parsed("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(parsed("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(parsed("unknown"), None);
    }

    #[test]
    fn a_key_is_refused_after_its_tries_and_others_are_not() {
        let limits = RateLimits::new(2);
        assert!(limits.login_of("a").is_ok() && limits.login_of("a").is_ok());
        let refused = limits.login_of("a").unwrap_err();
        // One try each 30 seconds.
        assert!((29..=31).contains(&refused.retry_after().unwrap()), "{refused:?}");
        assert!(limits.login_of("b").is_ok());
    }

    #[test]
    fn addresses_of_one_customer_count_together() {
        let limits = RateLimits::new(1);
        let from = |text: &str| limits.request_from(text.parse().unwrap()).is_ok();
        assert!(from("2001:db8::1") && !from("2001:db8::2") && from("2001:db8:0:1::1"));
        assert!(from("1.2.3.4") && !from("::ffff:1.2.3.4") && from("1.2.3.5"));
    }
}
