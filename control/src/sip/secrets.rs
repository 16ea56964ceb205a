//! SRTP in offers and answers: whether, and with which keys (SDES, RFC 4568).

use offhook_proto::{Crypto, SdesKeys, Srtp};

/// Whether calls of one side are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Never.
    #[default]
    Off,
    /// Where the peer can.
    Optional,
    /// Always: a peer that cannot is not talked to.
    Required,
}

/// Our keys of one call. They are made with the call and stay the same in all its offers and answers.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) security: Security,
    /// None where calls are not encrypted.
    keys: Option<SdesKeys>,
}

impl Secrets {
    /// Fresh keys.
    pub(crate) fn new(security: Security) -> Self {
        let keys = || SdesKeys::new(|key| key.fill_with(rand::random));
        Self { security, keys: (security != Security::Off).then(keys) }
    }

    /// The lines of an offer.
    pub(crate) fn offer(&self) -> Vec<Crypto> {
        self.keys.as_ref().map(SdesKeys::offer).unwrap_or_default()
    }

    /// Our line in an answer to an offer with these lines, and what is agreed.
    pub(crate) fn answer(&self, offered: &[Crypto]) -> Option<(Crypto, Srtp)> {
        self.keys.as_ref()?.answer(offered)
    }

    /// What is agreed by an answer with these lines to [`Self::offer`].
    pub(crate) fn accept(&self, answered: &[Crypto]) -> Option<Srtp> {
        self.keys.as_ref()?.accept(answered)
    }
}
