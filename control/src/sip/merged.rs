//! One INVITE that comes over two ways, as proxies fork it: it is one call (RFC 3261 section 8.2.2.2).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use rsipstack::sip::Request;
use rsipstack::sip::prelude::HeadersExt as _;

use super::shared::lock;

/// INVITEs that are under way: Call-ID, From tag and CSeq number.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<Name>>>);

type Name = (String, String, u32);

/// One of them, until this is dropped.
#[derive(Debug)]
pub(crate) struct Begun {
    under_way: UnderWay,
    name: Name,
}

impl UnderWay {
    /// None where the same INVITE is under way already, by another transaction.
    pub(crate) fn begin(&self, invite: &Request) -> Option<Begun> {
        let name = name_of(invite)?;
        let is_new = lock(&self.0).insert(name.clone());
        is_new.then(|| Begun { under_way: self.clone(), name })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        lock(&self.under_way.0).remove(&self.name);
    }
}

/// None of no request that the door lets in.
fn name_of(invite: &Request) -> Option<Name> {
    let tag = invite.from_header().ok()?.tag().ok()??;
    let call_id = invite.call_id_header().ok()?.value().to_owned();
    Some((call_id, tag.value().to_owned(), invite.cseq_header().ok()?.seq().ok()?))
}
